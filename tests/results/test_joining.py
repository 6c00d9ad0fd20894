"""Rules that join windows: hysteresis, gaps, lengths; their choice against events."""

import numpy as np
import pandas as pd
import pytest

from featurestack.results.config import JoiningRule
from featurestack.results.detections import fit_rules
from featurestack.results.joining import join_by_rules, join_windows
from featurestack.results.windows import middles


def line(probability, hop=1.0, file="a"):
    """The middles of windows of one hop, and their probabilities of x."""
    starts = hop * np.arange(len(probability))
    table = pd.DataFrame({"file": file, "start": starts, "end": starts + hop})
    return middles(table, hop), pd.DataFrame({"x": np.array(probability, float)})


def joined(probability, **rule):
    found = join_by_rules(*line(probability), {"x": JoiningRule(**rule)})
    return found[["start", "end"]].to_numpy().tolist()


@pytest.mark.parametrize(
    ("probability", "rule", "expected"),
    [
        ([0, 0.4, 0.9, 0.4, 0], {"threshold": 0.5}, [[2, 3]]),
        ([0, 0.4, 0.9, 0.4, 0], {"threshold": 0.5, "share": 0.6}, [[1, 4]]),
        # no window is above the threshold
        ([0, 0.4, 0.4, 0.4, 0], {"threshold": 0.5, "share": 0.6}, []),
        ([0.9, 0, 0.9, 0, 0], {"threshold": 0.5}, [[0, 1], [2, 3]]),
        ([0.9, 0, 0.9, 0, 0], {"threshold": 0.5, "longest_gap": 1}, [[0, 3]]),
        ([0.9, 0, 0, 0.9], {"threshold": 0.5, "longest_gap": 1}, [[0, 1], [3, 4]]),
        ([0.9, 0, 0.9, 0.9], {"threshold": 0.5, "least_length": 2}, [[2, 4]]),
        # gaps are closed before lengths are compared
        (
            [0.9, 0, 0.9, 0],
            {"threshold": 0.5, "longest_gap": 1, "least_length": 3},
            [[0, 3]],
        ),
        # a detection of four seconds has two parts of at most 2.5
        ([0, 1, 1, 1, 1], {"threshold": 0.5, "longest_length": 2.5}, [[1, 3], [3, 5]]),
        ([1, 1, 1, 0, 1], {"threshold": 0.5, "longest_length": 3}, [[0, 3], [4, 5]]),
        ([1, 1, 1], {"threshold": 0.5, "longest_length": 2}, [[0, 1], [1, 3]]),
        # no part is shorter than a window
        ([1, 1], {"threshold": 0.5, "longest_length": 0.1}, [[0, 1], [1, 2]]),
        ([0, 0, 0], {"threshold": 0.5, "longest_length": 1}, []),
        ([0, 0, 0], {"threshold": 0.5}, []),
        ([0.9, 0.9, 0.9], {"threshold": 0.5}, [[0, 3]]),
    ],
)
def test_a_rule_makes_the_detections_of_a_class(probability, rule, expected):
    assert joined(probability, **rule) == expected


def test_a_gap_between_two_recordings_is_never_closed():
    first, second = line([0, 0.9]), line([0.9, 0], file="b")
    middle, probabilities = (
        pd.concat(pair, ignore_index=True) for pair in zip(first, second)
    )
    rule = JoiningRule(threshold=0.5, longest_gap=9)
    found = join_by_rules(middle, probabilities, {"x": rule})
    assert found["file"].tolist() == ["a", "b"]


def test_mean_and_largest_are_those_of_the_detection():
    found = join_by_rules(
        *line([0.1, 0.4, 0.9, 0.1, 0.8]), {"x": JoiningRule(threshold=0.5, share=0.6)}
    )
    assert found["mean"].tolist() == pytest.approx([0.65, 0.8])
    assert found["largest"].tolist() == pytest.approx([0.9, 0.8])


def test_a_rule_of_a_threshold_alone_joins_as_windows_do():
    probability = np.random.default_rng(0).random(200)
    middle, probabilities = line(probability)
    plain = join_windows(middle, probabilities > 0.7, probabilities)
    by_rule = join_by_rules(middle, probabilities, {"x": JoiningRule(threshold=0.7)})
    pd.testing.assert_frame_equal(plain, by_rule)


def noisy(seed, seconds=400):
    """Events of 2 s every 5 s; probabilities every 0.1 s that dip within events, and
    are high for a moment elsewhere.
    """
    chance = np.random.default_rng(seed)
    begin = np.arange(1.0, seconds - 5, 5)
    events = pd.DataFrame(
        {"file": "a", "start": begin, "end": begin + 2.0, "label": "x"}
    )
    times = 0.1 * np.arange(10 * seconds)
    inside = (times % 5 >= 1) & (times % 5 < 3)
    probability = np.where(inside, 0.8, 0.1)
    moments = chance.random(len(times)) < 0.03
    probability = np.where(moments, 0.9 - probability, probability)
    return *line(probability, 0.1), events


def test_chosen_rules_close_gaps_and_leave_moments_out_on_other_recordings():
    rules = fit_rules(*noisy(0))
    middle, probabilities, events = noisy(1)
    found = join_by_rules(middle, probabilities, rules)
    assert rules["x"].threshold >= 0.3
    assert rules["x"].longest_gap > 0
    assert rules["x"].least_length > 0
    assert len(found) == len(events)
    plain = {"x": JoiningRule(threshold=0.5)}
    assert len(join_by_rules(middle, probabilities, plain)) > 2 * len(events)


def trains(count, seconds=200):
    """Trains of `count` events of 1 s without a gap, every 10 s."""
    begin = np.concatenate(
        [start + np.arange(count) for start in range(2, seconds, 10)]
    )
    events = pd.DataFrame(
        {"file": "a", "start": begin, "end": begin + 1.0, "label": "x"}
    )
    times = 0.1 * np.arange(10 * seconds)
    inside = ((times - 2) % 10 < count) & (times >= 2)
    return *line(np.where(inside, 0.9, 0.1), 0.1), events


def test_chosen_rules_divide_events_that_follow_each_other_without_a_gap():
    rules = fit_rules(*trains(3))
    middle, probabilities, events = trains(4)
    found = join_by_rules(middle, probabilities, rules)
    assert rules["x"].longest_length > 0
    assert len(found) == len(events)


def test_single_events_are_not_divided():
    assert fit_rules(*trains(1))["x"].longest_length is None


def test_a_class_without_an_event_has_a_threshold_of_one_half():
    middle, probabilities, events = noisy(0, seconds=20)
    rules = fit_rules(middle, probabilities, events[:0])
    assert rules == {"x": JoiningRule(threshold=0.5)}
