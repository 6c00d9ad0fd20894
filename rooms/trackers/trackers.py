"""Trackers show a fold's history.csv while it grows: TensorBoard, Weights & Biases,
MLflow, each optional.

A tracker follows one fold: `epoch` is called with each row of history.csv, `finish`
once at the end. Nothing is read back from a tracker. A new tracker is a class under
`TRACKERS.register` that imports its package when it is opened. The help of `train run`
reads TrackerOptions here, so nothing heavy is imported at the top.
"""

import importlib.util
import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.registry import Registry
from featurestack.train.options import Execution, of_networks

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder

PROJECT = "featurestack"  # project's name in Weights & Biases


class Fold(NamedTuple):
    """A fold of a run, which may already have some epochs."""

    run: "RunFolder"
    number: int
    epochs_done: int

    @property
    def config(self) -> Any:
        """The content of run.json."""
        from featurestack.results.config import to_json

        return to_json(self.run.training)

    def scores(self) -> dict[str, float]:
        """The scores of the epoch that counts, such as test_accuracy."""
        split = self.run.scored_split
        scores = self.run.scores(split).loc[self.number]
        return {f"{split}_{name}": value for name, value in scores.items()}


class PackageTracker:
    """A `train.trainer.Tracker` with its own files in a folder; it needs the installed
    `package`.
    """

    package: ClassVar[str]

    def __init__(self, fold: Fold, folder: Path) -> None:
        self.fold, self.folder = fold, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.open()

    def open(self) -> None:
        raise NotImplementedError


TRACKERS: Registry[type[PackageTracker]] = Registry("tracker")


@TRACKERS.register("tensorboard")
class TensorBoard(PackageTracker):
    """Event files in `<folder>/fold<number>`: curves and configuration."""

    package = "tensorboard"

    def open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        fold, folder = self.fold, self.folder
        # `purge_step` drops what a killed run wrote after its last saved epoch
        purge = fold.epochs_done + 1 if fold.epochs_done else None
        self.writer = SummaryWriter(
            str(folder / f"fold{fold.number}"), purge_step=purge
        )
        text = json.dumps(fold.config, indent=2, ensure_ascii=False)
        # indented: code in Markdown
        self.writer.add_text("run.json", textwrap.indent(text, "    "))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            part, _, metric = name.partition("_")
            # train, val and test in one chart
            tag = f"{metric}/{part}" if metric else name
            self.writer.add_scalar(tag, value, number)

    def finish(self, complete: bool) -> None:
        if complete:
            for name, value in self.fold.scores().items():
                self.writer.add_scalar(f"summary/{name}", value)
        self.writer.close()
        print(f"tensorboard --logdir {self.folder}")


@TRACKERS.register("wandb")
class WeightsAndBiases(PackageTracker):
    """A W&B run for each fold, a group for each feature set; offline by default if
    there is no API key.

    The id comes from the run's hash, so that a continued fold is the same W&B run.
    """

    package = "wandb"

    def open(self) -> None:
        import wandb

        fold = self.fold
        # a prompt would wait for an answer for ever
        known = wandb.login(prompt=False, verify=False)
        # wandb's own switch wins
        mode = os.environ.get("WANDB_MODE", "online" if known else "offline")
        config = fold.run.training
        self.run = wandb.init(
            project=PROJECT,
            group=config.features,
            name=f"fold{fold.number}",
            id=f"{config.hash}-fold{fold.number}",
            resume="allow" if mode == "online" else None,
            job_type=fold.run.name,
            notes=config.note or None,
            config=fold.config,
            dir=str(self.folder),
            mode=cast(Any, mode),  # wandb refuses a wrong value of the variable
            settings=wandb.Settings(silent=True, console="off"),
        )

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def finish(self, complete: bool) -> None:
        import wandb

        trained = self.fold.run
        if complete:
            self.run.summary.update(self.fold.scores())
        if complete and not trained.task.multilabel:
            probabilities, targets = trained.answers(
                self.fold.number, trained.scored_split
            )
            predicted = probabilities.argmax(1).tolist()
            chart = wandb.plot.confusion_matrix(
                y_true=targets.tolist(), preds=predicted, class_names=trained.classes
            )
            self.run.log({"confusion": chart})
        place = (
            f"wandb sync {Path(self.run.dir).parent}"
            if self.run.offline
            else self.run.url
        )
        self.run.finish(exit_code=0 if complete else 1)
        print(place)


@TRACKERS.register("mlflow")
class MLflow(PackageTracker):
    """A run for each fold; where MLFLOW_TRACKING_URI says, else in a database."""

    package = "mlflow"

    def open(self) -> None:
        import mlflow

        own = f"sqlite:///{(self.folder / 'mlflow.db').absolute()}"
        self.place = os.environ.get("MLFLOW_TRACKING_URI", own)
        self.client = mlflow.MlflowClient(self.place)
        fold = self.fold
        config = fold.run.training
        name = f"{config.dataset} {config.features}"
        if known := self.client.get_experiment_by_name(name):
            experiment = known.experiment_id
        else:
            experiment = self.client.create_experiment(name)
        tags = {"hash": config.hash, "mlflow.note.content": config.note}
        begun = self.client.create_run(
            experiment, tags=tags, run_name=f"{fold.run.name} fold{fold.number}"
        )
        self.run = begun.info.run_id
        for key, value in fold.config["options"].items():
            self.client.log_param(self.run, key, value)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run, name, value, step=number)

    def finish(self, complete: bool) -> None:
        if complete:
            for name, value in self.fold.scores().items():
                self.client.log_metric(self.run, f"summary_{name}", value)
        self.client.set_terminated(self.run, "FINISHED" if complete else "KILLED")
        print(f"mlflow ui --backend-store-uri {self.place}")


def check_trackers(wanted: str) -> None:
    """RequestError if a tracker is unknown or its package is missing."""
    for name in wanted.split():
        if importlib.util.find_spec(TRACKERS[name].package) is None:
            raise RequestError(
                f"TRACKER={name} needs its package: {rooms.pip_install()}"
                f" {TRACKERS[name].package}"
            )


class TrackerOptions(Execution):
    """The trackers that follow a run."""

    tracker: str = of_networks(
        "", "tensorboard, wandb, mlflow, or several, besides the CSV files"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_trackers(self.tracker)

    def trackers(self, run: Any, fold: int, epoch: int) -> list[Any]:
        followed, folder = Fold(run, fold, epoch), run.path / "trackers"
        return [TRACKERS[name](followed, folder) for name in self.tracker.split()]
