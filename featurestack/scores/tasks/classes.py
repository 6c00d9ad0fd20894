"""One label a clip: CLASSES, and CATEGORIES, the label's category instead."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import refuse_class_names
from featurestack.scores.metrics import (
    Ints,
    Labels,
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    log_loss,
    macro_f1,
    macro_precision,
    most_confused,
)
from featurestack.scores.tasks.base import CLIPS, Probabilities, Task, Tensor

if TYPE_CHECKING:
    from featurestack.scores.ranking_metric import RankingMetric

SUM_TOLERANCE = 1e-3  # probabilities whose sum differs more from 1 are damaged


class Classes(Task):
    """One label a clip: softmax, accuracy; targets (N,), -1 for no class."""

    score = "accuracy"
    history: Mapping[str, Callable[[Any], float]] = {
        "loss": log_loss,
        "accuracy": accuracy,
        "precision": macro_precision,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    }
    loss = "cross_entropy"
    multilabel = False
    stages = CLIPS

    def __init__(self, name: str, column: str) -> None:
        self.name = name
        self.column = column

    @property
    def metric(self) -> "RankingMetric":
        from featurestack.scores.ranking_metric import ACCURACY

        return ACCURACY

    def refuse_clips(self, table: pd.DataFrame) -> None:
        names = table[self.column]
        if (names == "").any():
            clip = table["clip_id"][names == ""].iloc[0]
            raise RequestError(
                f"TASK={self.name}: clip {clip} has no category, the column of the"
                " dataset's CSV; give TASK=classes"
            )
        if names.nunique() < 2:
            raise RequestError(
                f"one class only ({names.iloc[0]}): training needs two or more"
            )
        refuse_class_names(names)

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        pairs = pd.DataFrame(
            {"name": table[self.column], "category": table["category"]}
        )
        return pairs.drop_duplicates("name").sort_values("name").to_dict("records")

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        return pd.Index(classes).get_indexer(text)

    def indicator(self, targets: Ints, classes: int) -> Labels:
        return targets[:, None] == np.arange(classes)

    def known(self, text: "pd.Series[str]", classes: Collection[str]) -> Labels:
        return text.isin(classes).to_numpy()

    def activation(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def sound(self, probabilities: Probabilities) -> Labels:
        sums = probabilities.sum(axis=1, dtype=np.float64)
        one = np.abs(sums - 1) <= SUM_TOLERANCE
        return one & (probabilities >= 0).all(axis=1)

    def predicted(
        self, probabilities: Probabilities, above: Labels, classes: Sequence[str]
    ) -> list[str]:
        names = np.array(classes, object)
        most_probable = probabilities.argmax(axis=1)
        return names[most_probable].tolist()

    def decisions(
        self, probabilities: Probabilities, labels: Labels, folds: Ints | None = None
    ) -> Labels:
        classes = probabilities.shape[-1]
        most_probable = probabilities.argmax(axis=-1)
        return np.eye(classes, dtype=bool)[most_probable]

    def error_lines(self, run: Any) -> list[str]:
        """One line with the most frequent errors."""
        probabilities, targets = run.answers()
        counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
        errors = [
            f"{run.classes[true]} predicted as {run.classes[predicted]} "
            f"({counts[true, predicted]} of {counts[true].sum()})"
            for true, predicted in most_confused(counts)
        ]
        return [f"most confused: {'; '.join(errors) or 'none'}"]


CLASSES = Classes("classes", "label")
CATEGORIES = Classes("categories", "category")
