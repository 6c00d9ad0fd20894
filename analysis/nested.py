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

from featurestack.analysis.ranking import Ranking, selected_on_others
from featurestack.results.bootstrap import (
    drawn_recordings,
    effective_recordings,
    fold_weights,
    recording_sums,
    wilson_interval,
)
from featurestack.results.scores import Floats, Ints


def nested_score(main: Ranking) -> tuple[float, float, float]:
    """The accuracy of the set, of those trained alike, that is best on the other folds,
    and both ends of its 95 % interval.

    NaN for one run, one fold or a composed set, and for tags, whose mAP is no mean over
    folds.
    """
    few = main.alike < 2 or len(main.folds) < 2
    if few or main.composed_from or main.metric.pooled:
        return np.nan, np.nan, np.nan
    runs = sorted(main.runs[: main.alike], key=lambda run: run.name)
    weights = fold_weights(main.best.folds)
    hits = np.stack([run.correct for run in runs], axis=1) * weights[:, None]
    _, recording = np.unique(main.best.groups, return_inverse=True)
    fold = np.searchsorted(main.folds, main.best.folds)
    every = np.ones((1, recording.max() + 1))
    mean = chosen_scores(hits, fold, recording, every)
    replicates = []
    shares = recording_sums(weights[:, None], recording)
    for drawn in drawn_recordings(len(shares)):
        scores = chosen_scores(hits, fold, recording, drawn)
        replicates.append(scores / (drawn @ shares)[:, 0])
    with np.errstate(invalid="ignore"):
        variance = np.nanvar(np.concatenate(replicates), keepdims=True)
    effective = effective_recordings(shares)
    ((low, high),) = wilson_interval(mean, variance, effective, len(fold))
    return float(mean[0]), float(low), float(high)


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
        places = np.unique(recording[tested])
        sums = recording_sums(hits[tested], recording[tested])
        scores.append(drawn[:, places] @ sums)
    of_folds = np.stack(scores, axis=2)  # (B, R, F)
    chosen = selected_on_others(of_folds)
    of_chosen = np.take_along_axis(of_folds, chosen[:, None], axis=1)[:, 0]
    return of_chosen.sum(axis=1)
