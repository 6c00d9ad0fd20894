"""The runs that may be ranked together, and how sure the ranking is.

Only comparable runs share a ranking. They agree in dataset, task, classes, test clips,
source recordings, the cache's audio settings and parameters, folds and protocol (the
validation clips, the epoch that counts). A run whose features were joined after they
were tested one by one is in no ranking with others: no test corrects this choice. The
main ranking has runs that finished every fold. If no two comparable runs did, but
several finished the same folds, these are ranked. Accuracy (tags: mAP) is computed over
all folds together, with a bootstrap interval.

The best run is the most accurate one, whatever its model. Features are compared within
one model with one set of options: of those with several feature sets, the one whose
best set is highest (`Ranking.alike`). Sign flips compare the best run with each other
run, and with chance (`scores.significance`).

Conventions: R runs, the best first; N clips; F folds; G source recordings.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from featurestack.analysis.runs import (
    Run,
    differing_options,
    same_cache,
    same_clips,
)
from featurestack.scores.metrics import (
    Compared,
    Floats,
    Ints,
    RankingMetric,
    largest_first,
)
from featurestack.scores.significance import (
    CHOICE_VARIANCE,
    FAMILY_LEVEL,
    FEWEST_RECORDINGS,
    LEVEL,
    FamilyTests,
    accuracy_interval,
    p_of_lead,
    recording_sums,
    sign_flip_tests,
)

# classes are uneven from this ratio of clips in the largest to clips in the smallest
UNEVEN = 1.5


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and the options that differ among the `runs` of this model:
    `resnet18, augment none`.

    Features, seed and the options in `changed` are left out.
    """
    same = [other for other in runs if other.model == run.model]
    keys = set().union(*(differing_options(run, other) for other in same))
    keys |= {"tag" for other in same if other.config.tag != run.config.tag}
    keys -= {"features", *changed}
    return ", ".join(
        [run.model, *(f"{key} {run.option_text(key)}" for key in sorted(keys))]
    )


@dataclass(frozen=True)
class AgainstChance:
    """The score of a run against a prediction that knows nothing."""

    score: str  # its name
    reached: float
    low: float  # lower end of its 95 % interval, NaN without one
    chance: float
    p: float

    @property
    def clear(self) -> bool:
        """Whether the run is clearly better than chance."""
        return (
            self.p < LEVEL
            and self.reached > self.chance
            and not (self.low <= self.chance)
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking(Compared):
    """Comparable runs, best first."""

    runs: tuple[Run, ...]  # (R,)
    folds: Ints  # (F,)
    # a difference to the best run, or of an ablation, is clear if its p is below this
    level: ClassVar[float] = FAMILY_LEVEL
    # why its runs are not in the main ranking (`reason_apart`); '' for the main ranking
    reason: str

    @property
    def best(self) -> Run:
        return self.runs[0]

    @cached_property
    def alike(self) -> list[int]:
        """The places of the feature sets that are trained alike, best first: of the
        setting whose best set is highest, among those with several; empty if none has.
        """
        by_setting: dict[str, list[int]] = {}
        for place, run in enumerate(self.runs):
            if run.trained:
                by_setting.setdefault(self.setting_of(run), []).append(place)
        for places in by_setting.values():  # the setting of the highest run comes first
            if len({self.runs[place].features for place in places}) > 1:
                return places
        return []

    def setting_of(self, run: Run) -> str:
        """The model of a run, and the options that differ among the runs of it."""
        trained = [other for other in self.runs if other.trained]
        return setting(run, trained, {"tag"})

    @property
    def metric(self) -> RankingMetric:
        """The score by which they are ranked."""
        return self.best.task.metric

    @property
    def unit(self) -> float:
        """The sum of scores of a run that predicts every clip correctly."""
        return float(self.worth.sum())

    @cached_property
    def shares(self) -> Floats:
        """(G,) the weight of each recording in the accuracy."""
        worth = recording_sums(self.worth[:, None], self.metric.units(self.best))[:, 0]
        return worth / self.unit

    @property
    def untested(self) -> str:
        """Why no difference can be significant: p is at least 2^(1 - G)."""
        if self.joined_from:
            return "joined"
        return "" if len(self.shares) >= FEWEST_RECORDINGS else "few recordings"

    @property
    def testable(self) -> bool:
        return not self.untested

    @property
    def joined_from(self) -> int:
        """Number of feature sets that the best run was joined from."""
        return self.best.joined_from

    @cached_property
    def labels(self) -> dict[str, str]:
        """Run name -> its label, which no other run has.

        The label is the features (`mel+mfcc`); if trained runs have several models, or
        runs the same features, with the model and the options that differ
        (`mel+mfcc (texturenet, tag second)`).
        """
        models = {run.model for run in self.runs if run.trained}
        labels = {}
        for run in self.runs:
            alike = [other for other in self.runs if other.features == run.features]
            labels[run.name] = run.features
            if len(alike) > 1 or (run.trained and len(models) > 1):
                labels[run.name] += f" ({setting(run, alike)})"
        return labels

    @property
    def differences(self) -> Floats:
        """(G, R - 1) scores of each other run minus the best run's."""
        return self._compared[0]

    @property
    def tests(self) -> FamilyTests:
        """Sign-flip tests of the R - 1 differences."""
        return self._compared[1]

    @cached_property
    def _compared(self) -> tuple[Floats, FamilyTests]:
        pairs = [(0, other) for other in range(1, len(self.runs))]
        return self.compare(pairs, selected=True)

    def compare(
        self, pairs: Sequence[tuple[int, int]], *, selected: bool = False
    ) -> tuple[Floats, FamilyTests]:
        """Differences (G, M) by recording, of the second run of each pair less the
        first, and their tests as one family; runs are given by place.
        """
        first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
        differences = self.by_recording[:, second] - self.by_recording[:, first]
        tests = sign_flip_tests(
            differences,
            self.shares,
            self.level,
            selected=selected,
            unit=self.unit,
        )
        return differences, tests

    @property
    def class_sizes(self) -> tuple[int, int]:
        """The number of clips of the smallest and of the largest class that has any."""
        sizes = self.best.labels.sum(axis=0)
        return int(sizes[sizes > 0].min(initial=len(self.worth))), int(sizes.max())

    @property
    def uneven(self) -> bool:
        """Whether a prediction that knows nothing gains by the commonest class."""
        fewest, most = self.class_sizes
        return most >= UNEVEN * fewest and not self.metric.pooled

    @cached_property
    def _chance_values(self) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""
        return self.metric.chance_values(self.best, self.worth)

    @property
    def chance(self) -> float:
        """The accuracy of always predicting the commonest class; tags: the mAP of a
        random order.
        """
        return float(self._chance_values.sum() / self.unit)

    @cached_property
    def against_chance(self) -> AgainstChance:
        """The best run against a prediction that knows nothing; if classes are uneven,
        the run of the highest balanced accuracy, of which every constant answer has one
        over the number of classes.
        """
        if self.uneven:
            return self._balanced_against_chance()
        leads = self.by_recording - self._chance_values[:, None]
        return AgainstChance(
            self.metric.title,
            float(self.accuracy[0]),
            float(self.interval[0, 0]),
            self.chance,
            self._p_of(leads, 0),
        )

    def _balanced_against_chance(self) -> AgainstChance:
        labels, groups = self.best.labels, self.best.groups
        sizes = labels.sum(axis=0)
        classes = int((sizes > 0).sum())
        of_class = 1 / (classes * np.maximum(sizes, 1))
        weights = labels @ of_class  # (N,) their sum is 1
        correct = np.stack([run.correct for run in self.runs], axis=1)
        balanced = weights @ correct
        highest = int(balanced.argmax())
        chance = 1 / classes
        leads = recording_sums((correct - chance) * weights[:, None], groups)
        spread = self.runs[highest].spread
        interval = accuracy_interval(correct[:, [highest]], groups, weights, spread)
        return AgainstChance(
            "balanced accuracy",
            float(balanced[highest]),
            float(interval[0, 0]),
            chance,
            self._p_of(leads, highest),
        )

    def _p_of(self, leads: Floats, place: int) -> float:
        """p of one of the leads (G, R) over chance, corrected because it is the highest
        of R; NaN for a set that was joined on the tested folds.

        Clips of different folds train for each other, so that also answers that know
        nothing scatter more together than clips would.
        """
        if self.joined_from:
            return np.nan
        variance = CHOICE_VARIANCE if len(self.folds) > 1 else 1.0
        return p_of_lead(leads, self.shares, place, variance)


def rankings(runs: Sequence[Run]) -> list[Ranking]:
    """Every set of comparable runs, ranked, the main one first."""
    sets = comparable_sets(runs)
    sets.sort(
        key=lambda together: (
            bool(together[0].joined_from),
            len(together) == 1,
            bool(together[0].missing_folds),
            -len(together[0].clip_ids),
            -len(together),
        )
    )
    main = sets[0] if sets else []
    made = []
    for together in sets:
        reasons = [reason_apart(run, other) for run in together for other in main]
        made.append(rank(together, next(filter(None, reasons), "")))
    return made


def comparable_sets(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs, those that are comparable together."""
    sets: list[list[Run]] = []
    for run in runs:
        for together in sets:
            if not any(reason_apart(run, other) for other in together):
                together.append(run)
                break
        else:
            sets.append([run])
    return sets


# what two runs must share -> how a run has it; the first that differs is the reason
APART: Mapping[str, Callable[[Run], object]] = {
    "dataset": lambda run: run.dataset,
    "task": lambda run: run.task.name,
    "classes": lambda run: run.classes,
    "folds": lambda run: run.missing_folds,
    "joined": lambda run: bool(run.joined_from),
}
# the same of two runs
APART_TOGETHER: Mapping[str, Callable[[Run, Run], bool]] = {
    "groups": lambda run, other: (
        not np.array_equal(run.clip_ids, other.clip_ids)
        or np.array_equal(run.groups, other.groups)
    ),
    "clips": same_clips,
    "audio or features": same_cache,
    # a table does not say how its model was selected
    "protocol": lambda run, other: (
        run.imported
        or other.imported
        or run.selection_protocol == other.selection_protocol
    ),
}


def reason_apart(run: Run, other: Run) -> str:
    """The first thing that two runs do not share; '' if they can be compared."""
    for reason, of_run in APART.items():
        if of_run(run) != of_run(other):
            return reason
    shared = APART_TOGETHER.items()
    return next((reason for reason, same in shared if not same(run, other)), "")


def rank(runs: Sequence[Run], reason: str = "") -> Ranking:
    """Order comparable runs by accuracy; tags by mAP."""
    compared = runs[0].task.metric.compared(runs)
    order = largest_first(compared.accuracy).tolist()
    return Ranking(
        runs=tuple(runs[row] for row in order),
        folds=np.unique(runs[0].folds),
        accuracy=compared.accuracy[order],
        interval=compared.interval[order],
        by_recording=compared.by_recording[:, order],
        worth=compared.worth,
        reason=reason,
    )
