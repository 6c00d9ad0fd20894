"""Scores of detections, worked out by hand; matching as mir_eval's."""

import numpy as np
import pytest

from featurestack.sound_events.scores import (
    ALL,
    IOU,
    Spans,
    lie_on,
    match,
    overlapping,
)
from tests.sound_events.field import scores_of


def spans(*pairs, stretch=0):
    start, end = np.array(pairs, float).reshape(-1, 2).T
    return spans_of(start, end, np.full(len(start), stretch))


def spans_of(start, end, stretch):
    return Spans(start, end, stretch, np.full(len(start), np.nan))


def pairs_of(events, detections):
    event, detection = match(events, detections)
    return list(zip(event.tolist(), detection.tolist()))


def test_partners_share_half_of_the_time_that_one_of_them_lasts():
    events = spans((0, 1), (2, 3), (4, 5))
    detections = spans((0, 2), (2.5, 3.5), (4.1, 4.9))
    assert pairs_of(events, detections) == [(0, 0), (2, 2)]


def test_as_many_as_possible_have_a_partner():
    # the first detection may be either event's, the last one only the second's
    events = spans((0, 1), (0.2, 1.2))
    assert pairs_of(events, spans((0.2, 0.7), (0.7, 1.2))) == [(0, 0), (1, 1)]


def test_pairs_are_those_of_all_comparisons():
    rng = np.random.default_rng(0)
    for _ in range(200):
        start = np.sort(rng.uniform(0, 20, 30))
        events = spans_of(start, start + rng.exponential(1, 30), np.zeros(30))
        limits = np.sort(rng.uniform(0, 22, 40)).reshape(-1, 2)
        detections = spans_of(*limits.T, np.zeros(20))
        shared = np.minimum.outer(events.end, detections.end) - np.maximum.outer(
            events.start, detections.start
        )
        whole = np.maximum.outer(events.end, detections.end) - np.minimum.outer(
            events.start, detections.start
        )
        expected = np.argwhere(shared >= IOU * whole)
        assert np.array_equal(overlapping(events, detections).T, expected)
        lies = (events.middle[:, None] >= detections.start) & (
            events.middle[:, None] <= detections.end
        )
        lies |= (detections.middle >= events.start[:, None]) & (
            detections.middle <= events.end[:, None]
        )
        assert np.array_equal(lie_on(events, detections), lies.any(axis=1))


def test_points_match_within_the_collar():
    events = spans((1, 1), (2, 2))
    detections = spans((1.04, 1.04), (1.06, 1.06), (2.06, 2.06))
    event, detection = match(events, detections)
    assert (event.tolist(), detection.tolist()) == ([0], [0])


def test_a_right_time_under_a_wrong_name_is_no_false_alarm():
    events = {"a": spans((0, 1)), "b": spans((10, 11))}
    detections = {"a": spans((0, 1), (10, 11), (20, 21)), "b": spans()}
    scores = scores_of(events, detections, np.array([3600.0]))
    row = scores.loc[ALL]
    assert (row["false_alarms"], row["wrong_names"]) == (1, 1)
    assert row["f1"] == pytest.approx(2 / 5)
    assert row["found"] == 0.5
    assert scores.loc["b", "f1"] == 0


def test_the_onset_error_is_that_of_partners():
    events = {"a": spans((0, 1), (5, 6))}
    detections = {"a": spans((0.1, 1), (8, 9))}
    row = scores_of(events, detections, np.array([10.0])).loc[ALL]
    assert row["onset_ms"] == pytest.approx(100)


def test_intervals_come_from_recordings():
    start = np.arange(0, 400, 2.0)
    stretch = np.arange(200) // 20
    events = {"a": spans_of(start, start + 1, stretch)}
    right = stretch < 8
    detections = {"a": spans_of(start[right], start[right] + 1, stretch[right])}
    row = scores_of(events, detections, np.full(10, 100.0)).loc["a"]
    assert row["low"] < row["f1"] < row["high"]
    assert row["high"] - row["low"] > 0.2  # a recording counts as one, not as 20
    whole = scores_of(events, events, np.full(10, 100.0)).loc["a"]
    assert whole["low"] < 1 == whole["high"]  # ten perfect recordings are no proof
