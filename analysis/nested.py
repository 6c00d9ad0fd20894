"""The score of a choice: the runs that are best on the other folds, each scored on the
fold that had no part in choosing it.

What would flatter it: a tie on the other folds must not be decided by the tested fold,
so it goes to the first run by name, never to the first by rank. The runs that folds
choose are chosen on each other's test clips: if one fold's clips suit a run, the others
choose it, and its score there is counted with theirs. So the score scatters more than
that of a run that was named beforehand, and its interval comes from a bootstrap that
chooses anew in each replicate. With 30 equal runs on 40 clips the interval that leaves
this out holds the truth in 88 %, this one in 98 (`python -m bench.false_claims
TASK=best`).

Conventions: N clips, G recordings, R runs, F folds.
"""

import numpy as np
from numpy.typing import NDArray

from featurestack.analysis.ranking import Ranking
from featurestack.scores.bootstrap import (
    drawn_recordings,
    effective_recordings,
    recording_sums,
    wilson_interval,
)
from featurestack.scores.metrics import Floats, Ints


def selected_on_others(criterion: Floats) -> Ints:
    """(..., F) for each fold, the run with the best `criterion` (..., R, F) on the
    other folds; the first run wins a tie, so their order must not come from a score.
    """
    others = criterion.sum(axis=-1, keepdims=True) - criterion
    # Rounding keeps equal sums equal.
    chosen: Ints = np.argmax(np.round(others, 12), axis=-2)
    return chosen


def chosen_scores(hits: Floats, fold: Ints, recording: Ints, drawn: Floats) -> Floats:
    """(B,) sums over folds of the score of the run that is best on the other folds.

    hits       (N, R) each clip's part of the score of each run
    fold       (N,) place of the clip's fold
    recording  (N,) place of the clip's recording
    drawn      (B, G) how often a replicate has each recording
    """
    scores = []
    for number in range(fold.max() + 1):
        tested = fold == number
        of_clips = recording[tested]
        places = np.unique(of_clips)
        sums = recording_sums(hits[tested], of_clips)  # (recordings of the fold, R)
        scores.append(drawn[:, places] @ sums)
    of_folds = np.stack(scores, axis=2)  # (B, R, F)
    chosen = selected_on_others(of_folds)  # (B, F)
    of_chosen = np.take_along_axis(of_folds, chosen[:, None], axis=1)  # (B, 1, F)
    return of_chosen[:, 0].sum(axis=1)


def places_by_content(
    hits: Floats,
    fold: Ints,
    groups: NDArray[np.str_],
    of_best: Floats,
) -> Ints:
    """(N,) the place of each clip's recording in an order that no name decides, so that
    replicates draw the same recordings whatever they and the folds are called.

    hits, fold  as in `chosen_scores`
    of_best     (N,) share of the seeds of the best run that are right
    """
    _, recording = np.unique(groups, return_inverse=True)
    parts = []
    for number in range(fold.max() + 1):
        tested = (fold == number)[:, None]
        of_clips = np.hstack([hits * tested, tested])
        part = recording_sums(of_clips, recording)
        parts.append(np.round(part, 12))
    parts.sort(key=lambda part: part[np.lexsort(part.T)].tobytes())
    # first as in `accuracy_interval` of the best run, whose replicates it draws
    best = recording_sums(of_best[:, None], recording)[:, 0]
    clips = np.bincount(recording)
    keys = (*np.hstack(parts).T, best, clips)
    places = np.argsort(np.lexsort(keys))
    return places[recording]


def nested_score(main: Ranking) -> tuple[float, float, float]:
    """The accuracy of the run that is best on the other folds, and both ends of its
    95 % interval.

    NaN for one run, one fold or a composed set, and for tags, whose mAP is no mean over
    folds.
    """
    few = len(main.runs) < 2 or len(main.folds) < 2
    if few or main.composed_from or main.metric.pooled:
        return np.nan, np.nan, np.nan
    tested = main.best  # all runs tested the same clips
    runs = sorted(main.runs, key=lambda run: run.name)
    clips = len(tested.folds)
    hits = np.stack([run.correct for run in runs], axis=1) / clips
    fold = np.searchsorted(main.folds, tested.folds)
    recording = places_by_content(hits, fold, tested.groups, tested.correct)
    shares = np.bincount(recording)[:, None] / clips  # (G, 1)
    recordings = len(shares)

    every_once = np.ones((1, recordings))
    mean = chosen_scores(hits, fold, recording, every_once)
    replicates = []
    for drawn in drawn_recordings(recordings):
        scores = chosen_scores(hits, fold, recording, drawn)
        of_all_clips = (drawn @ shares)[:, 0]
        replicates.append(scores / of_all_clips)
    every = np.concatenate(replicates)
    with np.errstate(invalid="ignore"):
        variance = np.nanvar(every, keepdims=True)

    effective = effective_recordings(shares)
    ((low, high),) = wilson_interval(mean, variance, effective, clips)
    return float(mean[0]), float(low), float(high)
