"""Scores of detections, worked out by hand, matching as mir_eval's; and the metric by
which runs of events are ranked.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.extras.recordings.frames import (
    IOU,
    Spans,
    match,
    overlapping,
    together,
)
from featurestack.extras.recordings.scores import (
    ALL,
    ScoredFrames,
    confused_labels,
    lie_on,
    list_errors,
    score_table,
    tally_all,
    without_unscored,
)
from featurestack.extras.recordings.task import EVENT_F1, EVENTS, jackknife_values
from tests.extras.recordings.field import frames, scores_of
from tests.refusal import refused


def spans(*pairs, stretch=0):
    start, end = np.array(pairs, float).reshape(-1, 2).T
    return spans_of(start, end, np.full(len(start), stretch))


def spans_of(start, end, stretch):
    return Spans(start, end, stretch, np.full(len(start), np.nan))


def pairs_of(events, detections):
    event, detection = match(events, detections)
    return list(zip(event.tolist(), detection.tolist()))


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
        ends, starts = (events.end, detections.end), (events.start, detections.start)
        shared = np.minimum.outer(*ends) - np.maximum.outer(*starts)
        whole = np.maximum.outer(*ends) - np.minimum.outer(*starts)
        expected = np.argwhere(shared >= IOU * whole)
        assert np.array_equal(overlapping(events, detections).T, expected)
        lies = (events.middle[:, None] >= detections.start) & (
            events.middle[:, None] <= detections.end
        )
        lies |= (detections.middle >= events.start[:, None]) & (
            detections.middle <= events.end[:, None]
        )
        assert np.array_equal(lie_on(events, detections), lies.any(axis=1))


def test_a_right_time_under_a_wrong_name_is_no_false_alarm():
    events = {"a": spans((0, 1)), "b": spans((10, 11))}
    detections = {"a": spans((0.1, 1), (10, 11), (20, 21)), "b": spans()}
    scores = scores_of(events, detections, np.array([3600.0]))
    row = scores.loc[ALL]
    assert (row["false_alarms"], row["wrong_names"]) == (1, 1)
    assert row["f1"] == pytest.approx(2 / 5)
    assert row["found"] == 0.5
    assert row["onset_ms"] == pytest.approx(100)
    assert scores.loc["b", "f1"] == 0


def test_a_label_found_in_place_of_another_is_counted_once_and_not_if_both_are_right():
    events = {"a": spans((0, 1), (5, 6)), "b": spans((5, 6), (10, 11))}
    detections = {"a": spans((5, 6), (10, 11)), "b": spans((0.1, 1), (5, 6))}
    of_one = frames(20, classes=("a", "b"))
    errors = list_errors(of_one, events, detections)
    table = confused_labels([errors, errors])
    assert table.to_numpy().tolist() == [["a", "b", 1], ["b", "a", 1]]
    whole = tally_all(events, detections, of_one.seconds)[ALL].scores()
    assert whole["wrong_names"] == table["number"].sum()


def test_errors_are_listed_as_they_are_counted_but_for_events_that_are_not_scored():
    events = {"a": spans((0, 1), (4, 5)), "b": spans((2, 3))}
    detections = {"a": spans((0, 1), (2.1, 3.5), (6, 7), (8, 9)), "b": spans()}
    known = together([*events.values()])
    given = events, without_unscored(detections, known, [spans((2, 3), (8, 9))])
    of_one = frames(20, classes=("a", "b"))
    errors = list_errors(of_one, *given)
    assert errors.to_numpy().tolist() == [
        ["r0", 2.1, 3.5, "b", "a", "wrong name"],
        ["r0", 4, 5, "a", "", "missed"],
        ["r0", 6, 7, "", "a", "false alarm"],
    ]
    row = tally_all(*given, of_one.seconds)[ALL].scores()
    assert (row["false_alarms"], row["wrong_names"]) == (1, 1)
    assert row["false_alarms_per_hour"] == pytest.approx(180)
    assert row["detections"] == 3


def test_errors_say_why_events_with_a_detection_of_their_label_have_no_partner():
    events = {"a": spans((0, 1), (1.1, 2), (4, 8), (10, 12)), "b": spans((0.2, 0.4))}
    detections = {"a": spans((0, 2), (4, 5.9), (6.1, 8), (11, 11.5)), "b": spans()}
    errors = list_errors(frames(20, classes=("a", "b")), events, detections)
    assert errors.to_numpy().tolist() == [
        ["r0", 0, 2, "a", "a", "merged"],
        ["r0", 0.2, 0.4, "b", "", "missed"],
        ["r0", 4, 8, "a", "a", "split"],
        ["r0", 10, 12, "a", "a", "inexact"],
    ]


def test_a_class_in_few_recordings_has_no_interval():
    def row(recordings):
        own = spans_of(*np.arange(14.0).reshape(7, 2).T, np.arange(7) % recordings)
        return scores_of({"a": own}, {"a": own}, np.full(7, 10.0))

    assert row(6).loc["a", ["recordings", "low"]].notna().all()
    few = row(5)
    assert few.loc["a", "recordings"] == 5 and np.isnan(few.loc["a", "low"])
    assert few.loc[ALL, "low"] < 1


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


def test_jackknife_values_sum_to_the_score():
    of_recordings = np.array([[3.0, 5, 0, 2], [4, 5, 2, 3], [3, 6, 1, 2]])
    values = jackknife_values(of_recordings, np.array([2, 2, 1, 3]))
    assert values.sum() == pytest.approx(2 * 10 / (14 + 12))
    assert values.argmin() == 2  # the recording in which nothing is right


def two_stretches(probabilities, events):
    """Two stretches of ten frames, 0.1 s apart."""
    table = pd.DataFrame(events, columns=["file", "start", "end", "label"])
    given = np.array(probabilities)[:, None]
    return ScoredFrames(frames(1, 1, classes=("x",)), given, table)


def test_each_fold_is_scored_by_its_own_recordings():
    probabilities = np.zeros(20)
    probabilities[2:5] = 0.9  # right in a, nothing in b
    own = two_stretches(probabilities, [("r0", 0.2, 0.5, "x"), ("r1", 0.2, 0.5, "x")])
    assert own.by_fold["event_f1"].tolist() == [1, 0]
    assert own.by_group(["r0", "r1"]).tolist() == [[1, 0], [1, 1], [1, 0]]
    own.frames.stretches["group"] = "bird"  # of two recordings
    assert own.by_group(["bird"]).tolist() == [[1], [2], [1]]


def test_detections_at_other_times_are_chance():
    rows = [(name, at, at + 0.6, "x") for name in ("r0", "r1") for at in range(10)]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    of_recordings = frames(10, 10, classes=("x",))
    own = ScoredFrames(of_recordings, of_recordings.targets(table).astype(float), table)
    run = SimpleNamespace(answers=(own,), groups=np.array(["r0", "r1"]))
    assert score_table(own.tallies).loc[ALL, "f1"] == 1
    # sounds at regular times are met again by some shifts
    assert 0.2 < EVENT_F1.chance_values(run, np.ones(2)).sum() < 0.8


def test_the_loss_of_frames_is_that_of_what_is_true():
    probabilities = np.full(20, 0.25)
    own = two_stretches(probabilities, [("r0", 0.2, 0.5, "x")])
    losses = own.log_losses(exclusive=True)
    assert losses[2:5] == pytest.approx(-np.log(0.25))
    assert losses[5:] == pytest.approx(-np.log(0.75))
    assert own.log_losses(exclusive=False) == pytest.approx(losses)


def test_labels_of_few_recordings_are_named_before_training(capsys):
    labels = ["owl;jay", "owl", "owl", "jay", ""]
    table = pd.DataFrame({"label": labels, "group": [*"abcde"]})
    EVENTS.refuse(table)
    few = "1 of 2 labels are in fewer than 3 recordings"
    assert few in capsys.readouterr().err
    with refused("2 of 2 labels are in fewer than 3 recordings.*: jay 1, owl 1;"):
        EVENTS.refuse(table.assign(group="a"))
