"""The runs that may be ranked together, and how sure the ranking is.

Only comparable runs share a ranking. They agree in dataset, task, classes, test clips,
source recordings, the cache's audio settings and parameters, folds and protocol (the
validation clips, the epoch that counts). A run whose features were joined after they
were tested one by one is in no ranking with others: no test corrects this choice. A
former answer is in no ranking with the latest one, whichever score is higher. The main
ranking has runs that finished every fold. If no two comparable runs did, but
several finished the same folds, these are ranked. Accuracy (tags: mAP) is computed over
all folds together, with a bootstrap interval.

The best run is the most accurate one, whatever its model. Features are compared within
one setting, a model with its options: of the settings with several feature sets, the
one whose best set is highest (`Findings.alike`). Sign flips compare the best run with
each other run, and with chance (`scores.significance`).

Conventions: R runs, the best first; N clips; F folds; G source recordings.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import ClassVar

import numpy as np

from featurestack.analysis.runs import Run, differing_options, same_clips
from featurestack.compare.metrics import (
    Estimate,
    Floats,
    Ints,
    RankingMetric,
    largest_first,
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


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and the options that differ among the `runs` of this model:
    `resnet18, augment none`.

    Features, seed and the options in `changed` are left out. A choice of features and
    predictions from elsewhere have no options that could differ.
    """
    kind = run.model, bool(run.trained)
    same = [other for other in runs if (other.model, bool(other.trained)) == kind]
    keys = set().union(*(differing_options(run, other) for other in same))
    keys |= {"tag" for other in same if other.config.tag != run.config.tag}
    keys -= {"features", *changed}
    return ", ".join(
        [run.model, *(f"{key} {run.option_text(key)}" for key in sorted(keys))]
    )


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
class Ranking:
    """Comparable runs, best first."""

    runs: tuple[Run, ...]  # (R,)
    accuracy: Floats  # (R,) the score by which they are ranked; mAP for tags
    interval: Floats  # (R, 2) 95 % interval of the accuracy; NaN for a single recording
    # (G, R) sums by recording, integers if folds are equally large; tags: jackknife
    # values
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums
    # why its runs are not in the main ranking (`reason_apart`); '' for the main ranking
    reason: str = ""
    # a difference to the best run, or of an ablation, is clear if its p is below this
    level: ClassVar[float] = FAMILY_LEVEL

    @property
    def best(self) -> Run:
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
        if self.best.joined_from:
            return "joined"
        return "" if len(self.shares) >= FEWEST_RECORDINGS else "few recordings"

    @cached_property
    def labels(self) -> dict[str, str]:
        """The unique label of each run, by the run's name.

        The label is the features (`mel+mfcc`). If trained runs have several models, or
        runs have the same features, the model and the options that differ follow:
        `mel+mfcc (texturenet, tag second)`.
        """
        models = {run.model for run in self.runs if run.trained}
        labels = {}
        for run in self.runs:
            alike = [other for other in self.runs if other.features == run.features]
            labels[run.name] = run.features
            if len(alike) > 1 or (run.trained and len(models) > 1):
                labels[run.name] += f" ({setting(run, alike)})"
        return labels

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


def rankings(runs: Sequence[Run]) -> list[Ranking]:
    """Every set of comparable runs, ordered by accuracy, or tags by mAP; the main one
    first.
    """
    sets: list[list[Run]] = []
    for run in runs:
        for together in sets:
            if not any(reason_apart(run, other) for other in together):
                together.append(run)
                break
        else:
            sets.append([run])
    sets.sort(
        key=lambda together: (
            bool(together[0].joined_from),
            len(together) == 1,
            bool(together[0].missing_folds),
            -len(together[0].clip_ids),
            -len(together),
            together[0].imported,
        )
    )
    main = sets[0] if sets else []
    made = []
    for together in sets:
        reasons = [reason_apart(run, other) for run in together for other in main]
        # of equal scores the smaller set comes first
        together.sort(key=lambda run: run.features.count("+"))
        accuracy, interval, sums, worth = together[0].metric.compared(together)
        order = largest_first(accuracy.round(12)).tolist()
        made.append(
            Ranking(
                runs=tuple(together[row] for row in order),
                accuracy=accuracy[order],
                interval=interval[order],
                by_recording=sums[:, order],
                worth=worth,
                reason=next(filter(None, reasons), ""),
            )
        )
    return made


def reason_apart(run: Run, other: Run) -> str:
    """The first thing that two runs do not share; '' if they can be compared."""
    # a table of predictions does not say how its model was selected, or what it read
    imported = run.imported or other.imported
    # the validation and the epoch that counts; if unknown the whole `protocol`
    protocols = [
        f"{own.config.val}, {own.checkpoint}" if own.config.val else own.protocol
        for own in (run, other)
    ]
    same_ids = np.array_equal(run.clip_ids, other.clip_ids)
    a, b = run.trained, other.trained
    same_values = True
    # a digest covers the whole table of clips, so only equal tables can be compared
    if a and b and a.clips == b.clips:
        shared = a.cache.keys() & b.cache.keys()
        same_values = all(a.cache[name] == b.cache[name] for name in shared)
    of_audio = attrgetter("sample_rate", "duration", "audio_channel")
    same_audio = of_audio(run.config) == of_audio(other.config)
    differing = {
        "dataset": run.dataset != other.dataset,
        "task": run.task.name != other.task.name,
        "classes": run.classes != other.classes,
        "folds": run.missing_folds != other.missing_folds
        or (same_ids and not np.array_equal(run.folds, other.folds)),
        "joined": bool(run.joined_from) != bool(other.joined_from),
        "answer": bool(run.choice and other.choice) and run is not other,
        "groups": same_ids and not np.array_equal(run.groups, other.groups),
        "clips": not same_clips(run, other),
        "audio or features": not (imported or (same_values and same_audio)),
        "protocol": protocols[0] != protocols[1] and not imported,
    }
    return next((reason for reason, found in differing.items() if found), "")
