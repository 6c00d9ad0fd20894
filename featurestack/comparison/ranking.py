"""A ranking of models that predicted the same clips, and how sure it is.

The best model has the highest score, whatever it is. Sign flips of source recordings
compare it with each other model, and with chance (`comparison.significance`).

What would flatter: that the best was selected by the scores that are tested; that a
difference counts among models that know nothing; that a difference of two trainings
counts as one of two feature sets.

Conventions: R models, the best first; N clips; G source recordings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Literal, TypeVar

import numpy as np

from featurestack.comparison import significance
from featurestack.comparison.metrics import Floats, Ints, largest_first
from featurestack.comparison.scores import Estimate, Metric, Predictions, uneven

Verdict = Literal[
    "best", "no clear difference", "clearly worse", "clearly better", "not compared"
]
Model = TypeVar("Model", bound=Predictions)


def in_order(models: Iterable[Model]) -> tuple[Model, ...]:
    """The models, the highest score first; equal scores keep their order."""
    every = [*models]
    scores = np.array([model.score.value for model in every]).round(12)
    return tuple(every[place] for place in largest_first(scores).tolist())


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelRanking(Generic[Model]):
    """Models that predicted the same clips, the best first."""

    runs: tuple[Model, ...]  # (R,)
    # whether models were cross-validated: several were trained for each score, and they
    # share their training clips
    crossed: bool
    draws: int = significance.DRAWS  # patterns of signs
    # a difference to the best run, or of an ablation, is clear if its p is below this
    level: float = significance.FAMILY_LEVEL

    @property
    def best(self) -> Model:
        return self.runs[0]

    @property
    def folds(self) -> Ints:
        return np.unique(self.best.folds)

    @property
    def metric(self) -> Metric:
        """The score by which they are ranked."""
        return self.best.metric

    @cached_property
    def by_recording(self) -> Floats:
        """(G, R) the recordings' parts of the scores, which sum to them."""
        parts = np.stack([model.parts for model in self.runs], axis=1)
        sums = significance.recording_sums(parts, self.best.units) / len(parts)
        return sums.round(15)  # so that no order of clips makes equal ones differ

    @property
    def drawings(self) -> int:
        """How often the folds of every model were drawn. Seeds that share their folds
        are no repeats of cross-validation.
        """
        return min(len(np.unique(model.folds, axis=0)) for model in self.runs)

    @property
    def exact(self) -> bool:
        """Whether every model has one solution."""
        return all(model.exact for model in self.runs)

    def training(self, first: Ints, second: Ints) -> Floats:
        """(M,) the variance of the pairs' differences by training."""
        repeats = min(len(model.folds) for model in self.runs)
        several = self.drawings > 1
        by_seed = [
            model.parts_of_seeds[:repeats] if several else model.parts[None]
            for model in self.runs
        ]
        parts = np.stack(by_seed, axis=-1)  # (S, N, R)
        sums = [
            significance.recording_sums(of_seed, self.best.units) for of_seed in parts
        ]
        of_seeds = np.stack(sums) / parts.shape[1]
        return significance.variance_of_training(
            of_seeds[..., second] - of_seeds[..., first],
            self.shares,
            exact=self.exact,
            level=self.level,
        )

    @cached_property
    def shares(self) -> Floats:
        """(G,) the weight of each recording in the score."""
        weights = self.best.weights[:, None]
        return significance.recording_sums(weights, self.best.units)[:, 0] / len(
            weights
        )

    @property
    def untested(self) -> str:
        """Why no difference can be significant; '' if one can."""
        return "few recordings" if significance.few_groups(len(self.shares)) else ""

    @cached_property
    def differences(self) -> list[Estimate]:
        """The difference of each other model from the best."""
        pairs = [(0, other) for other in range(1, len(self.runs))]
        return self.compare(pairs, selected=True)

    def compare(
        self, pairs: Sequence[tuple[int, int]], *, selected: bool = False
    ) -> list[Estimate]:
        """Differences of each pair's second model from its first, tested as a family.
        None is clear if the best model is not clearly better than chance.
        """
        if not pairs:
            return []
        first, second = np.array(pairs).T
        numbers = significance.sign_flip_tests(
            self.by_recording[:, second] - self.by_recording[:, first],
            self.shares,
            self.level,
            selected=selected,
            unit=1.0,
            draws=self.draws,
            training=self.training(first, second) if self.crossed else 0.0,
        )
        numbers = np.clip(numbers, -1, 1)
        if self.untested:
            numbers[:, 3] = np.nan
        elif not self.against_chance.clear:
            numbers[:, 1] = np.minimum(numbers[:, 1], 0)
            numbers[:, 2] = np.maximum(numbers[:, 2], 0)
            numbers[:, 3] = np.maximum(numbers[:, 3], significance.LEVEL)
        return [Estimate(*row) for row in numbers.tolist()]

    def gains(self, pairs: Sequence[tuple[Model, Model]]) -> list[Estimate]:
        """Differences of each pair's second model from its first. One from the best is
        that of `differences`; the others are a family.
        """
        at = self.runs.index
        places = [(at(less), at(more)) for less, more in pairs]
        others = [pair for pair in places if 0 not in pair]
        found = dict(zip(others, self.compare(others)))
        for place, difference in enumerate(self.differences, 1):
            found[0, place] = difference
            found[place, 0] = replace(
                difference,
                value=-difference.value,
                low=-difference.high,
                high=-difference.low,
            )
        return [found[pair] for pair in places]

    def verdict(self, place: int) -> Verdict:
        """The verdict on the model at a place."""
        if self.untested or len(self.runs) == 1:
            return "not compared"
        if place == 0:
            return "best"
        difference = self.differences[place - 1]
        if difference.p >= self.level:
            return "no clear difference"
        # only what leads whatever it scores, such as an answer, is worse than others
        return "clearly better" if difference.value > 0 else "clearly worse"

    @cached_property
    def uneven(self) -> tuple[int, int] | None:
        """The numbers of clips of the smallest and the largest class, if the models are
        ranked by balanced accuracy; else None.
        """
        return uneven(self.best.labels) if self.metric.balanced else None

    @cached_property
    def leads(self) -> "list[AgainstChance]":
        """Each model against an answer that knows nothing. Whatever says that a model
        is better than chance asks this.

        p is corrected because there are R models; NaN if `untested`. Clips of one fold
        train the models of others, so that even answers that know nothing vary more
        together than independent clips would.
        """
        chance = self.best.metric.chance(self.best)
        of_chance = significance.recording_sums(chance[:, None], self.best.units) / len(
            chance
        )
        p = np.full(len(self.runs), np.nan)
        if not self.untested:
            leads = self.by_recording - of_chance
            variance = significance.TRAINING_VARIANCE if self.crossed else 1.0
            p = significance.p_of_leads(leads, self.shares, variance, self.draws)
        mean = round(float(chance.mean()), 12)
        against = []
        for model, p_of_model in zip(self.runs, p.tolist()):
            score = Estimate(model.metric.score(model))
            # else p decides, and an interval of mAP takes seconds
            if not p_of_model >= significance.LEVEL:
                score = model.score
            against.append(AgainstChance(score, mean, p_of_model))
        return against

    @property
    def against_chance(self) -> "AgainstChance":
        """The best model against an answer that knows nothing."""
        return self.leads[0]

    @property
    def chance(self) -> float:
        """The score of an answer that knows nothing."""
        return self.against_chance.chance


@dataclass(frozen=True)
class AgainstChance:
    """The score of a model against an answer that knows nothing. It is clearly better
    if p is below LEVEL and its interval above chance.
    """

    score: Estimate
    chance: float
    p: float  # NaN if nothing can be tested: the interval alone decides

    @property
    def lead(self) -> float:
        return self.score.value - self.chance

    @property
    def clear(self) -> bool:
        """Whether the model is clearly better than chance."""
        return self.lead > 0 and not self.doubt

    @property
    def doubt(self) -> str:
        """What keeps a lead from being clear, in words; '' if nothing does."""
        if self.p >= significance.LEVEL:
            return f"p = {self.p:.3f}"
        if not self.score.low <= self.chance:
            return ""
        return f"its 95 % interval, {self.score.interval}, holds chance"
