"""The first screen's lines: features alone and together, classes, in words that the numbers bear out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis import additions
from analysis.fuse import fuse
from analysis.glance import family, glance
from analysis.ranking import Ranking, rankings
from analysis.results import Results, Run, load
from bench.made_runs import MadeRun
from train.runs import find


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=1000)[0]


def said(results: Results) -> dict[str, str]:
    main = ranked(results)
    return dict(glance(main, additions.additions(main)))


def test_alone_and_together(made: Callable[..., Results]) -> None:
    sets = {"mel+mfcc": 0.85, "mel": 0.7, "mfcc": 0.6, "rms": 0.4, "zcr": 0.3}
    lines = said(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert (
        lines["Alone"] == "mel 70.0 %, mfcc 60.0 % and rms 40.0 % lead 4 single features; zcr 30.0 % is last."
    )
    assert lines["Together"].startswith("mel+mfcc 85.0 %, 15.0 points more than mel alone (95 % interval +")
    assert "chance" not in lines["Together"]
    assert lines["Together"].endswith("Added to the best part of a set, shown to help: mfcc to mel (+15.0).")


def test_a_set_that_is_worse_than_one_of_its_parts(made: Callable[..., Results]) -> None:
    sets = {"mel": 0.8, "mel+mfcc": 0.79, "mfcc": 0.5}
    lines = said(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert lines["Alone"] == "mel 80.0 % and mfcc 50.0 %."
    assert lines["Together"].startswith("mel+mfcc 79.0 %, 1.0 points less than mel alone (95 % interval −")
    assert ", so chance may explain it." in lines["Together"]
    assert lines["Together"].endswith("not shown to help: mfcc to mel (−1.0).")


def test_one_single_feature_or_none_has_nothing_to_say_alone(made: Callable[..., Results]) -> None:
    assert list(said(made(MadeRun(features="mel+mfcc"), MadeRun(features="mel+rms")))) == ["By class"]


def test_classes_at_both_ends_by_hand(hand_run: Callable[..., Run]) -> None:
    classes = list("abcde")
    right = {"a": 4, "b": 3, "c": 2, "d": 1, "e": 0}  # of four clips, the others taken for the first class
    rows = []
    for place, (name, hits) in enumerate(right.items()):
        for clip in range(4):
            probabilities = np.eye(5)[place if clip < hits else 0]
            rows.append((f"{name}{clip}", f"{name}{clip}", 1 + clip % 2, name, probabilities))
    run = hand_run("mel", classes, rows)
    main = rankings([run], np.random.default_rng(0), 100)[0]
    ends = "mel recognises a (100 %) and b (75 %) most often, e (0 %) and d (25 %) least"
    sentence = f"{ends}; e taken for a is its commonest error."
    assert glance(main, additions.additions(main)) == [("By class", sentence)]


def test_the_family_is_of_runs_that_differ_in_features_alone(
    made: Callable[..., Results], tmp_path: Path
) -> None:
    results = made(
        MadeRun(skill=0.6), MadeRun(features="mfcc"), MadeRun(features="zcr", model="cnn4", skill=0.9)
    )
    fuse([run.folders[0] for run in results.runs], tmp_path)
    main = ranked(load(find(tmp_path)))
    assert [run.name for run in family(main)] == ["mfcc-resnet18", "mel-resnet18"]
