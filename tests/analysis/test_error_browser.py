"""The data behind the error browser: order, percentages, and text that cannot leave its element."""

import numpy as np

from analysis import error_browser
from tests.analysis.made_runs import MadeRun

ROWS = [
    ("a", "g1", 1, "dog", (0.9, 0.1, 0.0)),
    ("b", "g2", 1, "cat", (0.6, 0.3, 0.1)),
    ("c", "g3", 2, "rain", (0.2, 0.2, 0.6)),
]
OTHER = [
    ("a", "g1", 1, "dog", (0.5, 0.2, 0.3)),
    ("b", "g2", 1, "cat", (0.9, 0.1, 0.0)),
    ("c", "g3", 2, "rain", (0.8, 0.1, 0.1)),
]


def test_top_gives_places_in_the_order_shown_and_rounded_percentages():
    probabilities = np.array([[0.5, 0.2, 0.2, 0.1], [0.0, 0.0, 0.004, 0.996]])
    rows = error_browser.top(probabilities, np.array([3, 2]), np.array([3, 2, 1, 0]))
    assert rows == [[3, 2, 1, 50, 20, 20, 10], [0, 1, 3, 100, 0, 0, 0]]
    two = error_browser.top(np.array([[0.3, 0.7]]), np.array([0]), np.array([0, 1]))
    assert two == [[1, 0, -1, 70, 30, 0, 30]]


def test_runs_on_the_same_clips_share_a_test_set_and_others_do_not(hand_run):
    classes = ["dog", "cat", "rain"]
    runs = [
        hand_run("mel", classes, ROWS),
        hand_run("mfcc", classes, OTHER),
        hand_run("rms", classes, ROWS[:2]),
    ]
    clips = error_browser.clip_difficulty(runs[:2])
    assert clips.index.tolist() == ["b", "c", "a"] and clips["wrong"].tolist() == [1, 0.5, 0]
    data = error_browser.browser_data(runs, error_browser.clip_difficulty(runs), [], {"b": "x.wav"})
    assert [run["test_set"] for run in data["runs"]] == [0, 0, 1]
    assert [run["name"] for run in data["runs"]] == ["mel", "mfcc", "rms"]
    first = data["test_sets"][0]
    ids = [data["clips"][place]["id"] for place in first["clips"]]
    assert ids == ["a", "b", "c"] and first["target"] == [0, 1, 2] and first["folds"] == [1, 1, 2]
    assert [clip["link"] for clip in data["clips"] if clip["id"] == "b"] == ["x.wav"]


def test_all_seeds_of_a_configuration_come_first_then_each(made):
    runs = made(MadeRun(skill=0.9), MadeRun(skill=0.6, seed=1), MadeRun(features="rms", skill=0.5)).runs
    data = error_browser.browser_data(runs, error_browser.clip_difficulty(runs), [], {})
    assert [(view["name"], view["runs"]) for view in data["views"]] == [
        ("mel-resnet18, all 2 seeds", [0, 1]),
        ("mel-resnet18 (seed 0, one of 2)", [0]),
        ("mel-resnet18-s1 (seed 1, one of 2)", [1]),
        ("rms-resnet18", [2]),
    ]
    target = data["test_sets"][0]["target"]
    hits = [sum(row[0] == true for row, true in zip(run["top"], target)) for run in data["runs"]]
    assert hits == [360, 240, 200]
