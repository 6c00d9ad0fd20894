"""Which runs may be ranked together, and how sure the ranking is.

Runs are comparable when dataset, task, classes, test clips, source recordings, folds and protocol (the
validation clips, the epoch that counts) agree; only such runs share a ranking. The main ranking is of runs
that finished every fold; if there are not two of them, of runs that finished some, to which a run of more
folds is added on these. Accuracy is the mean over folds, with a bootstrap interval; the best run is
compared with each other one, and with chance, by sign flips (`analysis.significance`). Conventions: R runs,
best first; F folds; G source recordings.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np

from analysis.results import Run, differing_options, on_folds, same_clips
from analysis.significance import FAMILY_LEVEL, LEVEL, FamilyTests, fewest_recordings, sign_flip_tests
from results import bootstrap
from results.scores import Floats, Ints


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and what tells it from those of `runs` with that model: `resnet18, augment none`.

    Left out are the features, the seed and the options in `changed`.
    """
    same = [other for other in runs if other.model == run.model]
    keys = set().union(*(differing_options(run, other) for other in same)) - {"features", *changed}
    return ", ".join([run.model, *(f"{key} {run.option_text(key)}" for key in sorted(keys))])


@dataclass(frozen=True, eq=False)
class Ranking:
    """Comparable runs, best first."""

    runs: tuple[Run, ...]  # (R,)
    folds: Ints  # (F,)
    fold_accuracy: Floats  # (R, F)
    interval: Floats  # (R, 2) of the accuracy, 95 %; NaN for a single recording
    scores: Floats  # (G, R) of each recording; whole numbers if all folds have as many clips
    shares: Floats  # (G,) of each recording in the mean
    worth: Floats  # (N,) what a clip scores that is predicted correctly
    planned: bool = False  # two runs that were named for their comparison

    @property
    def best(self) -> Run:
        return self.runs[0]

    @property
    def accuracy(self) -> Floats:
        """(R,) means over folds."""
        return self.fold_accuracy.mean(axis=1)

    @property
    def unit(self) -> float:
        """What the scores of a run that is always right sum to."""
        return float(self.worth.sum())

    @property
    def recordings(self) -> int:
        return len(self.shares)

    @property
    def level(self) -> float:
        """Below which a p-value is significant, of the best run against the others and of ablations."""
        return LEVEL if self.planned else FAMILY_LEVEL

    @property
    def testable(self) -> bool:
        """Whether any difference could be significant: of G recordings p is 2^(1 - G) at least."""
        return self.recordings >= fewest_recordings(self.level)

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each run, by its name, is called beside the others.

        Its features if that is unique, else with the model, else with what differs too: `mel+mfcc`,
        `mel+mfcc (texture)`, `mel+mfcc (texture, tag second)`; its name if nothing does.
        """
        candidates = []
        for run in self.runs:
            members = len(run.config.get("members", ()))  # a list of many would fill lines
            features = f"an ensemble of {members} runs" if members > 2 else run.features
            alike = [
                other for other in self.runs if (other.features, other.model) == (run.features, run.model)
            ]
            own = setting(run, alike)
            if len({other.config.get("tag", "") for other in alike}) > 1:
                own += f", tag {run.config['tag']}" if run.config.get("tag") else ", no tag"
            candidates.append((features, f"{features} ({run.model})", f"{features} ({own})", run.name))
        counts = Counter(name for names in candidates for name in set(names))
        return {names[-1]: next(name for name in names if counts[name] == 1) for names in candidates}

    @cached_property
    def tests(self) -> FamilyTests:
        """Of the best run's lead over each of the R - 1 others."""
        return sign_flip_tests(self.leads, self.shares, self.level, selected=True)

    @property
    def leads(self) -> Floats:
        """(G, R - 1) how much better the best run is on each recording than each other."""
        return self.scores[:, :1] - self.scores[:, 1:]

    @property
    def tied(self) -> tuple[Run, ...]:
        """The runs that do not differ significantly from the best, itself excluded."""
        clear = (self.tests.p < self.level) & self.testable
        return tuple(run for run, differs in zip(self.runs[1:], clear, strict=True) if not differs)

    @cached_property
    def chance(self) -> tuple[float, float]:
        """Accuracy of always predicting the commonest class; p of the best run against it.

        P is corrected for all runs, of which the best was selected.
        """
        commonest = self.best.target == np.bincount(self.best.target).argmax()
        of_chance = bootstrap.recording_sums((commonest * self.worth)[:, None], self.best.groups)
        tests = sign_flip_tests(self.scores - of_chance, self.shares, LEVEL)
        return float(of_chance.sum() / self.unit), float(tests.p[0])


def rankings(
    runs: Sequence[Run], seed: int = 0, *, named: bool = False, outdated: Collection[str] = ()
) -> list[Ranking]:
    """Every set of comparable runs, ranked, the main one first.

    Two runs that were `named` for this are a planned comparison. Sets with a run that is `outdated`, by its
    name, come last.
    """
    sets: list[list[Run]] = []
    for run in runs:
        together = next((together for together in sets if not reason_apart(run, together[0])), None)
        if together is None:
            sets.append([run])
        else:
            together.append(run)
    sets.sort(
        key=lambda together: (
            not any(run.name in outdated for run in together),
            len(together) > 1,
            not together[0].missing_folds,
            len(together[0].clip_ids),
            len(together),
        ),
        reverse=True,
    )
    if sets and sets[0][0].missing_folds:
        main, *others = sets
        for run in [run for together in others for run in together]:
            part = on_folds(run, main[0].folds)
            if not reason_apart(part, main[0]):
                main.append(part)
                others = [[one for one in together if one is not run] for together in others]
        sets = [main, *filter(None, others)]
    planned = named and len(runs) == 2 and len(sets) == 1
    return [rank(together, seed, planned=planned) for together in sets]


def reason_apart(run: Run, main: Run) -> str:
    """What two runs do not share, so that they cannot be compared; the simplest first, empty if nothing."""
    shared = {
        "dataset": run.dataset == main.dataset,
        "task": run.task == main.task,
        "classes": run.classes == main.classes,
        "folds": set(run.missing_folds) <= set(main.missing_folds),
        "groups": np.array_equal(run.groups, main.groups) or not np.array_equal(run.clip_ids, main.clip_ids),
        "clips": same_clips(run, main),
        "protocol": run.selection_protocol == main.selection_protocol,
    }
    return next((reason for reason, equal in shared.items() if not equal), "")


def reasons_outside(rankings_: Sequence[Ranking]) -> list[tuple[Run, str]]:
    """(run, why it is not in the first ranking) of every run outside."""
    outside = [run for ranking in rankings_[1:] for run in ranking.runs]
    return [(run, reason_apart(run, rankings_[0].best)) for run in outside]


def rank(runs: Sequence[Run], seed: int = 0, *, planned: bool = False) -> Ranking:
    """Order comparable runs by accuracy; the seed draws the bootstrap."""
    first = runs[0]
    folds, place, sizes = np.unique(first.folds, return_inverse=True, return_counts=True)
    by_fold = np.array([np.bincount(place, weights=run.correct) / sizes for run in runs])
    order = np.argsort(-by_fold.mean(axis=1), kind="stable")
    ordered = [runs[number] for number in order]
    right = [run.predicted == run.target for run in ordered]  # (S, N) each
    multiple = lcm(*map(len, right))
    hits = np.stack([seeds.sum(axis=0) * (multiple // len(seeds)) for seeds in right], axis=1)  # (N, R)
    weights, rng = bootstrap.fold_weights(first.folds), np.random.default_rng(seed)
    # Whole numbers, so that equal sums are equal, unless folds differ in size.
    each = weights if np.ptp(sizes) else np.ones(len(weights))
    return Ranking(
        runs=tuple(ordered),
        folds=folds,
        fold_accuracy=by_fold[order],
        interval=bootstrap.accuracy_interval(hits / multiple, first.groups, weights, rng),
        scores=bootstrap.recording_sums(hits * each[:, None], first.groups),
        shares=bootstrap.recording_sums(weights[:, None], first.groups)[:, 0],
        worth=each * multiple,
        planned=planned,
    )


def nested_selection(scores: Floats, criterion: Floats | None = None) -> float:
    """The mean score of the run that all other folds select, fold by fold; NaN with one fold.

    The highest of many test scores is optimistic; this one is not. `scores` (R, folds) select, or `criterion`
    of the same shape.
    """
    criterion = scores if criterion is None else criterion
    if scores.shape[1] < 2:
        return np.nan
    others = criterion.sum(axis=1, keepdims=True) - criterion
    # Rounded, so that equal sums are equal and the better run over all folds wins the tie.
    chosen = np.argmax(np.round(others, 12), axis=0)
    return float(scores[chosen, np.arange(scores.shape[1])].mean())
