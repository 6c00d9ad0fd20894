"""Trackers show a fold's history.csv while it grows: TensorBoard, and Weights & Biases
from TensorBoard's files.

A tracker follows one fold: `epoch` is called with each row of history.csv, `finish`
once at the end. Nothing is read back from a tracker. A new tracker is a class in
`TRACKERS` that imports its package when it is made.
"""

import importlib.util
import json
import os
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from featurestack.base.errors import RequestError
from featurestack.base.shell import install_command

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder

PROJECT = "featurestack"  # project's name in Weights & Biases


def run_files(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


class TensorBoard:
    """Event files in `<run>/trackers/fold<number>`: curves and configuration."""

    package: ClassVar[str] = "tensorboard"

    def __init__(self, run: "RunFolder", fold: int, epochs_done: int) -> None:
        """`epochs_done` counts the epochs of a fold that is continued."""
        from torch.utils.tensorboard import SummaryWriter

        self.run, self.fold = run, fold
        self.folder = run.path / "trackers"
        self.before = run_files(self.folder)
        # `purge_step` drops what a killed run wrote after its last saved epoch
        self.writer = SummaryWriter(
            str(self.folder / f"fold{fold}"), purge_step=epochs_done + 1
        )
        text = json.dumps(asdict(run.config), indent=2, ensure_ascii=False)
        # indented: code in Markdown
        self.register()  # the event file is there at once, and a kill may follow
        self.writer.add_text("run.json", textwrap.indent(text, "    "))

    def register(self) -> None:
        """Enter the files that this tracker has made into the run's record."""
        from featurestack.base.own_files import OwnFiles

        made = run_files(self.folder) - self.before
        names = sorted(str(file.relative_to(self.run.path)) for file in made)
        OwnFiles(self.run.path).register(names, "move it", made.__contains__)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            part, _, metric = name.partition("_")
            # train, val and test in one chart
            tag = f"{metric}/{part}" if metric else name
            self.writer.add_scalar(tag, value, number)

    def finish(self, complete: bool) -> None:
        if complete:
            for name, value in self.run.scores().loc[self.fold].items():
                self.writer.add_scalar(f"summary/test_{name}", value)
        self.writer.close()
        self.register()
        print(f"tensorboard --logdir {self.folder}")


class WeightsAndBiases(TensorBoard):
    """A W&B run for each fold, synchronised from TensorBoard's files; offline if there
    is no API key. The runs of a feature set are one group.

    The id comes from the run's hash, so that a continued fold is the same W&B run.
    """

    package = "wandb"

    def __init__(self, run: "RunFolder", fold: int, epochs_done: int) -> None:
        import wandb
        from wandb.integration import tensorboard

        # a prompt would wait for an answer for ever
        has_key = wandb.login(prompt=False, verify=False)
        # wandb's own switch wins
        mode = os.environ.get("WANDB_MODE", "online" if has_key else "offline")
        folder = run.path / "trackers"
        folder.mkdir(parents=True, exist_ok=True)
        config = run.config
        # charts have the same names in every fold: W&B drops the folder of its files
        tensorboard.patch(root_logdir=str(folder / f"fold{fold}"))
        self.board = wandb.init(
            project=PROJECT,
            group=config.features,
            name=f"fold{fold}",
            id=f"{config.hash}-fold{fold}",
            resume="allow" if mode == "online" else None,
            job_type=run.name,
            notes=config.note or None,
            config=asdict(config),
            dir=str(folder),
            mode=cast(Any, mode),  # wandb refuses a wrong value of the variable
            settings=wandb.Settings(silent=True, console="off"),
        )
        super().__init__(run, fold, epochs_done)

    def finish(self, complete: bool) -> None:
        from wandb.integration import tensorboard

        super().finish(complete)
        tensorboard.unpatch()
        board = self.board
        place = f"wandb sync {Path(board.dir).parent}" if board.offline else board.url
        board.finish(exit_code=0 if complete else 1)
        self.register()
        print(place)


TRACKERS = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


def tracker_of(name: str) -> type[TensorBoard]:
    """The class of a tracker; RequestError if its package is not installed."""
    tracker = TRACKERS[name]
    if importlib.util.find_spec(tracker.package) is None:
        raise RequestError(
            f"TRACKER={name} needs {tracker.package}: {install_command('trackers')}"
        )
    return tracker
