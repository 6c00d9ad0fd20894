"""Detections from windows and their scores, worked out by hand; matching that is equal
to mir_eval's.
"""

import numpy as np
import pandas as pd
import pytest

from featurestack.results.detections import (
    ALL,
    compare,
    detection_scores,
    event_scores,
)
from featurestack.results.joining import join_windows
from featurestack.results.windows import label_windows, middles

HALF_HOUR = pd.DataFrame({"start": [0.0], "end": [1800.0]})


def events(*rows):
    return pd.DataFrame(rows, columns=["file", "start", "end", "label"])


def windows(seconds=4.0, length=1.0, hop=0.5, file="a"):
    starts = np.arange(0, seconds - length + 1e-9, hop)
    return pd.DataFrame({"file": file, "start": starts, "end": starts + length})


def joined(table, active, hop=0.5):
    chosen = pd.DataFrame({"x": np.array(active, bool)})
    probabilities = pd.DataFrame({"x": np.linspace(0.1, 0.9, len(active))})
    found = join_windows(middles(table, hop), chosen, probabilities)
    return (
        found[["file", "start", "end"]].to_numpy().tolist(),
        found[["mean", "largest"]].to_numpy(),
    )


def test_each_window_stands_for_the_hop_in_its_middle_and_neighbours_join():
    found, probabilities = joined(windows(), [0, 1, 1, 0, 0, 1, 0])
    assert found == [["a", 0.75, 1.75], ["a", 2.75, 3.25]]
    assert probabilities == pytest.approx(
        np.array([[0.3, 0.1 + 0.8 / 3], [0.1 + 2 / 3, 0.1 + 2 / 3]])
    )
    assert joined(windows(), np.ones(7))[0] == [["a", 0.0, 4.0]]  # the whole recording


def test_neither_recordings_nor_windows_beside_a_gap_join():
    both = pd.concat([windows(), windows(file="b")], ignore_index=True)
    assert [row[0] for row in joined(both, np.ones(14))[0]] == ["a", "b"]
    gap = windows().drop(index=[3, 4]).reset_index(drop=True)
    assert joined(gap, np.ones(5))[0] == [["a", 0.0, 1.75], ["a", 2.75, 4.0]]


def test_background_is_no_detection_and_none_are_an_empty_table():
    table = middles(windows(), 0.5)
    both = pd.DataFrame(np.ones((7, 2), bool), columns=["background", "x"])
    found = join_windows(table, both, both.astype(float))
    assert found["label"].tolist() == ["x"]
    assert event_scores(compare(found, found[:0]), table).loc[ALL].tolist() == [
        1,
        0,
        0,
        0,
        0,
        0,
    ]
    assert join_windows(table, ~both, both.astype(float)).empty


def intervals(chance, count):
    starts = np.sort(chance.uniform(0, 10, count)).round(3)
    return np.stack(
        [starts, starts + chance.uniform(0.05, 1.5, count).round(3)], axis=1
    )


def test_matching_within_the_collar_is_mir_evals():
    """The numbers of matches are those of mir_eval 0.8.2:
    len(transcription.match_notes(reference, ones, estimated, ones, onset_tolerance=0.2,
    offset_ratio=0.5, offset_min_tolerance=0.2)).
    """
    tables = []
    for seed in range(12):
        chance = np.random.default_rng(seed)
        both = [
            pd.DataFrame(intervals(chance, count), columns=["start", "end"])
            for count in (12, 15)
        ]
        tables.append([table.assign(file=seed, label="x") for table in both])
    items = compare(*(pd.concat(side) for side in zip(*tables)))
    matched = items[~items["detected"]].groupby("file")["collar"].sum().tolist()
    assert matched == [1, 3, 3, 5, 3, 1, 1, 3, 4, 2, 3, 3]
    assert items[items["detected"]].groupby("file")["collar"].sum().tolist() == matched


def test_scores_of_a_case_worked_out_by_hand():
    truth = events(
        *(("a", start, start + 1, "x") for start in (0, 2, 5)),
        ("b", 0, 1, "x"),
        ("b", 3, 4, "y"),
    )
    found = events(
        ("a", 0.1, 1.2, "x"), ("a", 1.3, 9, "x"), ("b", 2, 3, "x"), ("b", 0, 1, "y")
    )
    scores = event_scores(compare(truth, found), HALF_HOUR)
    assert scores.loc["x"].tolist() == pytest.approx([4, 3, 3 / 4, 2, 2 / 7, 2 / 7])
    assert scores.loc["y"].tolist() == [1, 1, 0, 2, 0, 0]
    assert scores.loc[ALL].tolist() == pytest.approx([5, 4, 3 / 5, 4, 2 / 9, 2 / 9])


def test_scores_of_windows_and_of_their_detections_stand_beside_the_best_possible():
    table = windows().assign(
        label=["background", "x", "x", "background", "x;y", "y", "background"]
    )
    chosen = pd.DataFrame(
        {"x": [0, 1, 1, 0, 0, 0, 0], "y": [0, 0, 0, 0, 1, 1, 1], "background": 0}
    ).astype(bool)
    probabilities = pd.DataFrame(
        {
            "x": [0.1, 0.9, 0.8, 0.4, 0.3, 0.2, 0.1],
            "y": chosen["y"] * 0.7,
            "background": 0,
        }
    )
    truth = events(
        ("a", 0.75, 1.75, "x"),
        ("a", 2.25, 2.75, "x"),
        ("a", 2.0, 3.0, "y"),
        ("a", 1, 2, "z"),
    )
    detections = join_windows(middles(table, 0.5), chosen, probabilities)
    scores = detection_scores(table, chosen, probabilities, 0.5, truth, detections)
    assert list(scores.index) == ["x", "y", ALL]
    by_window = scores.filter(like="window_").drop(columns="window_support")
    assert by_window.loc["x"].tolist() == pytest.approx(
        [1, 2 / 3, 0.8, (1 + 1 + 3 / 4) / 3]
    )
    assert by_window.loc["y"].tolist() == pytest.approx([2 / 3, 1, 0.8, 2 / 3])
    assert by_window.loc[ALL].tolist() == pytest.approx(
        [4 / 5, 4 / 5, 0.8, (2.75 / 3 + 2 / 3) / 2]
    )
    unscored = detection_scores(
        table.replace("background", ""), chosen, probabilities, 0.5, truth, detections
    )
    assert unscored.loc["x", "window_average_precision"] == 1.0
    assert scores.loc[ALL, "best_f1_iou"] == 1.0 > scores.loc[ALL, "f1_iou"]
    # y begins between two windows
    assert scores["best_f1_collar"].tolist() == pytest.approx([1, 0, 2 / 3])


def test_a_window_has_a_label_if_it_holds_half_of_an_event_or_is_half_filled_by_it():
    truth = events(
        ("a", 1.0, 1.4, "short"),
        ("a", 2.5, 9.0, "long"),
        ("b", 0.0, 4.0, "other"),
        ("a", 0.1, 0.1, "x"),
    )
    labels = label_windows(windows(), truth)
    assert labels.tolist() == [
        "x",
        "short",
        "short",
        "background",
        "long",
        "long",
        "long",
    ]
    first = label_windows(
        windows(),
        events(("a", 0.0, 0.3, "x"), ("a", 0.2, 1.0, "y"), ("a", 0.5, 0.9, "x")),
        longest=True,
    )
    assert first[0] == "y" and label_windows(windows(), truth, longest=True).equals(
        labels
    )
    touched = label_windows(windows(), events(("a", 0.7, 1.4, "y"))).tolist()
    assert touched[:4] == ["", "y", "y", "background"]


def test_no_event_is_without_a_window():
    chance = np.random.default_rng(0)
    starts = chance.uniform(0, 98, 2000)
    ends = np.minimum(starts + chance.exponential(0.5, 2000), 100)
    truth = pd.DataFrame(
        {
            "file": "a",
            "start": starts,
            "end": ends,
            "label": np.arange(2000).astype(str),
        }
    )
    # in every window, with all the others inside it
    truth.loc[0, ["start", "end"]] = 0.0, 100.0
    labels = label_windows(windows(100), truth).str.split(";")
    assert {*labels.explode()} >= {*truth["label"]} and all(
        "0" in names for names in labels
    )
