"""TAGS: several labels a clip, or none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    label_indicator,
    refuse_class_names,
)
from featurestack.results import tags
from featurestack.results.calibration import cross_fitted_thresholds
from featurestack.results.ranking_metric import MEAN_AVERAGE_PRECISION
from featurestack.results.scores import Floats, Ints
from featurestack.results.tasks.base import Labels, Probabilities, Task, Tensor


class Tags(Task):
    """Several labels a clip, or none: a sigmoid for each class, mAP; targets (N, K) are
    1 for each label.
    """

    name = "tags"
    column = "label"
    metric = MEAN_AVERAGE_PRECISION
    metrics = "tags"
    history: ClassVar[Mapping[str, Callable[[Any], float]]] = {
        "loss": tags.log_loss,
        "map": tags.mean_average_precision,
        "precision": tags.macro_precision,
        "recall": tags.macro_recall,
        "f1": tags.macro_f1,
    }
    loss = "binary_cross_entropy"
    activation_call = "logits.sigmoid()"
    multilabel = True
    by_temperature = False
    fewest_classes = 1
    unfit: Mapping[tuple[str, str], str] = {
        ("select", "val_accuracy"): (": TASK=tags has no such score; val_loss is one"),
        ("balance", "sample"): (
            " draws clips by their class; with tags give BALANCE=loss"
        ),
    }

    def refuse_clips(self, table: pd.DataFrame) -> None:
        if table["label"].nunique() < 2:
            raise RequestError(
                f"all clips have the same labels ({table['label'].iloc[0] or 'none'}):"
                " nothing to learn"
            )
        refuse_class_names(by_label(table)["label"])

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        names = sorted({*by_label(table)["label"]} - {""})
        return [{"name": name, "category": ""} for name in names]

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        return label_indicator(text, classes).astype(np.intp)

    def indicator(self, targets: Ints, classes: int) -> Labels:
        return targets > 0

    def known(self, text: "pd.Series[str]", classes: Collection[str]) -> Labels:
        each = by_label(pd.DataFrame({"label": text.to_numpy()}))["label"]
        known = each.isin([*classes, ""])
        return known.groupby(level=0).all().to_numpy()

    def activation(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def sound(self, probabilities: Probabilities) -> Labels:
        possible: Labels = (probabilities >= 0) & (probabilities <= 1)
        return np.all(possible, axis=1)

    def predicted(
        self,
        probabilities: Probabilities,
        above: Labels,
        classes: Sequence[str],
    ) -> list[str]:
        names = np.array(classes, object)
        return [SEPARATOR.join(names[chosen]) for chosen in above]

    def decisions(self, probabilities: Floats, labels: Labels, folds: Ints) -> Labels:
        """Each class above its threshold from the other folds."""
        thresholds = [
            cross_fitted_thresholds(labels, of_seed, folds) for of_seed in probabilities
        ]
        return probabilities > np.stack(thresholds)

    def prediction(
        self,
        labels: Labels,
        probabilities: Probabilities,
        decided: Labels,
    ) -> tags.TagPrediction:
        return tags.TagPrediction(labels, probabilities, decided)


TAGS = Tags()
