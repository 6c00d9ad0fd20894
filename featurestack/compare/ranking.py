"""A ranking of models that predicted the same clips, and how sure it is.

The best model has the highest score, whatever it is. Sign flips of source recordings
compare it with each other model, and with chance (`compare.significance`).

Conventions: R models, the best first; N clips; G source recordings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

import numpy as np

from featurestack.compare.metrics import (
    Estimate,
    Floats,
    Ints,
    RankingMetric,
    TestedRun,
)
from featurestack.compare.significance import (
    CHOICE_VARIANCE,
    FAMILY_LEVEL,
    FEWEST_RECORDINGS,
    LEVEL,
    accuracy_interval,
    p_of_lead,
    recording_sums,
    sign_flip_tests,
    standard_error,
)

# classes are uneven from this ratio of clips in the largest to clips in the smallest
UNEVEN = 1.5
Model = TypeVar("Model", bound=TestedRun)


@dataclass(frozen=True)
class AgainstChance:
    """The score of a run against a prediction that knows nothing."""

    score: str  # the score's name
    reached: float
    low: float  # lower end of its 95 % interval, NaN without one
    chance: float
    p: float  # NaN if nothing can be tested: the interval alone decides

    @property
    def clear(self) -> bool:
        """Whether the run is clearly better than chance."""
        unsure = self.p >= LEVEL or self.low <= self.chance
        return self.reached > self.chance and not unsure


@dataclass(frozen=True)
class Difference(Estimate):
    """One run's score minus another's, with an interval corrected for a family."""

    error: float  # standard error
    p: float  # corrected for the family; NaN if nothing can be tested


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking(Generic[Model]):
    """Models that predicted the same clips, best first."""

    runs: tuple[Model, ...]  # (R,)
    accuracy: Floats  # (R,) the score by which they are ranked; mAP for tags
    interval: Floats  # (R, 2) 95 % interval of the accuracy; NaN for a single recording
    # (G, R) sums by recording, integers if folds are equally large; tags: jackknife
    # values
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums
    # a difference to the best run, or of an ablation, is clear if its p is below this
    level: ClassVar[float] = FAMILY_LEVEL

    @property
    def best(self) -> Model:
        return self.runs[0]

    @property
    def folds(self) -> Ints:
        return np.unique(self.best.folds)

    @property
    def metric(self) -> RankingMetric:
        """The score by which they are ranked."""
        return self.best.metric

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
        return "" if len(self.shares) >= FEWEST_RECORDINGS else "few recordings"

    @cached_property
    def differences(self) -> list[Difference]:
        """The difference of each other run from the best."""
        pairs = [(0, other) for other in range(1, len(self.runs))]
        return self.compare(pairs, selected=True)

    def compare(
        self, pairs: Sequence[tuple[int, int]], *, selected: bool = False
    ) -> list[Difference]:
        """Differences of each pair's second run from its first, tested as a family."""
        if not pairs:
            return []
        first, second = np.array(pairs).T
        by_recording = self.by_recording[:, second] - self.by_recording[:, first]
        numbers = sign_flip_tests(
            by_recording, self.shares, self.level, selected=selected, unit=self.unit
        )
        numbers = np.clip(numbers, -1, 1)
        if self.untested:
            numbers[:, 3] = np.nan
        errors = standard_error(by_recording / self.unit, self.shares)
        return [
            Difference(value, low, high, error, p)
            for (value, low, high, p), error in zip(numbers.tolist(), errors.tolist())
        ]

    @cached_property
    def uneven(self) -> tuple[int, int] | None:
        """The numbers of clips of the smallest and the largest class with test clips,
        if a prediction that knows nothing gains by the commonest class; else None.
        """
        sizes = self.best.labels.sum(axis=0)
        fewest, most = int(sizes[sizes > 0].min(initial=len(self.worth))), sizes.max()
        gains = most >= UNEVEN * fewest and not self.metric.pooled
        return (fewest, int(most)) if gains else None

    @cached_property
    def chance(self) -> float:
        """The accuracy of the commonest class; tags: the mAP of a random order."""
        by_recording = self.metric.chance_values(self.best, self.worth)
        return float(by_recording.sum() / self.unit)

    @cached_property
    def against_chance(self) -> AgainstChance:
        """The best run against a prediction that knows nothing; if classes are uneven,
        the run with the highest balanced accuracy, which is one over the number of
        classes for every constant answer.

        p is corrected because the run is the highest of R; NaN if `untested`. Clips of
        one fold train the models of others, so that even answers that know nothing
        vary more together than independent clips would.
        """
        name, place, chance = self.metric.title, 0, self.chance
        scores, low = self.accuracy, self.interval[0, 0]
        by_recording = self.metric.chance_values(self.best, self.worth)
        leads = self.by_recording - by_recording[:, None]
        if self.uneven:
            sizes = self.best.labels.sum(axis=0)
            chance = 1 / int((sizes > 0).sum())
            weights = self.best.labels @ (chance / np.maximum(sizes, 1))  # sum is 1
            correct = np.stack([run.correct for run in self.runs], axis=1)
            name, scores = "balanced accuracy", weights @ correct
            place = int(scores.argmax())
            groups, spread = self.best.groups, self.runs[place].folders[0].spread
            leads = recording_sums((correct - chance) * weights[:, None], groups)
            of_best = correct[:, [place]]
            ((low, _),) = accuracy_interval(of_best, groups, weights, spread)
        p = np.nan
        if not self.untested:
            variance = CHOICE_VARIANCE if len(self.folds) > 1 else 1.0
            p = p_of_lead(leads, self.shares, place, variance)
        return AgainstChance(name, float(scores[place]), float(low), chance, p)
