"""MEAN_AVERAGE_PRECISION: the score that ranks runs of several labels per clip.

Conventions as in `scores.ranking_metric`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from featurestack.features_cache.table import label_indicator
from featurestack.scores import tags
from featurestack.scores.metrics import Floats, Ints, Labels, Probabilities, Score
from featurestack.scores.ranking_metric import (
    DECIDED_COLUMNS,
    OF_CLIPS,
    ClipMetric,
    Compared,
    TestedRun,
    decided,
)

SMALL = 1e-3  # less than the difference between a label and none


class MeanAveragePrecision(ClipMetric):
    """mAP of the ranks within each fold, all folds together."""

    def score(self, labels: Labels, probabilities: Probabilities, folds: Ints) -> float:
        ranks = tags.fold_ranks(probabilities, folds)
        return tags.macro(tags.average_precision(labels, ranks))

    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """The true probabilities' geometric mean, and the clip's part of mAP."""
        folds = clips["fold"].to_numpy()
        _, recording = np.unique(clips["group"], return_inverse=True)
        logarithms = tags.log_probabilities(labels, probabilities)
        ranks = tags.fold_ranks(probabilities, folds)
        values = tags.jackknife_values(labels, ranks, recording)
        parts = values * len(folds) / np.bincount(recording)
        geometric_mean = np.exp(logarithms.mean(axis=1))
        return np.stack([geometric_mean, parts[recording]])

    def configuration_score(
        self, tables: Sequence[pd.DataFrame], classes: Sequence[str]
    ) -> Score:
        seeds = []
        by_fold = []
        for table in tables:
            folds = table["fold"].to_numpy()
            probabilities = table[classes].to_numpy()
            labels = label_indicator(table["target"], classes)
            ranks = tags.fold_ranks(probabilities, folds)
            seeds.append((labels, ranks, table["group"].to_numpy(str)))
            for fold in np.unique(folds):
                tested = folds == fold
                precision = tags.average_precision(
                    labels[tested], probabilities[tested]
                )
                by_fold.append((fold, tags.macro(precision)))
        mean, low, high = tags.precision_of_seeds(seeds)[-1]
        of_folds = pd.DataFrame(by_fold, columns=["fold", "map"])
        return Score(mean, low, high, of_folds.groupby("fold")["map"].mean())

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """mAP is that of all folds; sums by recording are jackknife values."""
        first = runs[0]
        labels = first.labels
        values = []
        for run in runs:
            of_seeds = [
                tags.jackknife_values(labels, ranks, first.groups)
                for ranks in run.ranks
            ]
            values.append(np.mean(of_seeds, axis=0))
        by_recording = np.stack(values, axis=1)
        return Compared(
            accuracy=by_recording.sum(axis=0),
            interval=np.stack([run.precision[-1, 1:] for run in runs]),
            by_recording=by_recording,
            worth=np.full(len(labels), 1 / len(labels)),
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """mAP of random ranks within the folds."""
        return tags.random_order_values(run.labels, run.groups, run.folds)

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """With average precision and its interval; the last row has the mean's."""
        areas = [tags.auroc(run.labels, ranks) for ranks in run.ranks]
        table = pd.DataFrame(
            {
                "average_precision": run.precision[:-1, 0],
                "low": np.nan,  # the place of the interval's columns
                "high": np.nan,
                "prevalence": run.labels.mean(axis=0),
                "auroc": np.mean(areas, axis=0),
            }
        )
        table = table.join(decided(run)).reindex(range(len(run.precision)))
        return table.assign(low=run.precision[:, 1], high=run.precision[:, 2])


def perfect_score(run: TestedRun) -> float:
    """The score of a perfect order of the clips: below 1 if the prevalence differs
    between folds.
    """
    rng = np.random.default_rng(0)
    # no two clips are equal
    perfect = run.labels + SMALL * rng.random(run.labels.shape)
    return MEAN_AVERAGE_PRECISION.score(run.labels, perfect, run.folds)


MEAN_AVERAGE_PRECISION = MeanAveragePrecision(
    title="mAP",
    heading="mAP",
    class_score="average_precision",
    class_heading="Average precision",
    errors="labels",
    pooled=True,
    further_columns=("macro_auroc",),
    class_columns=(
        ("class", "Class", "text"),
        ("average_precision", "Average precision", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("prevalence", "Prevalence", "decimals"),
        ("auroc", "AUROC", "decimals"),
        *DECIDED_COLUMNS,
    ),
    **OF_CLIPS,
)
