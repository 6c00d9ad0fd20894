"""The data behind the error browser: order, percentages, test sets and views."""

import numpy as np

from featurestack.analysis.clips import browser_data, clip_difficulty, top
from tests.analysis.made_runs import MadeRun


def test_top_gives_places_in_the_order_shown_and_rounded_percentages():
    probabilities = np.array([[0.5, 0.2, 0.2, 0.1], [0.0, 0.0, 0.004, 0.996]])
    rows = top(probabilities, np.array([3, 2]), np.array([3, 2, 1, 0]))
    assert rows == [[3, 2, 1, 50, 20, 20, 10], [0, 1, 3, 100, 0, 0, 0]]
    two = top(np.array([[0.3, 0.7]]), np.array([0]), np.array([0, 1]))
    assert two == [[1, 0, -1, 70, 30, 0, 30]]


def test_runs_on_the_same_clips_share_a_test_set_and_seeds_a_view(made):
    seeds = MadeRun(skill=0.9), MadeRun(skill=0.6, seed=1)
    runs = made(
        *seeds, MadeRun(features="mfcc"), MadeRun(features="rms", folds=(1, 2))
    ).runs
    wrong = 1 - (runs[0].correct + runs[1].correct) / 2
    clips = clip_difficulty(runs[:2])
    assert clips["wrong"].tolist() == sorted(wrong, reverse=True)
    assert clips["wrong"][runs[0].clip_ids].tolist() == wrong.tolist()
    hardest = clips.index[0]
    data = browser_data(runs, clips, [], {hardest: "x.wav"})
    tested = {
        "mel-resnet18": 0,
        "mel-resnet18-s1": 0,
        "mfcc-resnet18": 0,
        "rms-resnet18": 1,
    }
    assert {run["name"]: run["test_set"] for run in data["runs"]} == tested
    assert [(view["name"], view["runs"]) for view in data["views"]] == [
        ("mel-resnet18, all 2 seeds", [0, 1]),
        ("mel-resnet18 (seed 0, one of 2)", [0]),
        ("mel-resnet18-s1 (seed 1, one of 2)", [1]),
        ("mfcc-resnet18", [2]),
        ("rms-resnet18", [3]),
    ]
    first = data["test_sets"][0]
    assert [data["clips"][place]["id"] for place in first["clips"]] == runs[
        0
    ].clip_ids.tolist()
    assert (
        first["target"] == runs[0].target.tolist()
        and first["folds"] == runs[0].folds.tolist()
    )
    assert [clip["link"] for clip in data["clips"] if clip["id"] == hardest] == [
        "x.wav"
    ]
