"""Weights & Biases: a group is a feature set, a run in it one fold. Without an API key it stays offline."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import wandb

from train.trackers import Fold, Outcome

PROJECT = "sound-features"


class WeightsAndBiases:
    """One W&B run. Its id comes from the run's hash, so that a continued fold is the same run there."""

    def __init__(self, fold: Fold) -> None:
        fold.folder.mkdir(parents=True, exist_ok=True)  # else wandb would take another folder, silently
        known = wandb.login(prompt=False, verify=False)  # a prompt would wait for an answer for ever
        mode = os.environ.get("WANDB_MODE", "online" if known else "offline")  # wandb's own switch counts
        self.run = wandb.init(
            project=PROJECT,
            group=str(fold.config.get("features")),
            name=f"fold{fold.number}",
            id=f"{fold.config.get('hash', fold.run)}-fold{fold.number}",
            resume="allow" if mode == "online" else None,
            job_type=fold.run,
            notes=fold.config.get("note") or None,
            config=dict(fold.config),
            dir=str(fold.folder),
            mode=cast(Any, mode),  # a wrong value of the variable is wandb's to refuse
            settings=wandb.Settings(silent=True, console="off"),
        )

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def finish(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            chart = wandb.plot.confusion_matrix(
                y_true=outcome.target.tolist(),
                preds=outcome.predicted.tolist(),
                class_names=list(outcome.classes),
            )
            self.run.log({"confusion": chart})
            self.run.summary.update(dict(outcome.summary))
        where = f"wandb sync {Path(self.run.dir).parent}" if self.run.offline else self.run.url
        self.run.finish(exit_code=0 if outcome is not None else 1)
        print(where)


def open_tracker(fold: Fold) -> WeightsAndBiases:
    return WeightsAndBiases(fold)
