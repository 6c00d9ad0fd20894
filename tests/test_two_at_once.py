"""Two commands at once that want one place: each has its own, or one is refused."""

from pathlib import Path

import numpy as np
import pytest

from featurestack.features_cache.cache import Cache
from featurestack.results.run_folder import find
from tests.golden.commands import done, inside
from tests.noise import write_clips
from tests.processes import at_once

ROUNDS = 10
LINEAR = ("FEATURES=mel", "MODEL=linear")


def answers_of(*commands):
    """The exit status and the messages of commands that begin together."""
    return [(each.returncode, each.stderr) for each in at_once(*commands)]


def predictions_of(run):
    return sorted(file.read_bytes() for file in run.glob("fold*/predictions.csv"))


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Two folders with other sounds under one name, each with a cache and a run."""
    folder = tmp_path_factory.mktemp("sites")
    for site in ("x", "y"):
        write_clips(folder / site / "birds", "ant", "bee", tone=0.1)
        with inside(folder / site):
            done("features DATASET=birds FEATURES=mel JOBS=1")
            done("train DATASET=birds FEATURES=mel MODEL=linear")
    return folder


@pytest.mark.slow
def test_two_data_with_one_folder_of_runs_have_a_run_each(sites, tmp_path):
    homes = [sites / site / "runs/birds/mel-linear" for site in "xy"]
    expected = sorted(map(predictions_of, homes))
    for number in range(ROUNDS):
        runs = tmp_path / str(number)
        words = ("train", "DATASET=birds", *LINEAR, f"RUNS={runs}")
        answers = answers_of((sites / "x", words), (sites / "y", words))
        assert [status for status, _ in answers] == [0, 0], answers
        assert sorted(predictions_of(run.path) for run in find(runs)) == expected


@pytest.mark.slow
def test_two_sources_of_one_name_have_one_cache_of_one_of_them(sites, tmp_path):
    for number in range(ROUNDS):
        words = ("FEATURES=mel", "JOBS=1", f"DATA={tmp_path / str(number)}")
        both = [(sites, ("features", f"DATASET={site}/birds", *words)) for site in "xy"]
        answers = answers_of(*both)
        assert sorted(status for status, _ in answers) == [0, 2], answers
        ((_, refusal),) = [one for one in answers if one[0]]
        assert "NAME=birds2" in refusal
        with inside(sites):
            winner = "xy"[[status for status, _ in answers].index(0)]
            stored = Cache(tmp_path / str(number) / "birds" / "features")
            assert Path(stored.source) == sites / winner / "birds"
            assert np.isfinite(stored.read("mel", stored.clips["clip_id"])).all()
