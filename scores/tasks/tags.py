"""TAGS: several labels per clip, or none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    classes_in,
    label_indicator,
    refuse_class_names,
)
from featurestack.scores import tags
from featurestack.scores.calibration import cross_fitted_thresholds
from featurestack.scores.mean_average_precision import MEAN_AVERAGE_PRECISION
from featurestack.scores.metrics import (
    Ints,
    Labels,
    balanced_accuracy,
    macro_f1,
    macro_precision,
)
from featurestack.scores.ranking_metric import RankingMetric
from featurestack.scores.tasks.base import (
    CLIPS,
    DEFAULT_THRESHOLD,
    Probabilities,
    Stages,
    Task,
    Tensor,
)

# number of classes that are named, from the least average precision up
LEAST_PRECISE = 3


class Tags(Task):
    """Several labels a clip, or none: sigmoids, mAP; targets (N, K) are 0 or 1."""

    name = "tags"
    column = "label"
    score = "map"
    history: Mapping[str, Callable[[Any], float]] = {
        "loss": tags.log_loss,
        "map": tags.mean_average_precision,
        "precision": macro_precision,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    }
    loss = "binary_cross_entropy"
    multilabel = True
    stages: Stages = CLIPS

    @property
    def metric(self) -> RankingMetric:
        return MEAN_AVERAGE_PRECISION

    def refuse_clips(self, table: pd.DataFrame) -> None:
        if table["label"].nunique() < 2:
            raise RequestError(
                f"all clips have the same labels ({table['label'].iloc[0] or 'none'}):"
                " nothing to learn"
            )
        refuse_class_names(classes_in(table))

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        return [{"name": name, "category": ""} for name in classes_in(table)]

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
        self, probabilities: Probabilities, above: Labels, classes: Sequence[str]
    ) -> list[str]:
        names = np.array(classes, object)
        return [SEPARATOR.join(names[chosen]) for chosen in above]

    def decisions(
        self, probabilities: Probabilities, labels: Labels, folds: Ints | None = None
    ) -> Labels:
        if folds is None:
            return probabilities > DEFAULT_THRESHOLD
        thresholds = [
            cross_fitted_thresholds(labels, of_seed, folds) for of_seed in probabilities
        ]
        return probabilities > np.stack(thresholds)

    def error_lines(self, run: Any) -> list[str]:
        """mAP with the prevalence, and the least precise classes."""
        probabilities, numbers = run.answers()
        target = numbers > 0
        folds = run.scored()["fold"].to_numpy()
        ranks = tags.fold_ranks(probabilities, folds)
        precision = tags.average_precision(target, ranks)
        by_class = pd.DataFrame(
            {"precision": precision, "prevalence": target.mean(axis=0)}, run.classes
        )
        tested = by_class.dropna()
        least = [
            f"{row.Index} {row.precision:.2f} ({row.prevalence:.2f})"
            for row in tested.nsmallest(LEAST_PRECISE, "precision").itertuples()
        ]
        lacking = len(by_class) - len(tested)
        left_out = f"; {lacking} classes without a clip left out" if lacking else ""
        prevalence = f"prevalence {tested['prevalence'].mean():.3f}"
        named = "macro average precision of all folds, ranks within each"
        return [
            f"{named}: {tags.macro(precision):.3f} ({prevalence}){left_out}",
            f"least average precision (prevalence): {', '.join(least)}",
        ]


TAGS = Tags()
