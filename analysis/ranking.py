"""Which runs may be ranked together, and which differ significantly.

Runs are comparable when task, classes, test clips, folds and protocol (the validation clips, the
epoch that counts) agree; only such runs share a ranking. Within it accuracy is the mean over
folds, its interval and every verdict come from one bootstrap over source recordings, and p-values of all
pairs are corrected together by Holm's method. Conventions: R runs, best first; F folds;
P = R (R - 1) / 2 pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import bootstrap
from analysis.results import Problem, Run, same_clips
from analysis.significance import LEVEL, holm
from train.scores import Floats, Ints


@dataclass(frozen=True, eq=False)
class Ranking:
    """Comparable runs, best first, and the verdict on each pair."""

    runs: tuple[Run, ...]  # (R,)
    folds: Ints  # (F,)
    fold_accuracy: Floats  # (R, F)
    accuracy: Floats  # (R,) mean over folds
    interval: Floats  # (R, 2) 95 %
    pairs: pd.DataFrame  # (P,) a, b (a is the higher one), difference, low, high, p, p_holm, differs

    @property
    def best(self) -> Run:
        return self.runs[0]

    @property
    def tied(self) -> tuple[Run, ...]:
        """The runs that do not differ significantly from the best, itself excluded."""
        against = self.pairs[(self.pairs["a"] == self.best.name) & ~self.pairs["differs"]]
        names = set(against["b"])
        return tuple(run for run in self.runs if run.name in names)

    def pair(self, a: Run, b: Run) -> pd.Series:
        """The row of two runs, the higher one first."""
        pairs = self.pairs
        return pairs[(pairs["a"] == a.name) & (pairs["b"] == b.name)].iloc[0]


def rankings(
    runs: Sequence[Run], rng: np.random.Generator, replicates: int = bootstrap.REPLICATES
) -> list[Ranking]:
    """Every set of comparable runs, ranked; the largest set first, of equal ones that with more clips."""
    sets: list[list[Run]] = []
    for run in runs:
        for together in sets:
            if comparable_runs(run, together[0]):
                together.append(run)
                break
        else:
            sets.append([run])
    sets.sort(key=lambda together: (len(together), len(together[0].clip_ids)), reverse=True)
    return [rank(together, rng, replicates) for together in sets]


def comparable_runs(run: Run, other: Run) -> bool:
    """Whether ranking the two is fair: same dataset, task, classes, test clips, folds, protocol."""
    return (
        run.task == other.task
        and run.selection_protocol == other.selection_protocol
        and run.config["dataset"] == other.config["dataset"]
        and same_clips(run, other)
    )


def not_compared(rankings_: Sequence[Ranking]) -> list[Problem]:
    """For each run outside the first ranking, why it is not in it."""
    if not rankings_:
        return []
    main = rankings_[0].best
    return [
        Problem(run.name, f"is not ranked with {main.name}: {_difference(run, main)}")
        for ranking in rankings_[1:]
        for run in ranking.runs
    ]


def _difference(run: Run, main: Run) -> str:
    """Why two runs are not comparable, the simplest reason first."""
    if run.config["dataset"] != main.config["dataset"]:
        return f"its dataset is {run.config['dataset']}, not {main.config['dataset']}"
    if run.task != main.task:
        return f"its task is {run.task}, not {main.task}"
    if run.classes != main.classes:
        return _class_difference(run, main)
    if set(run.missing_folds) - set(main.missing_folds):
        listed = ", ".join(str(fold) for fold in run.missing_folds)
        folds = f"fold {listed} is" if len(run.missing_folds) == 1 else f"folds {listed} are"
        return f"{folds} missing ({len(run.clip_ids)} test clips of {len(main.clip_ids)}): train it on"
    if not same_clips(run, main):
        return f"it tested other clips or folds ({len(run.clip_ids)} clips, the others {len(main.clip_ids)})"
    return f"its protocol is {run.protocol!r}, not {main.protocol!r}"


def _class_difference(run: Run, main: Run) -> str:
    only = sorted(set(run.classes) ^ set(main.classes))
    if not only:
        return "its classes stand in another order"
    return (
        f"its class list is another one ({len(run.classes)} classes, not {len(main.classes)}; "
        f"{only[0]!r} is in one only)"
    )


def rank(runs: Sequence[Run], rng: np.random.Generator, replicates: int = bootstrap.REPLICATES) -> Ranking:
    """Order comparable runs by accuracy and decide every pair."""
    folds, by_fold = fold_accuracy(runs)
    order = np.argsort(-by_fold.mean(axis=1), kind="stable")
    runs = [runs[place] for place in order]
    first = runs[0]
    correct = np.stack([run.correct for run in runs], axis=1)
    means = bootstrap.resampled_means(
        correct,
        first.groups,
        weights=bootstrap.fold_weights(first.folds),
        rng=rng,
        replicates=replicates,
    )
    by_fold = by_fold[order]
    return Ranking(
        runs=tuple(runs),
        folds=folds,
        fold_accuracy=by_fold,
        accuracy=by_fold.mean(axis=1),
        interval=bootstrap.interval(means),
        pairs=_verdicts(runs, by_fold.mean(axis=1), means, recordings=len(set(first.groups))),
    )


def fold_accuracy(runs: Sequence[Run]) -> tuple[Ints, Floats]:
    """The F folds and the accuracy (R, F) of comparable runs in each, seeds averaged."""
    folds, place, sizes = np.unique(runs[0].folds, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=run.correct, minlength=len(folds)) for run in runs]
    return folds, np.array(sums) / sizes


def _verdicts(runs: Sequence[Run], accuracy: Floats, means: Floats, recordings: int) -> pd.DataFrame:
    """Every pair's difference, interval, p-value, Holm's p-value, and whether it differs."""
    rows = []
    for a, b in combinations(range(len(runs)), 2):
        drawn = (means[:, a] - means[:, b])[:, None]
        (low, high), p = bootstrap.interval(drawn)[0], bootstrap.p_value(drawn, recordings)[0]
        rows.append((runs[a].name, runs[b].name, accuracy[a] - accuracy[b], low, high, p))
    pairs = pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p"])
    pairs["p_holm"] = holm(pairs["p"].to_numpy(dtype=float))
    pairs["differs"] = pairs["p_holm"] < LEVEL
    return pairs


@dataclass(frozen=True)
class NestedSelection:
    """The score of selecting the best run, with the selection inside the cross-validation."""

    accuracy: float  # mean over folds of the test score of the run selected on the others
    selected: dict[int, str]  # fold -> the run selected on all other folds


def nested_selection(ranking: Ranking) -> NestedSelection | None:
    """Select on all folds but one, score on that one, in turn; None with one fold or one run.

    The highest of many test scores is optimistic; this one is not.
    """
    scores = ranking.fold_accuracy
    runs, folds = scores.shape
    if folds < 2 or runs < 2:
        return None
    others = scores.sum(axis=1, keepdims=True) - scores
    # Rounded, so that equal sums are equal and the better run over all folds wins the tie.
    chosen = np.argmax(np.round(others, 12), axis=0)
    return NestedSelection(
        accuracy=float(scores[chosen, np.arange(folds)].mean()),
        selected={int(fold): ranking.runs[run].name for fold, run in zip(ranking.folds, chosen, strict=True)},
    )
