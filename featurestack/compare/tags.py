"""TAGS: several labels per clip, or none. The task, its metric mAP, its thresholds, and
a table of its errors. A class's threshold decides whether a clip has the class.

Conventions as in `scores.metrics`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.compare import average_precision as ap
from featurestack.compare.metrics import (
    DECIDED_COLUMNS,
    DEFAULT_THRESHOLD,
    OF_CLIPS,
    SMALLEST_PROBABILITY,
    Evaluation,
    Floats,
    Ints,
    Labels,
    Probabilities,
    RankingMetric,
    TestedRun,
    balanced_accuracy,
    decided_scores,
    largest_first,
    macro_f1,
    names_of,
)
from featurestack.compare.tasks import Task
from featurestack.features_cache.table import (
    by_label,
    classes_in,
    label_indicator,
    refuse_class_names,
)

# number of classes that are named, from the least average precision up
LEAST_PRECISE = 3
MOST_ERRORS = 10  # listed for each class and kind
NEVER = 1.0  # no probability is above it
UNFITTED = 0.5  # threshold of a class without a clip to fit it to
SMALL = 1e-3  # less than the difference between a label and none


# ---- scores of one set of predictions


def mean_average_precision(evaluation: Evaluation) -> float:
    """Mean average precision of the classes; biased upwards in one fold."""
    return ap.macro(ap.average_precision(evaluation.labels, evaluation.order))


def macro_auroc(evaluation: Evaluation) -> float:
    """Mean over the classes of the area under the ROC curve."""
    return ap.macro(ap.auroc(evaluation.labels, evaluation.order))


def log_loss(evaluation: Evaluation) -> float:
    """Mean binary cross-entropy."""
    of_absence = 1 - evaluation.probabilities.astype(np.float64)
    true = np.where(evaluation.labels, evaluation.probabilities, of_absence)
    return float(-np.log(np.maximum(true, SMALLEST_PROBABILITY)).mean())


# ---- mAP


@lru_cache(maxsize=64)  # a report asks several times
def ranks_of(run: TestedRun) -> Floats:
    """(S, N, K) ranks of each class's probabilities within each fold."""
    by_seed = [ap.fold_ranks(values, run.folds) for values in run.probabilities]
    return np.stack(by_seed)


@lru_cache(maxsize=64)
def precision_of(run: TestedRun) -> Floats:
    """(K + 1, 3): `precision_of_seeds`."""
    spread = run.folders[0].spread
    return ap.precision_of_seeds(run.labels, ranks_of(run), run.groups, spread)


class MeanAveragePrecision(RankingMetric):
    """mAP of the ranks within each fold, all folds together."""

    def score(self, labels: Labels, probabilities: Probabilities, folds: Ints) -> float:
        ranks = ap.fold_ranks(probabilities, folds)
        return ap.macro(ap.average_precision(labels, ranks))

    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """The clip's part of mAP."""
        folds = clips["fold"].to_numpy()
        _, recording = np.unique(clips["group"], return_inverse=True)
        ranks = ap.fold_ranks(probabilities, folds)
        values = ap.jackknife_values(labels, ranks, recording)
        parts = values * len(folds) / np.bincount(recording)
        return parts[recording]

    def order(self, run: TestedRun) -> Floats:
        return ranks_of(run)

    def thresholds(
        self, labels: Labels, probabilities: Floats, folds: Ints
    ) -> Floats | None:
        return np.stack(
            [cross_fitted_thresholds(labels, seed, folds) for seed in probabilities]
        )

    def compared(self, runs: Sequence[TestedRun]) -> tuple[Floats, ...]:
        """mAP is over all folds together; sums by recording are jackknife values."""
        labels = runs[0].labels
        units = self.units(runs[0])
        values = []
        for run in runs:
            of_seeds = [
                ap.jackknife_values(labels, ranks, units) for ranks in ranks_of(run)
            ]
            values.append(np.mean(of_seeds, axis=0))
        by_recording = np.stack(values, axis=1)
        intervals = np.stack([precision_of(run)[-1, 1:] for run in runs])
        worth = np.full(len(labels), 1 / len(labels))
        return by_recording.sum(axis=0), intervals, by_recording, worth

    def units(self, run: TestedRun) -> NDArray[np.generic]:
        return ap.sets_of_recordings(run.labels, run.groups)

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """mAP of random ranks within the folds."""
        return ap.random_order_values(run.labels, self.units(run), run.folds)

    def perfect(self, run: TestedRun) -> Floats:
        """Below 1 if the prevalence differs between folds."""
        rng = np.random.default_rng(0)
        # so that no two clips are equal
        order = run.labels + SMALL * rng.random(run.labels.shape)
        return ap.average_precision(run.labels, ap.fold_ranks(order, run.folds))

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """With average precision and its interval; the last row has the mean's."""
        precision = precision_of(run)
        areas = [ap.auroc(run.labels, ranks) for ranks in ranks_of(run)]
        table = pd.DataFrame(
            {
                "average_precision": precision[:-1, 0],
                "low": np.nan,  # the place of the interval's columns
                "high": np.nan,
                "prevalence": run.labels.mean(axis=0),
                "auroc": np.mean(areas, axis=0),
            }
        )
        table = table.join(decided_scores(run)).reindex(range(len(precision)))
        return table.assign(low=precision[:, 1], high=precision[:, 2])

    def error_lines(self, run: TestedRun) -> list[str]:
        """mAP with the prevalence, and the least precise classes."""
        labels, (ranks,) = run.labels, ranks_of(run)
        precision = ap.average_precision(labels, ranks)
        by_class = pd.DataFrame(
            {"precision": precision, "prevalence": labels.mean(axis=0)}, run.classes
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
            f"{named}: {ap.macro(precision):.3f} ({prevalence}){left_out}",
            f"least average precision (prevalence): {', '.join(least)}",
        ]


MEAN_AVERAGE_PRECISION = MeanAveragePrecision(
    labels="tags",
    name="map",
    title="mAP",
    heading="mAP",
    history={
        "loss": log_loss,
        "map": mean_average_precision,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    },
    scores={
        "map": mean_average_precision,
        "macro_auroc": macro_auroc,
        "macro_f1": macro_f1,
        "log_loss": log_loss,
    },
    threshold=DEFAULT_THRESHOLD,
    class_score="average_precision",
    meaning=(
        "the mean over the classes of average precision; clips of all folds are ordered"
        " by their rank within the fold, because the models of two folds are calibrated"
        " separately. One fold’s own mAP is too high for rare classes. F1 is at"
        " thresholds fitted on the other folds"
    ),
    chance_meaning="what a random order of each fold’s clips gets on average",
    errors="labels",
    pooled=True,
    score_columns=(*OF_CLIPS, ("macro_auroc", "Macro AUROC", "decimals", False)),
    class_columns=(
        ("class", "Class", "text"),
        ("average_precision", "Average precision", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("prevalence", "Prevalence", "decimals"),
        ("auroc", "AUROC", "decimals"),
        *DECIDED_COLUMNS,
    ),
)


# ---- thresholds


def fit_thresholds(target: Labels, probabilities: Probabilities) -> Floats:
    """The thresholds (K,) with the highest F1 on these clips."""
    thresholds = np.full(target.shape[1], NEVER)
    for column in np.flatnonzero(target.any(axis=0)):
        values = probabilities[:, column]
        order = largest_first(values)
        ordered = values[order].astype(np.float64)
        ordered = np.append(ordered, 0)
        predicted = np.arange(1, len(order) + 1)
        hits = np.cumsum(target[order, column])
        f1 = 2 * hits / (predicted + hits[-1])
        last_of_equals = np.diff(ordered) < 0  # equals are predicted together
        best = int(np.where(last_of_equals, f1, -1).argmax())
        thresholds[column] = ordered[best : best + 2].mean()
    return thresholds


def cross_fitted_thresholds(
    target: Labels, probabilities: Probabilities, folds: Ints
) -> Floats:
    """Each clip's thresholds (N, K), fitted to the clips of the other folds."""
    thresholds = np.empty(target.shape)
    for fold in np.unique(folds):
        others = folds != fold
        thresholds[~others] = fit_thresholds(target[others], probabilities[others])
    return thresholds


def thresholds_of_run(
    labels: Labels, probabilities: Probabilities, folds: Ints, *, whole: bool
) -> Floats:
    """(K,) the thresholds with the highest F1 on all tested clips.

    A clip counts for the classes that its fold's model was trained on: those tested in
    the other folds. It counts for all classes if some fold is unfinished, so that the
    run is not `whole`, or only one fold is tested. A class that none of its clips has
    gets UNFITTED.
    """
    tested, fold_of_clip = np.unique(folds, return_inverse=True)
    present = np.stack([labels[folds == fold].any(axis=0) for fold in tested])
    other_folds = present.sum(axis=0) - present
    elsewhere = other_folds > 0
    if len(tested) == 1 or not whole:  # not all other folds are known
        elsewhere[:] = True
    trained = elsewhere[fold_of_clip]
    target = labels & trained
    thresholds = fit_thresholds(target, probabilities * trained)
    return np.where(target.any(axis=0), thresholds, UNFITTED)


# ---- the task and its errors


def error_table(run: TestedRun) -> pd.DataFrame:
    """The surest errors of each class: class, kind (missed | false positive), clip_id,
    labels, probability.

    Probabilities are means over the seeds. A class is predicted if more than half of
    the seeds predict it.
    """
    probabilities = run.probabilities.mean(axis=0)
    predicted = run.decisions.mean(axis=0) > 0.5
    clip, column = np.nonzero(predicted != run.labels)
    extra, probability = predicted[clip, column], probabilities[clip, column]
    texts = [text or "(none)" for text in names_of(run.labels, run.classes)]
    table = pd.DataFrame(
        {
            "class": np.array(run.classes, object)[column],
            "kind": np.where(extra, "false positive", "missed"),
            "clip_id": run.clip_ids[clip],
            "labels": np.array(texts, object)[clip],
            "probability": probability,
        }
    )
    # the surest first: the least probable label, the most probable other class
    surest = np.lexsort((np.where(extra, -probability, probability), extra, column))
    by_kind = table.iloc[surest].groupby(["class", "kind"], sort=False)
    return by_kind.head(MOST_ERRORS).reset_index(drop=True)


class Tags(Task):
    """Several labels a clip, or none: sigmoids, mAP; targets (N, K) are 0 or 1."""

    name = "tags"
    column = "label"
    metric: RankingMetric = MEAN_AVERAGE_PRECISION
    multilabel = True

    def refuse(self, table: pd.DataFrame) -> None:
        if table["label"].nunique() < 2:
            raise RequestError(
                f"all clips have the same labels ({table['label'].iloc[0] or 'none'}):"
                " nothing to learn"
            )
        refuse_class_names(classes_in(table))

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        return [{"name": name, "category": ""} for name in classes_in(table)]

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        targets = label_indicator(text, classes).astype(np.intp)
        each = by_label(pd.DataFrame({"label": text.to_numpy()}))["label"]
        known = each.isin([*classes, ""]).groupby(level=0).all()
        targets[~known.to_numpy()] = -1
        return targets


TAGS = Tags()
