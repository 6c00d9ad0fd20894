"""What a feature adds: which runs are a pair, and the planted gain is found, in all and by class."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis import additions
from analysis.ranking import Ranking, rankings
from analysis.results import Results
from bench.made_runs import MadeRun


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=500)[0]


def steps(results: Results) -> list[tuple[str, str]]:
    return [(smaller.features, larger.features) for smaller, larger in additions.pairs(ranked(results))]


def test_steps_go_through_what_lies_between(made: Callable[..., Results]) -> None:
    sets = {"mel+mfcc+chroma": 0.8, "mel+mfcc": 0.7, "mel": 0.6, "chroma": 0.3}
    found = steps(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert found == [
        ("mel+mfcc", "mel+mfcc+chroma"),
        ("chroma", "mel+mfcc+chroma"),
        ("mel", "mel+mfcc"),
    ]


def test_only_runs_that_share_every_other_option_are_a_pair(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features="mel+mfcc"), MadeRun(model="cnn4"), MadeRun(features="mfcc", augment="none")]
    assert steps(made(*runs)) == []


def test_a_channel_counts_as_often_as_it_occurs(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(skill=0.7), MadeRun(features="mel+mel+mel", skill=0.7)))
    ((smaller, larger),) = additions.pairs(main)
    assert (smaller.features, additions.added(smaller, larger)) == ("mel", "mel+mel")
    row = additions.additions(main).iloc[0]
    assert (row["changed"], row["differs"]) == ("mel+mel", False)


def test_a_planted_gain_is_found_with_its_classes(made: Callable[..., Results]) -> None:
    better = {"class03": 3.0, "class07": -3.0}
    runs = [MadeRun(skill=0.6), MadeRun(features="mel+chroma", skill=0.75, by_class=better)]
    main = ranked(made(*runs))
    row = additions.additions(main).iloc[0]
    assert (row["without"], row["with"], row["changed"]) == (
        "mel-resnet18",
        "mel+chroma-resnet18",
        "chroma",
    )
    assert row["difference"] == pytest.approx(0.15)
    assert row["differs"]
    (name, table), *rest = additions.by_class(additions.pairs(main), np.random.default_rng(0)).items()
    assert name == "chroma added to mel" and not rest
    certain = table[table["differs"]].set_index("class")["difference"]
    assert certain["class03"] > 0 and certain.get("class07", -1) < 0


def test_an_addition_that_hurts_is_negative(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(skill=0.8), MadeRun(features="mel+chroma", skill=0.6)))
    row = additions.additions(main).iloc[0]
    assert row["difference"] == pytest.approx(-0.2)
    assert row["low"] < -0.2 < row["high"] < 0
