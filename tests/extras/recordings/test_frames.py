"""Targets of frames, and detections from their probabilities."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurestack.extras.recordings.frames import (
    Frames,
    Rule,
    are_exclusive,
    count_rules,
    cross_fitted,
    detect,
    detect_all,
    rule_grid,
)
from featurestack.extras.recordings.scores import ALL
from tests.extras.recordings.field import HOP, frames, scores_of


def events(*rows):
    return pd.DataFrame(rows, columns=["file", "start", "end", "label"])


def detections(frame_set, probability, rule=None):
    found = {"a": detect(frame_set, np.array(probability, float), rule or Rule())}
    return frame_set.table(found)[["file", "start", "end"]].round(6).values.tolist()


def test_a_frame_has_the_events_that_its_time_lies_in_and_none_is_lost():
    target = frames(1, 1).targets(events(("r0", 0.2, 0.4, "a"), ("r1", 0.0, 0.31, "a")))
    assert np.flatnonzero(target[:, 0]).tolist() == [2, 3, 10, 11, 12]
    short = [("r0", 0.31, 0.32, "a"), ("r0", 0.7, 0.701, "a"), ("r0", 0.99, 1.0, "a")]
    target = frames(1).targets(events(*short))
    assert np.flatnonzero(target[:, 0]).tolist() in ([3, 6, 9], [3, 7, 9])


def test_shifted_spans_stay_in_their_recording():
    own = frames(2, 3)
    table = events(("r0", 0.2, 0.6, "a"), ("r0", 1.0, 1.2, "a"), ("r1", 1.0, 2.0, "a"))
    moved = own.shifted(own.spans(table)["a"], np.array([0.45, 0.5]))
    assert own.table({"a": moved})[["file", "start", "end"]].values.tolist() == [
        ["r0", pytest.approx(1.1), pytest.approx(1.5)],
        ["r0", pytest.approx(1.9), pytest.approx(2.0)],
        ["r1", pytest.approx(2.5), pytest.approx(3.0)],
    ]


def test_an_event_across_the_edge_of_a_block_counts_in_both():
    table = pd.DataFrame(
        {"file": "r0", "start": [0.0, 1], "end": [1.0, 2], "fold": [1, 2], "frames": 10}
    )
    blocks = Frames(table, np.arange(20) * HOP + HOP / 2, HOP, ("a",))
    (own,) = blocks.spans(events(("r0", 0.5, 1.5, "a"))).values()
    assert (own.end - own.start).tolist() == [0.5, 0.5]
    assert own.stretch.tolist() == [0, 1]


def test_a_detection_lasts_while_it_is_above_the_lower_threshold():
    probability = [0, 0.3, 0.6, 0.3, 0, 0.3, 0.3, 0, 0.9, 0.9]
    assert detections(frames(1), probability) == [["r0", 0.2, 0.3], ["r0", 0.8, 1.0]]
    half = Rule(threshold=0.5, share=0.5)
    both = [["r0", 0.1, 0.4], ["r0", 0.8, 1.0]]
    assert detections(frames(1), probability, half) == both
    longer = replace(half, least_length=0.25)
    assert detections(frames(1), probability, longer) == [["r0", 0.1, 0.4]]


def test_detections_with_a_frame_between_them_meet_in_its_middle():
    rows = [("r0", 0.2, 0.5, "a"), ("r0", 0.5, 0.8, "a")]
    target = frames(1).targets(events(*rows))[:, 0]
    first, second = detections(frames(1), target.astype(float))
    assert first == ["r0", 0.2, pytest.approx(0.45)]
    assert second == ["r0", pytest.approx(0.45), 0.8]
    apart = [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
    assert detections(frames(1), apart) == [["r0", 0.2, 0.4], ["r0", 0.6, 0.8]]


def test_targets_give_their_events_back():
    rng = np.random.default_rng(0)
    steps = rng.integers(2, 9, 120)
    limits = np.cumsum(steps).reshape(-1, 2) * HOP
    table = events(*(("r0", start, end, "a") for start, end in limits))
    every = frames(limits.max() + 1)
    found = detect_all(every, every.targets(table).astype(float), {"a": Rule()})
    rows = every.table(found)
    assert rows[["start", "end"]].to_numpy() == pytest.approx(limits)


def test_labels_exclude_each_other_if_two_at_a_time_are_rare():
    alone = [("r0", 0, 10, "a"), ("r0", 10, 20, "b"), ("r1", 5, 15, "b")]
    assert are_exclusive(events(*alone))
    assert are_exclusive(events(*alone, ("r1", 14.9, 20, "a")))
    assert not are_exclusive(events(*alone, ("r1", 12, 20, "a")))
    assert are_exclusive(events(*alone, ("r0", 5, 8, "a")))  # one label twice


def example(noise):
    """Ten recordings with events whose probabilities are noisy."""
    rng = np.random.default_rng(0)
    every = frames(*[30] * 10)
    rows = []
    for number in range(10):
        starts = np.arange(1, 28, 3) + rng.uniform(0, 0.5, 9)
        rows += [(f"r{number}", start, start + 0.8, "a") for start in starts]
    table = events(*rows)
    sharp = every.targets(table).astype(float)
    probability = 0.3 * sharp + noise * rng.uniform(0, 1, sharp.shape)
    return every, probability, table


def scored(every, found, table):
    return scores_of(every.spans(table), found, every.seconds).loc[ALL]


def test_rules_find_a_threshold_that_the_default_misses():
    every, probability, table = example(0.1)
    counts = count_rules(every, probability, table)
    default = detect_all(every, probability, {"a": Rule()})
    assert scored(every, default, table)["f1"] == 0
    assert scored(every, cross_fitted(every, probability, counts), table)["f1"] > 0.95


def test_a_fold_has_no_part_in_its_own_rule():
    every, probability, table = example(0.2)
    counts = count_rules(every, probability, table)
    changed = probability.copy()
    own = every.stretch == 0
    changed[own] = np.random.default_rng(1).uniform(0, 1, (own.sum(), 1))
    other = count_rules(every, changed, table)
    assert counts.chosen(without=1) == other.chosen(without=1)


def test_the_default_rule_joins_frames_unless_labels_exclude_each_other():
    every, _, table = example(0)
    spans = every.spans(table)["a"]
    probability = np.tile([0, 0, 0.6, 0.4, 0.4, 0.6, 0.6, 0.6, 0, 0], 300)
    joined, cut = (
        detect(every, probability, rule_grid(spans, exclusive)[0])
        for exclusive in (False, True)
    )
    assert len(joined.score) == 300
    assert joined.lasts == pytest.approx(0.6)
    assert cut.lasts == pytest.approx(0.3)
    assert len(cut.score) == 300  # one frame is shorter than 0.3 of 0.8 s


def test_a_rule_that_is_better_by_chance_is_not_chosen():
    every, probability, table = example(0.3)
    counts = count_rules(every, probability, table)
    default = counts.rules["a"][0]
    counts.numbers[1] = counts.numbers[2]
    counts.numbers[0] = 0.8 * counts.numbers[1]
    counts.numbers[0, ..., 5] *= 1.04  # 18 of 90 events are missed, or 15
    assert counts.chosen()["a"] == default
    counts.numbers[0, ..., 5] *= 1.1
    assert counts.chosen()["a"] == counts.rules["a"][5]
