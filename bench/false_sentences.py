"""Designs of `python -m bench.false_claims TASK=sentences`: sentences whose truth is
known, as they were printed before and as they are printed now.
"""

from typing import NamedTuple

import numpy as np

from featurestack.pipeline.datasets.name_fields import name_fields
from featurestack.results.scores import by_unit
from featurestack.rooms.across.tests.simulated import overlapping, useless_sets
from featurestack.rooms.events.tests.simulated import interval_and_truth
from featurestack.rooms.importance.tests.simulated import (
    CURVES,
    MANY,
    learning_curves,
    many_features,
    smallest_set,
)
from tests.pipeline.datasets.test_name_fields import INNOCENT, innocent
from tests.train.simulated import scored_elsewhere

ELSEWHERE = ((10, 60, 200, 0.35), (10, 150, 400, 0.25))
NAMES_BEFORE = 22  # kinds that `name_fields` of commit f8a242c5 suspected
SETS = 31
OVERLAPPING = 10  # useless sets over datasets that share recordings
RECORDINGS = (3, 12, 30)  # each has ten blocks


class Outcome(NamedTuple):
    """Percentages or points: the worst before, the truth, and the range now."""

    simulation: str
    before: float
    true: float
    low: float
    high: float


def outcomes(reports: int, seed: int) -> list[Outcome]:
    """Every design; `reports` of each row."""
    designs = (elsewhere, names, curves, largest_gain, fitted, overlaps, blocks)
    return [each(reports, np.random.default_rng(seed)) for each in designs]


def outcome(text: str, true: float, pairs: list[tuple[float, float]]) -> Outcome:
    """The outcome of (before, now) pairs, one for each row of a design."""
    before, now = zip(*pairs)
    return Outcome(text, max(before), true, min(now), max(now))


def elsewhere(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    for classes, inputs, clips, strength in ELSEWHERE:
        drawn = [
            scored_elsewhere(classes, inputs, clips, rng, strength)
            for _ in range(reports)
        ]
        together, alone = np.mean(
            [[compared.change for compared in each] for each in drawn], axis=0
        )
        pairs.append((100 * together, 100 * alone))
    return outcome("another dataset without a fall: mean change, points", 0, pairs)


def names(reports: int, rng: np.random.Generator) -> Outcome:
    suspected = sum(bool(name_fields(innocent(form))) for form in INNOCENT.values())
    text = "of 32 innocent kinds of file names: kinds that are suspected, number"
    return outcome(text, 0, [(NAMES_BEFORE, suspected)])


def curves(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    for design in CURVES.values():
        drawn = learning_curves(design, reports, rng)
        less = np.mean([true > last["gain"] for last, _, true in drawn])
        false = [
            "no more than" in text and true > last["gain_high"]
            for last, text, true in drawn
        ]
        pairs.append((100 * less, 100 * np.mean(false)))
    return outcome("next doubling of the recordings: false bounds, %", 0, pairs)


def largest_gain(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    for datasets in (5, 8, 12):
        drawn = [useless_sets(datasets, SETS, rng) for _ in range(reports)]
        plain = [above and "so too high" not in text for above, text in drawn]
        above = np.mean([above for above, _ in drawn])
        pairs.append((100 * above, 100 * np.mean(plain)))
    text = "best of 31 useless sets on a new dataset: gains without a warning, %"
    return outcome(text, 2.5, pairs)


def fitted(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    for design in MANY:
        before, now = [], []
        for _ in range(min(reports, 10)):
            some, every = many_features(design, rng)
            text = smallest_set(some)[1]
            smaller = len(smallest_set(every)[0]) < len("+".join(some.features))
            before.append(text.startswith("No smaller set") and smaller)
            now.append(before[-1] and "sets that were fitted" not in text)
        pairs.append((100 * np.mean(before), 100 * np.mean(now)))
    return outcome("no smaller set keeps 95 %: false sentences, %", 0, pairs)


def overlaps(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    for datasets in (3, 6):
        drawn = [overlapping(datasets, OVERLAPPING, rng) for _ in range(reports)]
        clear = np.mean([clear for clear, _ in drawn])
        unnamed = np.mean([clear and not named for clear, named in drawn])
        pairs.append((100 * clear, 100 * unnamed))
    text = "datasets that share 45 % of recordings: false gains without a warning, %"
    return outcome(text, 5, pairs)


def blocks(reports: int, rng: np.random.Generator) -> Outcome:
    pairs = []
    warned = "for these recordings alone" in by_unit("block")
    for recordings in RECORDINGS:
        drawn = [
            interval_and_truth(recordings, rng, by_block=True) for _ in range(reports)
        ]
        held = [low <= f1 <= high for (low, high), f1 in drawn]
        missed = 100 * float(1 - np.mean(held))
        pairs.append((missed, 0.0 if warned else missed))
    text = "F1 of events by block: intervals that miss new recordings unwarned, %"
    return outcome(text, 5, pairs)
