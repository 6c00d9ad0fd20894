"""TAGS: several labels per clip, or none. The task, its metric mAP, its thresholds, and
a table of its errors. A class's threshold decides whether a clip has the class.

Conventions as in `scores.ranking_metric`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    classes_in,
    label_indicator,
    refuse_class_names,
)
from featurestack.scores import tags
from featurestack.scores.metrics import (
    Floats,
    Ints,
    Labels,
    Probabilities,
    Score,
    balanced_accuracy,
    largest_first,
    macro_f1,
    macro_precision,
)
from featurestack.scores.ranking_metric import (
    DECIDED_COLUMNS,
    OF_CLIPS,
    ClipMetric,
    Compared,
    RankingMetric,
    TestedRun,
    decided,
)
from featurestack.scores.tasks.base import (
    CLIPS,
    DEFAULT_THRESHOLD,
    Stages,
    Task,
    Tensor,
)

# number of classes that are named, from the least average precision up
LEAST_PRECISE = 3
MOST_ERRORS = 10  # listed for each class and kind
NEVER = 1.0  # no probability is above it
UNFITTED = 0.5  # threshold of a class without a clip to fit it to
SMALL = 1e-3  # less than the difference between a label and none


# ---- mAP


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
        self, tables: Sequence[pd.DataFrame], classes: Sequence[str], spread: float
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
        mean, low, high = tags.precision_of_seeds(seeds, spread)[-1]
        of_folds = pd.DataFrame(by_fold, columns=["fold", "map"])
        return Score(mean, low, high, of_folds.groupby("fold")["map"].mean())

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """mAP is that of all folds; sums by recording are jackknife values."""
        labels = runs[0].labels
        units = self.units(runs[0])
        values = []
        for run in runs:
            of_seeds = [
                tags.jackknife_values(labels, ranks, units) for ranks in run.ranks
            ]
            values.append(np.mean(of_seeds, axis=0))
        by_recording = np.stack(values, axis=1)
        return Compared(
            accuracy=by_recording.sum(axis=0),
            interval=np.stack([run.precision[-1, 1:] for run in runs]),
            by_recording=by_recording,
            worth=np.full(len(labels), 1 / len(labels)),
        )

    def units(self, run: TestedRun) -> NDArray[np.generic]:
        return tags.sets_of_recordings(run.labels, run.groups)

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """mAP of random ranks within the folds."""
        return tags.random_order_values(run.labels, self.units(run), run.folds)

    def perfect(self, run: TestedRun) -> float:
        """Below 1 if the prevalence differs between folds."""
        rng = np.random.default_rng(0)
        # no two clips are equal
        order = run.labels + SMALL * rng.random(run.labels.shape)
        return self.score(run.labels, order, run.folds)

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
        # equals are predicted together
        last_of_equals = np.diff(ordered) < 0
        best = int(np.where(last_of_equals, f1, -1).argmax())
        thresholds[column] = ordered[best : best + 2].mean()
    return thresholds


def cross_fitted_thresholds(
    target: Labels,
    probabilities: Probabilities,
    folds: Ints,
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
    run is not `whole`, or one fold alone is tested. A class that none of its clips has
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
    names = np.array(run.classes)
    texts = [SEPARATOR.join(names[row]) or "(none)" for row in run.labels]
    rows = []
    for k, name in enumerate(run.classes):
        probability = probabilities[:, k]
        missed = run.labels[:, k] & ~predicted[:, k]
        false_positive = predicted[:, k] & ~run.labels[:, k]
        # the surest first: the least probable label, the most probable other class
        for kind, wrong, surest in (
            ("missed", missed, probability),
            ("false positive", false_positive, -probability),
        ):
            clips = np.flatnonzero(wrong)
            order = np.argsort(surest[clips], kind="stable")
            for clip in clips[order][:MOST_ERRORS]:
                row = (name, kind, run.clip_ids[clip], texts[clip], probability[clip])
                rows.append(row)
    return pd.DataFrame(
        rows, columns=["class", "kind", "clip_id", "labels", "probability"]
    )


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
