"""How two runs go together, by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.complementarity import complementarity, fused_matrix, overlap
from analysis.ranking import Ranking, rankings
from analysis.results import Results, Run
from bench.made_runs import MadeRun

CLASSES = ["dog", "rain"]
CLIPS = [("a", "g1", 1, "dog"), ("b", "g2", 1, "dog"), ("c", "g3", 1, "dog"), ("d", "g4", 1, "dog")]


def run_of(hand_run: Callable[..., Run], name: str, dogs: list[float]) -> Run:
    """A run that gives each of the four clips, all dogs, this probability of being one."""
    rows = [(*clip, [dog, 1 - dog]) for clip, dog in zip(CLIPS, dogs, strict=True)]
    return hand_run(name, CLASSES, rows)


def test_overlap_by_hand(hand_run: Callable[..., Run]) -> None:
    # right:   first a b, second a c; fused: a 0.9, b 0.55, c 0.45, d 0.1
    first = run_of(hand_run, "first", [0.9, 0.9, 0.3, 0.1])
    second = run_of(hand_run, "second", [0.9, 0.2, 0.6, 0.1])
    assert overlap(first, second) == pytest.approx(
        {"agreement": 2 / 4, "double_fault": 1 / 4, "oracle": 3 / 4, "fused": 2 / 4, "gain": 0}
    )


def test_a_run_adds_nothing_to_itself(hand_run: Callable[..., Run]) -> None:
    run = run_of(hand_run, "first", [0.9, 0.9, 0.3, 0.1])
    assert overlap(run, run) == pytest.approx(
        {"agreement": 1, "double_fault": 1 / 2, "oracle": 1 / 2, "fused": 1 / 2, "gain": 0}
    )


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=200)[0]


def test_every_pair_best_fused_first(made: Callable[..., Results]) -> None:
    # Runs whose errors are their own gain from each other; two that share them do not.
    skills = {"a": 0.2, "b": 0.2, "c": 1.0}
    main = ranked(made(*(MadeRun(features=name, skill=0.7, own=own) for name, own in skills.items())))
    table = complementarity(main)
    assert table["fused"].is_monotonic_decreasing
    by_pair = {frozenset((row.a[0], row.b[0])): row for row in table.itertuples()}
    assert by_pair[frozenset("ac")].double_fault < by_pair[frozenset("ab")].double_fault
    assert by_pair[frozenset("ac")].oracle > by_pair[frozenset("ab")].oracle
    square = fused_matrix(main, table)
    assert square.diagonal() == pytest.approx(main.accuracy)
    assert (square == square.T).all()
    assert square.max() == table["fused"].iloc[0]


def test_seeds_are_paired_the_shorter_list_again(made: Callable[..., Results]) -> None:
    three = [MadeRun(seed=seed, skill=0.6 + seed / 10) for seed in range(3)]
    main = ranked(made(*three, MadeRun(features="zcr", skill=0.5)))
    single = complementarity(main).iloc[0]
    mel, zcr = main.runs
    right_zcr = zcr.correct > 0
    either = [(mel.predicted[seed] == mel.target) | right_zcr for seed in range(3)]
    assert single["oracle"] == pytest.approx(np.mean(either))


def test_one_run_has_no_pair(made: Callable[..., Results]) -> None:
    assert complementarity(ranked(made(MadeRun()))).empty
