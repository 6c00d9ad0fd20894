"""Scores of clips with several labels or none: arrays in, arrays out.

Average precision is the mean over a class's positive clips of the precision at each
clip's score; equal scores are one threshold (scikit-learn's `average_precision_score`).
A random order gives about the prevalence. Classes without a positive clip have NaN and
are left out of every mean. The folds' models differ in calibration: `fold_ranks` makes
their scores comparable before clips of all folds are pooled. (The mean of the folds'
own average precisions would be too high for rare classes.)

The jackknife attributes mAP to source recordings, so that the tests of differences
between runs apply; the bootstrap over recordings gives mAP's interval.

Conventions: N clips, K classes, G recordings, T thresholds; `target` (N, K) bool,
`scores` (N, K).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.comparison import significance
from featurestack.comparison.metrics import (
    Evaluation,
    Floats,
    Ints,
    Labels,
    Probabilities,
    Score,
    balanced_accuracy,
    binary_log_loss,
    decide,
    largest_first,
    macro_f1,
)
from featurestack.comparison.scores import Metric, Predictions, decided_scores

VARIANCE_REPLICATES = 500  # only their variance counts
# If there are more recordings, sets of them are drawn and left out, which changes the
# standard error of mAP by 4 to 8 % (950 recordings).
MOST_SETS = 200
# of an average precision, at least, over that of a share of its positive clips: the
# smallest of 1/8, 1/4 and 1 with which `bench.statements STATEMENT=classes` holds
PRECISION_VARIANCE = 0.25
ABOVE_ALL = 1.0  # a threshold: no probability is above it
SMALL = 1e-3  # less than the difference between a label and none


def sets_of_recordings(
    target: Labels, groups: NDArray[np.generic]
) -> NDArray[np.generic]:
    """(N,) the recordings; above MOST_SETS, sets of them alike in size and labels."""
    names, place = np.unique(groups, return_inverse=True)
    if len(names) <= MOST_SETS:
        return groups
    content = significance.recording_sums(
        np.column_stack([target, np.ones(len(target))]), groups
    )
    rank = np.empty(len(names), np.intp)
    rank[np.lexsort(content.T)] = np.arange(len(names))
    return rank[place] % MOST_SETS


def fold_ranks(probabilities: Probabilities, folds: Ints) -> Floats:
    """Ranks (N, K) of each class's probabilities among the clips of the same fold, from
    0 to 1.

    >>> probabilities = np.array([[0.1], [0.2], [0.7], [0.9]])
    >>> fold_ranks(probabilities, np.array([1, 1, 2, 2])).ravel()
    array([0.25, 0.75, 0.25, 0.75])
    """
    _, fold, clips = np.unique(folds, return_inverse=True, return_counts=True)
    ranks = pd.DataFrame(probabilities).groupby(fold).rank()  # ties share their mean
    return (ranks.to_numpy() - 0.5) / clips[fold][:, None]


def average_precision(target: Labels, scores: Probabilities) -> Floats:
    """Average precision (K,) of each class."""
    one_recording = np.zeros(len(target), np.intp)
    return _resampled(target, scores, one_recording, lambda counts: counts)[0]


def _resampled(
    target: Labels,
    scores: Probabilities,
    recordings: Ints,
    resample: Callable[[Floats], Floats],
) -> Floats:
    """Average precisions (B, K) of B samples; `resample` maps counts of recordings
    (G, T) to theirs (B, T).

    The T thresholds of a class are the scores of its positive clips, the highest first.
    Row g, column t counts recording g's clips whose score is at least threshold t, but
    not at least t - 1; hits counts the positive ones. Scores 0.9 and 0.7 of recording
    0, 0.6 and 0.1 of recording 1, the first and the third positive, have the thresholds
    0.9 and 0.6:

        clips        >= 0.9  >= 0.6      hits         >= 0.9  >= 0.6
        recording 0       1       1      recording 0       1       0
        recording 1       0       1      recording 1       0       1

    A sample of the recordings is then a sum of rows, and its average precision comes
    from cumulative sums along the thresholds.

    recordings  (N,) numbers from 0 to G - 1
    """
    groups = recordings.max(initial=0) + 1
    columns = []
    for positive, score in zip(target.T, scores.T):
        falling = -score  # so that the highest score comes first
        thresholds = np.sort(falling[positive])
        threshold = np.searchsorted(thresholds, falling)
        shape = groups, len(thresholds) + 1  # the last column is below all thresholds

        every_clip = _counts(recordings, threshold, shape)
        every_hit = _counts(recordings[positive], threshold[positive], shape)
        clips, hits = resample(every_clip), resample(every_hit)
        reached = np.maximum(clips.cumsum(axis=1), 1)
        precision = hits.cumsum(axis=1) / reached
        total = (hits * precision).sum(axis=1)
        columns.append(_ratio(total, hits.sum(axis=1)))
    return np.stack(columns, axis=1)


def _ratio(total: NDArray[np.number], positives: NDArray[np.number]) -> Floats:
    """NaN without a positive clip."""
    unknown = np.full(len(total), np.nan)
    return np.divide(total, positives, out=unknown, where=positives > 0)


def _counts(recordings: Ints, threshold: Ints, shape: tuple[int, int]) -> Floats:
    """(G, T) the number of clips of each recording at each threshold."""
    groups, thresholds = shape
    place = recordings * thresholds + threshold
    counts = np.bincount(place, minlength=groups * thresholds)
    above_some = counts.reshape(shape)[:, :-1]
    return above_some.astype(float)


def auroc(target: Labels, scores: Probabilities) -> Floats:
    """Area under the ROC curve (K,); ties count half."""
    ranks = pd.DataFrame(scores).rank().to_numpy()  # ties share their mean
    positives = target.sum(axis=0)
    below = (ranks * target).sum(axis=0) - positives * (positives + 1) / 2
    return _ratio(below, positives * (len(target) - positives))


def jackknife_values(
    target: Labels, scores: Probabilities, groups: NDArray[np.generic]
) -> Floats:
    """Values (G,) of the recordings, in the order of their names, that sum to mAP.

    A value adds mAP, weighted by the recording's share s of the clips, and the fall of
    mAP without it, weighted by 1 - s; the remainder is spread in proportion to s.
    """
    _, recordings, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    whole = average_precision(target, scores)
    without = _without_each(target, scores, recordings)
    scored = ~np.isnan(whole)
    mean = whole[scored].mean()
    reduced = np.nan_to_num(without[:, scored])
    fall = (whole[scored] - reduced).mean(axis=1)
    shares = sizes / sizes.sum()
    values = shares * mean + (1 - shares) * fall
    remainder = mean - values.sum()
    return values + shares * remainder


def _without_each(target: Labels, scores: Probabilities, recordings: Ints) -> Floats:
    """(G, K) average precisions without each recording, NaN without a positive clip."""
    return _resampled(
        target, scores, recordings, lambda counts: counts.sum(axis=0) - counts
    )


def random_rank_precision(target: Labels, folds: Ints) -> Floats:
    """Expected average precision (K,) of random ranks within the folds: less than a
    random order's, because clips of several folds share a rank, which is one threshold.

    At a positive clip's rank, its fold has c clips that are ranked so high: itself and,
    of the c - 1 others, the share of the fold's other clips that are positive. Clips of
    another fold are positive as often as all of that fold.
    """
    _, fold, clips = np.unique(folds, return_inverse=True, return_counts=True)
    every = np.arange(len(folds))
    ranks = fold_ranks(every[:, None].astype(float), folds)[:, 0]
    above = np.stack(
        [
            size - np.searchsorted(np.sort(ranks[fold == number]), ranks)
            for number, size in enumerate(clips)
        ],
        axis=1,
    )  # (N, F)
    positives = np.stack([np.bincount(fold, labels) for labels in target.T], axis=1)
    share = positives / clips[:, None]  # (F, K)
    share_of_others = (positives - 1) / np.maximum(clips - 1, 1)[:, None]
    of_fold = above[every, fold][:, None]
    hits_of_fold = 1 + (of_fold - 1) * share_of_others[fold]
    hits_of_others = above @ share - of_fold * share[fold]
    hits = hits_of_fold + hits_of_others
    precision = hits / above.sum(axis=1, keepdims=True)
    return _ratio((share[fold] * precision).sum(axis=0), positives.sum(axis=0))


def precision_of_seeds(
    target: Labels,
    ranks: Floats,
    groups: NDArray[np.generic],
    spread: float = 1.0,
) -> Floats:
    """(K + 1, 3): each class's average precision, and both ends of its 95 % interval;
    the last row has their mean, mAP. All are means over the seeds of a configuration,
    whose `ranks` are (S, N, K); `spread` as in `accuracy_interval`.

    NaN for a class without a positive clip; no interval if its positive clips come from
    fewer than two recordings. Recordings are drawn with replacement, the same for every
    seed. The variance of the replicates' means over the seeds makes the interval, as
    for accuracies (`comparison.significance`), so that it holds the score. Average
    precision of few positive clips is too high, since the first one comes early by
    luck: the lower end is lower by the jackknife's estimate of that bias.
    """
    names = recordings_by_content(target, ranks, groups)
    recordings = pd.Index(names).get_indexer(groups) % MOST_SETS
    sets = recordings.max() + 1
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(sets, np.full(sets, 1 / sets), VARIANCE_REPLICATES)
    resample = partial(np.matmul, drawn.astype(float))
    precisions, biases, replicates = [], [], []
    for scores in ranks:
        each = average_precision(target, scores)
        rise = _mean(_without_each(target, scores, recordings), axis=0) - each
        precisions.append(_with_mean(each[None]))
        biases.append(_with_mean((sets - 1) * rise[None]))
        replicates.append(_with_mean(_resampled(target, scores, recordings, resample)))
    precision, bias = np.mean(precisions, axis=0)[0], np.mean(biases, axis=0)[0]
    scored = ~np.isnan(precision)
    variance = np.nanvar(np.mean(replicates, axis=0)[:, scored], axis=0)
    spreads = significance.spread_of(variance, spread)
    # the last column counts all clips
    counted = np.column_stack([target, np.ones(len(target))])[:, scored]
    effective = significance.effective_recordings(
        significance.recording_sums(counted, recordings)
    )
    table = np.full((len(precision), 3), np.nan)
    table[:, 0] = precision
    # the mean varies at least as its classes, whose positive clips may be few
    shares = precision[scored].copy()
    classes, positives = shares[:-1], effective[:-1]
    shares[-1], least = significance.mean_of_classes(classes, positives)
    variance[-1] = max(variance[-1], least * PRECISION_VARIANCE)
    table[scored, 1:] = significance.wilson_interval(
        precision[scored], variance, effective, len(target), spreads, shares
    )
    table[:, 1] = np.maximum(table[:, 1] - np.nan_to_num(bias).clip(0), 0)
    return table


def recordings_by_content(
    target: Labels, ranks: Floats, groups: NDArray[np.generic]
) -> NDArray[np.generic]:
    """The recordings in an order that does not depend on their names."""
    of_clips = {
        "labels": target.sum(axis=1),
        "all": ranks.sum(axis=(0, 2)),
        "true": (target * ranks).sum(axis=(0, 2)),
        "clips": 1,
    }
    content = pd.DataFrame(of_clips).groupby(groups).sum().round(9)
    return content.sort_values([*content], kind="stable").index.to_numpy()


def _with_mean(precisions: Floats) -> Floats:
    """Average precisions (B, K), and their mean as a last column."""
    mean = _mean(precisions, axis=1)
    return np.column_stack([precisions, mean])


def _mean(values: Floats, axis: int) -> Floats:
    """The mean without NaN; NaN if nothing else is there."""
    scored = ~np.isnan(values)
    total = np.nansum(values, axis=axis)
    with np.errstate(invalid="ignore"):
        return total / scored.sum(axis=axis)


def macro(by_class: Floats) -> float:
    """The mean over the classes that have a score; NaN if none has."""
    scored = by_class[~np.isnan(by_class)]
    return float(scored.mean()) if len(scored) else np.nan


# ---- thresholds above which a clip has a class


def fit_thresholds(target: Labels, probabilities: Probabilities) -> Floats:
    """The thresholds (K,) with the highest F1 on these clips."""
    thresholds = np.full(target.shape[1], ABOVE_ALL)
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


# ---- the metric


class MeanAveragePrecision(Metric):
    """Mean average precision of scores that are ranked within each fold, then pooled
    over the folds.
    """

    def decisions(self, predictions: Predictions) -> Labels:
        """(S, N, K) decisions by thresholds that were fitted to the other folds."""
        thresholds = [
            cross_fitted_thresholds(predictions.labels, seed, folds)
            for seed, folds in zip(predictions.probabilities, predictions.folds)
        ]
        return decide(predictions.probabilities, np.stack(thresholds))

    def order(self, predictions: Predictions) -> Floats:
        seeds = zip(predictions.probabilities, predictions.folds)
        return np.stack([fold_ranks(seed, folds) for seed, folds in seeds])

    def units(self, predictions: Predictions) -> NDArray[np.generic]:
        return sets_of_recordings(predictions.labels, predictions.groups)

    def score(self, predictions: Predictions) -> float:
        seeds = [
            macro(average_precision(predictions.labels, ranks))
            for ranks in predictions.order
        ]
        return float(np.mean(seeds))

    def parts(self, predictions: Predictions) -> Floats:
        """Jackknife values of the recordings, spread over their clips."""
        labels, units = predictions.labels, predictions.units
        seeds = [jackknife_values(labels, ranks, units) for ranks in predictions.order]
        _, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
        return np.stack([(values * len(units) / sizes)[place] for values in seeds])

    def chance(self, predictions: Predictions) -> Floats:
        """The score of random ranks within the folds, for every clip."""
        by_class = random_rank_precision(predictions.labels, predictions.folds[0])
        return np.full(len(predictions.labels), macro(by_class))

    def interval(self, predictions: Predictions) -> Floats:
        return self.precision(predictions)[-1, 1:]

    def precision(self, predictions: Predictions) -> Floats:
        """(K + 1, 3) average precisions and their intervals."""
        return precision_of_seeds(
            predictions.labels,
            predictions.order,
            predictions.groups,
            predictions.variance,
        )

    def class_table(self, predictions: Predictions) -> pd.DataFrame:
        """The scores of `Metric.class_table`, with average precision and its interval;
        the last row has the interval of the mean.
        """
        labels, precision = predictions.labels, self.precision(predictions)
        areas = [auroc(labels, ranks) for ranks in predictions.order]
        table = pd.DataFrame(
            {
                "average_precision": precision[:-1, 0],
                "low": np.nan,  # the place of the interval's columns
                "high": np.nan,
                "prevalence": labels.mean(axis=0),
                "auroc": np.mean(areas, axis=0),
            }
        )
        table = table.join(decided_scores(predictions)).reindex(range(len(precision)))
        return table.assign(low=precision[:, 1], high=precision[:, 2])


def mean_average_precision(evaluation: Evaluation) -> float:
    """Mean of the classes' average precisions.

    Within one fold it is biased upwards, because rare classes have few positive clips.
    """
    return macro(average_precision(evaluation.labels, evaluation.order))


def macro_auroc(evaluation: Evaluation) -> float:
    """Mean over the classes of the area under the ROC curve."""
    return macro(auroc(evaluation.labels, evaluation.order))


MEAN_AVERAGE_PRECISION = MeanAveragePrecision(
    name="map",
    title="mAP",
    heading="mAP",
    history={
        "loss": binary_log_loss,
        "map": mean_average_precision,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    },
    scores={
        "map": Score(mean_average_precision, "mAP", "percent"),
        "macro_auroc": Score(macro_auroc, "Macro AUROC"),
        "macro_f1": Score(macro_f1, "Macro F1"),
        "log_loss": Score(binary_log_loss, "Log loss", less=True),
    },
    class_score="average_precision",
    class_heading="Average precision",
    multilabel=True,
)


def perfect(predictions: Predictions) -> Floats:
    """(K,) the average precision of each class if the order of the clips is perfect:
    below 1 if the prevalence differs between folds, whose ranks are pooled.
    """
    labels = predictions.labels
    rng = np.random.default_rng(0)
    order = labels + SMALL * rng.random(labels.shape)  # so that no two clips are equal
    return average_precision(labels, fold_ranks(order, predictions.folds[0]))
