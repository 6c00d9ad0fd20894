"""TensorBoard: `tensorboard --logdir runs` shows every fold's curves, configuration and confusion matrix."""

import json
from collections.abc import Mapping

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from train.trackers import Fold, Outcome

PIXELS = 400  # of the confusion matrix's picture, at least


class TensorBoard:
    """Event files in `<folder>/fold<number>`."""

    def __init__(self, fold: Fold) -> None:
        self.folder = fold.folder / f"fold{fold.number}"
        # What a killed run wrote after its last saved epoch is dropped by `purge_step`.
        purge = fold.epochs_done + 1 if fold.epochs_done else None
        self.writer = SummaryWriter(str(self.folder), purge_step=purge)
        text = json.dumps(fold.config, indent=2, ensure_ascii=False)
        self.writer.add_text("run.json", "    " + text.replace("\n", "\n    "))  # indented: code in Markdown
        if fold.config.get("note"):
            self.writer.add_text("note", fold.config["note"])

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            part, _, metric = name.partition("_")
            tag = f"{metric}/{part}" if metric else name  # train, val and test in one chart
            self.writer.add_scalar(tag, value, number)

    def finish(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            for name, value in outcome.summary.items():
                self.writer.add_scalar(f"summary/{name}", value)
            self.writer.add_image("confusion", picture(outcome.confusion()), dataformats="HW")
        self.writer.close()
        print(f"tensorboard --logdir {self.folder.parent}")


def picture(confusion: np.ndarray) -> np.ndarray:
    """Counts (K, K) as grey levels (side, side) uint8: white for none, black for a whole class."""
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    times = -(-PIXELS // len(share))
    return np.kron(255 - np.round(255 * share), np.ones((times, times))).astype(np.uint8)


def open_tracker(fold: Fold) -> TensorBoard:
    return TensorBoard(fold)
