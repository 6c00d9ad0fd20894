"""The fusion as a run of its own, and members that never see the fold they score."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.answer import names
from analysis.fuse import fuse, fuse_asked, greedy_votes, pick_members
from analysis.options import AnalysisOptions
from analysis.ranking import kept_out, rankings
from analysis.results import Results, load
from bench.made_runs import MadeRun
from commandline import RequestError
from train.runs import RunFolder, find


def test_the_fusion_is_the_mean_and_ranks_with_its_members(
    made: Callable[..., Results], tmp_path: Path
) -> None:
    runs = made(MadeRun(own=0.6), MadeRun(features="mfcc+chroma", own=0.6)).runs
    folder = fuse([run.folders[0] for run in runs], tmp_path)
    results = load(find(tmp_path))
    assert not results.problems
    fused = next(run for run in results.runs if run.model == "fusion")
    mean = (runs[0].probabilities + runs[1].probabilities) / 2
    assert fused.probabilities == pytest.approx(mean, abs=1e-6)
    ranked = rankings(results.runs, np.random.default_rng(0), 200)
    assert kept_out(ranked) == []
    assert ranked[0].best.name == folder.name  # errors that are mostly their own: the mean is better
    assert fused.features == "mel,mfcc+chroma"
    assert fused.config["parameters"] == sum(run.config["parameters"] for run in runs)
    assert fused.synthetic


def test_the_same_members_write_the_same_folder(made: Callable[..., Results], tmp_path: Path) -> None:
    folders = [
        run.folders[0] for run in made(MadeRun(), MadeRun(features="mfcc"), MadeRun(features="zcr")).runs
    ]
    first = fuse(folders[:2], tmp_path)
    content = (first.fold(1) / "predictions.csv").read_bytes()
    assert fuse(folders[:2], tmp_path) == first
    assert (first.fold(1) / "predictions.csv").read_bytes() == content
    assert fuse(folders[1:], tmp_path) != first
    assert fuse(folders[:2], tmp_path, pick=2) != first


def test_a_fusion_of_many_is_called_by_how_many_they_are(
    made: Callable[..., Results], tmp_path: Path
) -> None:
    runs = made(*(MadeRun(features=name, own=0.6) for name in ("mel", "mfcc", "zcr"))).runs
    fuse([run.folders[0] for run in runs], tmp_path)
    ranked = rankings(load(find(tmp_path)).runs, np.random.default_rng(0), 200)[0]
    assert sorted(names(ranked)) == ["a fusion of 3 runs", "mel", "mfcc", "zcr"]


def test_fusions_of_further_seeds_are_one_row(made: Callable[..., Results], tmp_path: Path) -> None:
    runs = made(*(MadeRun(features=name, seed=seed) for name in ("mel", "zcr") for seed in (0, 1))).runs
    for seed in (0, 1):
        fuse([run.folders[seed] for run in runs], tmp_path)
    fused = [run for run in load(find(tmp_path)).runs if run.model == "fusion"]
    assert [run.seeds for run in fused] == [(0, 1)]


def test_greedy_takes_what_complements_and_stops() -> None:
    # The first is right about three clips, the second about the fourth, with more certainty; the third
    # is right about nothing.
    target = np.zeros(4, dtype=np.intp)
    truth = np.array([[0.7, 0.7, 0.7, 0.4], [0.4, 0.4, 0.4, 0.9], [0.0, 0.0, 0.0, 0.0]])
    probabilities = np.stack([truth, 1 - truth], axis=2)
    assert greedy_votes(probabilities, target, most=1).tolist() == [1, 0, 0]
    assert greedy_votes(probabilities, target, most=2).tolist() == [0.5, 0.5, 0]
    assert greedy_votes(probabilities, target, most=20)[2] == 0
    assert greedy_votes(probabilities[[0, 0]], target, most=20).tolist() == [1, 0]  # itself adds nothing


def test_members_are_picked_without_the_fold_that_they_score(made: Callable[..., Results]) -> None:
    """Changing one fold's predictions must not change who votes on it, and does change the others' voters."""
    members = made(MadeRun(skill=0.6, own=0.9), MadeRun(features="zcr", skill=0.6, own=0.9)).runs
    before = pick_members(members, most=1)
    here = members[0].folds == 3
    truth = np.eye(10)[members[0].target[here]]
    members[0].checkpoints["last"][0][here] = truth
    members[1].checkpoints["last"][0][here] = 1 / 10
    after = pick_members(members, most=1)
    assert after[3].tolist() == before[3].tolist()
    assert all(after[fold].tolist() == [1, 0] for fold in (1, 2, 4, 5))


def test_picked_votes_stand_in_the_configuration(made: Callable[..., Results], tmp_path: Path) -> None:
    runs = made(MadeRun(skill=0.9), MadeRun(features="zcr", skill=0.2)).runs
    folder = fuse([run.folders[0] for run in runs], tmp_path, pick=1)
    assert folder.config["votes"]["1"] == {runs[0].name: 1.0, runs[1].name: 0.0}
    assert sorted(folder.config["votes"]) == ["1", "2", "3", "4", "5"]


def test_a_fusion_is_asked_for_by_names(made: Callable[..., Results], tmp_path: Path) -> None:
    made(MadeRun(), MadeRun(features="zcr"))
    asked = AnalysisOptions(runs=tmp_path, dataset="made", fuse=("mel-resnet18", "zcr-res"))
    folder = fuse_asked(asked)
    assert folder.config["members"] == ["mel-resnet18", "zcr-resnet18"]
    assert "selected on test" in folder.config["note"]
    with pytest.raises(RequestError, match="did you mean 'mel-resnet18'"):
        fuse_asked(replace(asked, fuse=("mell-resnet18", "zcr-res"), dataset=""))


def test_what_cannot_be_fused_says_why(made: Callable[..., Results], tmp_path: Path) -> None:
    results = made(MadeRun(), MadeRun(features="rms", folds=(1, 2)), MadeRun(features="zcr", folds=(1,)))
    whole, two, one = (run.folders[0] for run in results.runs)
    with pytest.raises(RequestError, match="at least two runs"):
        fuse([whole], tmp_path)
    with pytest.raises(RequestError, match=r"cannot be fused.*160 and 400 clips"):
        fuse([whole, two], tmp_path)
    with pytest.raises(RequestError, match="train at least two folds"):
        fuse([one, one], tmp_path, pick=1)
    (whole.fold(1) / "predictions.csv").unlink()
    (whole.path / "run.json").write_text("{")
    with pytest.raises(RequestError, match=r"cannot be fused: .*run\.json cannot be read"):
        fuse([RunFolder(whole.path), two], tmp_path)
