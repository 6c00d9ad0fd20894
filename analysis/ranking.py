"""Which runs may be ranked together, and which differ significantly.

Runs are comparable when task, classes, test clips, folds and protocol (the validation clips, the
epoch that counts) agree; only such runs share a ranking. The main ranking is of runs that finished every
fold, where there are any. Within it accuracy is the mean over folds, intervals come from one bootstrap over
source recordings, and the best run's lead over the others is tested by `significance.pairwise_tests`.
Conventions: R runs, best first; F folds; P = R (R - 1) / 2 pairs.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.results import Problem, Run, same_clips
from analysis.significance import ABLATIONS_LEVEL, BEST_LEVEL, LEVEL, PairwiseTests, holm, pairwise_tests
from results import bootstrap
from results.scores import Floats, Ints

NOT_COMPARED = "not compared: "
CONTINUE = "continue training it"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Comparable runs, best first, and the verdict on each pair."""

    runs: tuple[Run, ...]  # (R,)
    folds: Ints  # (F,)
    fold_accuracy: Floats  # (R, F)
    accuracy: Floats  # (R,) mean over folds
    interval: Floats  # (R, 2) 95 %; NaN for too few recordings
    recordings: int  # among the test clips
    critical: Floats  # (R,) standardised lead with which the best would differ significantly from each
    # (P,) a (the higher one), b, difference, low, high; p, not corrected; p_holm, over all pairs; p_best, of
    # the best against the others, NaN without the best; differs, by p_best: False without the best
    pairs: pd.DataFrame
    planned: bool = False  # two runs that were named for their comparison

    @property
    def level(self) -> float:
        """Below which the p-value of the best run against another is significant."""
        return _level(planned=self.planned)

    @property
    def ablations_level(self) -> float:
        """The same for ablations; of two runs alone theirs is the same test."""
        return LEVEL if self.planned else ABLATIONS_LEVEL

    @property
    def best(self) -> Run:
        return self.runs[0]

    @property
    def testable(self) -> bool:
        """Whether there are recordings enough for intervals and verdicts."""
        return self.recordings >= bootstrap.FEWEST_RECORDINGS

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
    runs: Sequence[Run],
    rng: np.random.Generator,
    replicates: int = bootstrap.REPLICATES,
    *,
    named: bool = False,
    outdated: Collection[str] = (),
) -> list[Ranking]:
    """Every set of comparable runs, ranked: runs of all folds first, then more test clips, then more runs.

    Two runs that were `named` for this are a planned comparison. Sets with a run that is `outdated`, by its
    name, come last.
    """
    sets: list[list[Run]] = []
    for run in runs:
        for together in sets:
            if comparable_runs(run, together[0]):
                together.append(run)
                break
        else:
            sets.append([run])
    sets.sort(key=lambda together: _completeness(together, outdated), reverse=True)
    planned = named and len(runs) == 2 and len(sets) == 1
    return [rank(together, rng, replicates, planned=planned) for together in sets]


def _completeness(together: Sequence[Run], outdated: Collection[str]) -> tuple[bool, bool, int, int]:
    current = not any(run.name in outdated for run in together)
    whole = not any(run.missing_folds for run in together)
    return current, whole, len(together[0].clip_ids), len(together)


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
    return [Problem(run.name, f"{NOT_COMPARED}{words}") for run, _, (_, words) in _outside(rankings_)]


def not_compared_sentence(rankings_: Sequence[Ranking]) -> str:
    """`4 of 29 runs are not compared, because 3 lack folds and 1 has another task.`; empty where all are."""
    outside = _outside(rankings_)
    if not outside:
        return ""
    counts = Counter(short for _, _, (short, _) in outside).most_common()
    one = len(outside) == 1
    reasons = " and ".join(f"{'it' if one else number} {HAVE[short][number > 1]}" for short, number in counts)
    total = sum(len(ranking.runs) for ranking in rankings_)
    return f"{len(outside)} of {total} runs {'is' if one else 'are'} not compared, because {reasons}."


def reasons_outside(rankings_: Sequence[Ranking]) -> list[tuple[Run, str, str]]:
    """(run, reason, the same in words) of every run outside the first ranking."""
    return [(run, *reason) for run, _, reason in _outside(rankings_)]


HAVE = {  # why a run is not compared -> in words of one run, of several
    "folds": ("lacks folds", "lack folds"),
    **{
        name: (f"has {words}", f"have {words}")
        for name, words in {
            "dataset": "another dataset",
            "task": "another task",
            "classes": "another class list",
            "clips": "other test clips or folds",
            "protocol": "another protocol",
        }.items()
    },
}


def _outside(rankings_: Sequence[Ranking]) -> list[tuple[Run, Run, tuple[str, str]]]:
    """(run, best of the main ranking, why it is not ranked there) of every run outside."""
    return [
        (run, rankings_[0].best, _difference(run, rankings_[0].best))
        for ranking in rankings_[1:]
        for run in ranking.runs
    ]


def _difference(run: Run, main: Run) -> tuple[str, str]:
    """Why two runs are not comparable, the simplest reason first: one of HAVE, and in words."""
    if run.config["dataset"] != main.config["dataset"]:
        return "dataset", f"its dataset is {run.config['dataset']}, not {main.config['dataset']}"
    if run.task != main.task:
        return "task", f"its task is {run.task}, not {main.task}"
    if run.classes != main.classes:
        return "classes", _class_difference(run, main)
    if set(run.missing_folds) - set(main.missing_folds):
        listed = ", ".join(str(fold) for fold in run.missing_folds)
        folds = f"fold {listed} is" if len(run.missing_folds) == 1 else f"folds {listed} are"
        clips = f"{len(run.clip_ids)} test clips of {len(main.clip_ids)}"
        return "folds", f"{folds} missing ({clips}): {CONTINUE}"
    if not same_clips(run, main):
        if set(run.clip_ids) == set(main.clip_ids):
            return "clips", "it tested the same clips in other folds or of other source recordings"
        return "clips", f"it tested other clips ({len(run.clip_ids)}, the others {len(main.clip_ids)})"
    return "protocol", f"its protocol is {run.protocol!r}, not {main.protocol!r}"


def _class_difference(run: Run, main: Run) -> str:
    only = sorted(set(run.classes) ^ set(main.classes))
    if not only:
        return "its classes stand in another order"
    return (
        f"its class list is another one ({len(run.classes)} classes, not {len(main.classes)}; "
        f"{only[0]!r} is in one only)"
    )


def _level(*, planned: bool) -> float:
    return LEVEL if planned else BEST_LEVEL


def level_sentence(ranking: Ranking) -> str:
    """From which p-value on a lead of the best run is significant, and why."""
    if ranking.planned:
        return (
            f"Significant is p below {ranking.level:g}: RUN= names two runs, one comparison that was planned "
            "before its result was known. For two that were picked from a larger report its verdict counts."
        )
    return (
        f"Significant is p below {ranking.level:g}, not {LEVEL:g}: a report also tests ablations and "
        "classes, and of equally good runs at most one report in twenty should claim anything."
    )


def rank(
    runs: Sequence[Run],
    rng: np.random.Generator,
    replicates: int = bootstrap.REPLICATES,
    *,
    planned: bool = False,
) -> Ranking:
    """Order comparable runs by accuracy and decide every pair."""
    folds, by_fold = fold_accuracy(runs)
    order = np.argsort(-by_fold.mean(axis=1), kind="stable")
    runs = [runs[place] for place in order]
    first = runs[0]
    correct = np.stack([run.correct for run in runs], axis=1)
    weights, recordings = bootstrap.fold_weights(first.folds), len(set(first.groups))
    means = bootstrap.resampled_means(correct, first.groups, weights=weights, rng=rng, replicates=replicates)
    sums = bootstrap.recording_sums(correct * weights[:, None], first.groups)
    level = _level(planned=planned)
    tests = pairwise_tests(sums, level, replicates)
    by_fold = by_fold[order]
    return Ranking(
        runs=tuple(runs),
        planned=planned,
        folds=folds,
        fold_accuracy=by_fold,
        accuracy=by_fold.mean(axis=1),
        interval=bootstrap.interval(means, recordings, lowest=0),
        recordings=recordings,
        critical=tests.critical,
        pairs=_verdicts(runs, by_fold.mean(axis=1), means, tests, recordings, level),
    )


def fold_accuracy(runs: Sequence[Run]) -> tuple[Ints, Floats]:
    """The F folds and the accuracy (R, F) of comparable runs in each, seeds averaged."""
    folds, place, sizes = np.unique(runs[0].folds, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=run.correct, minlength=len(folds)) for run in runs]
    return folds, np.array(sums) / sizes


def _verdicts(
    runs: Sequence[Run],
    accuracy: Floats,
    means: Floats,
    tests: PairwiseTests,
    recordings: int,
    level: float,
) -> pd.DataFrame:
    """The rows of `Ranking.pairs`."""
    rows = []
    for a, b in combinations(range(len(runs)), 2):
        low, high = bootstrap.interval((means[:, a] - means[:, b])[:, None], recordings)[0]
        p_best = tests.p_best[b] if a == 0 else np.nan
        difference = accuracy[a] - accuracy[b]
        rows.append((runs[a].name, runs[b].name, difference, low, high, tests.p[a, b], p_best))
    pairs = pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p", "p_best"])
    pairs.insert(6, "p_holm", holm(pairs["p"].to_numpy(dtype=float)))
    enough = recordings >= bootstrap.FEWEST_RECORDINGS
    return pairs.assign(differs=enough & (pairs["p_best"] < level))


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
