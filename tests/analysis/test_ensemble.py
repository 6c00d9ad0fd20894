"""Ensembles: the mean of their members, weights selected on other folds, written as runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.ensemble import greedy_weights, requested_ensemble, select_members, write_ensemble
from analysis.options import AnalysisOptions
from analysis.ranking import rankings
from analysis.results import Results, load_runs
from commandline.registry import RequestError
from results.run_folder import RunFolder, find
from tests.analysis.made_runs import MadeRun


def test_an_ensemble_is_the_mean_and_ranks_with_its_members(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    runs = written(MadeRun(own=0.6), MadeRun(features="mfcc+chroma", own=0.6)).runs
    folder = write_ensemble([run.folders[0] for run in runs], tmp_path)
    results = load_runs(find(tmp_path))
    assert not results.problems
    combined = next(run for run in results.runs if run.model == "ensemble")
    mean = (runs[0].probabilities + runs[1].probabilities) / 2
    assert combined.probabilities == pytest.approx(mean, abs=1e-6)
    ranked = rankings(results.runs)
    assert len(ranked) == 1
    assert ranked[0].best.name == folder.name  # errors that are mostly their own: the mean is better
    assert combined.features == "mel,mfcc+chroma"
    assert combined.config["parameters"] == sum(run.config["parameters"] for run in runs)
    assert combined.synthetic


def test_an_ensemble_of_validated_runs_ranks_with_its_members(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    """It has both checkpoints, each the mean of theirs, so that the epoch that counts is the same."""
    made = (MadeRun(val="group", own=0.6), MadeRun(features="zcr", val="group", own=0.6))
    runs = written(*made).runs
    write_ensemble([run.folders[0] for run in runs], tmp_path)
    results = load_runs(find(tmp_path))
    (ranked,) = rankings(results.runs)
    assert len(ranked.runs) == 3
    combined = next(run for run in results.runs if run.model == "ensemble")
    assert combined.selection_protocol == runs[0].selection_protocol == "group, best"
    for name in ("last", "best"):
        mean = (runs[0].checkpoints[name] + runs[1].checkpoints[name]) / 2
        assert combined.checkpoints[name] == pytest.approx(mean, abs=1e-6)


def test_an_ensemble_of_runs_with_and_without_validation_has_a_protocol_of_its_own(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    runs = written(MadeRun(val="group"), MadeRun(features="zcr")).runs
    write_ensemble([run.folders[0] for run in runs], tmp_path)
    results = load_runs(find(tmp_path))
    combined = next(run for run in results.runs if run.model == "ensemble")
    assert combined.selection_protocol == "best epoch on VAL=group; last epoch"
    assert combined.probabilities == pytest.approx(
        (runs[0].checkpoints["best"] + runs[1].checkpoints["last"]) / 2, abs=1e-6
    )
    assert [len(ranked.runs) for ranked in rankings(results.runs)] == [1, 1, 1]


def test_an_ensemble_of_runs_validated_in_two_ways_averages_the_epochs_that_count(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    """Its folder and the report agree on the epoch that counts."""
    runs = written(MadeRun(val="group"), MadeRun(features="zcr", val="next")).runs
    folder = write_ensemble([run.folders[0] for run in runs], tmp_path)
    combined = next(run for run in load_runs(find(tmp_path)).runs if run.model == "ensemble")
    assert folder.selection() == combined.selection == "last"
    assert combined.probabilities == pytest.approx(
        (runs[0].checkpoints["best"] + runs[1].checkpoints["best"]) / 2, abs=1e-6
    )


def test_the_same_members_write_the_same_folder(written: Callable[..., Results], tmp_path: Path) -> None:
    folders = [
        run.folders[0] for run in written(MadeRun(), MadeRun(features="mfcc"), MadeRun(features="zcr")).runs
    ]
    first = write_ensemble(folders[:2], tmp_path)
    content = (first.fold(1) / "predictions.csv").read_bytes()
    assert write_ensemble(folders[:2], tmp_path) == first
    assert (first.fold(1) / "predictions.csv").read_bytes() == content
    assert write_ensemble(folders[1:], tmp_path) != first
    assert write_ensemble(folders[:2], tmp_path, most=2) != first


def test_an_ensemble_of_many_is_named_by_their_number(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    runs = written(*(MadeRun(features=name, own=0.6) for name in ("mel", "mfcc", "zcr"))).runs
    write_ensemble([run.folders[0] for run in runs], tmp_path)
    ranked = rankings(load_runs(find(tmp_path)).runs)[0]
    assert sorted(ranked.labels.values()) == ["an ensemble of 3 runs", "mel", "mfcc", "zcr"]


def test_ensembles_of_further_seeds_are_one_row(written: Callable[..., Results], tmp_path: Path) -> None:
    runs = written(*(MadeRun(features=name, seed=seed) for name in ("mel", "zcr") for seed in (0, 1))).runs
    for seed in (0, 1):
        write_ensemble([run.folders[seed] for run in runs], tmp_path)
    combined = [run for run in load_runs(find(tmp_path)).runs if run.model == "ensemble"]
    assert [run.seeds for run in combined] == [(0, 1)]


def test_greedy_takes_what_complements_and_stops() -> None:
    # The first is correct on three clips, the second on the fourth, with more confidence; the third
    # on none.
    target = np.zeros(4, dtype=np.intp)
    truth = np.array([[0.7, 0.7, 0.7, 0.4], [0.4, 0.4, 0.4, 0.9], [0.0, 0.0, 0.0, 0.0]])
    probabilities = np.stack([truth, 1 - truth], axis=2)
    assert greedy_weights(probabilities, target, most=1).tolist() == [1, 0, 0]
    assert greedy_weights(probabilities, target, most=2).tolist() == [0.5, 0.5, 0]
    assert greedy_weights(probabilities, target, most=20)[2] == 0
    assert greedy_weights(probabilities[[0, 0]], target, most=20).tolist() == [1, 0]  # itself adds nothing


def test_members_are_selected_without_the_fold_that_they_score(written: Callable[..., Results]) -> None:
    """Changing one fold's predictions must not change its weights, and does change those of the others."""
    members = written(MadeRun(skill=0.6, own=0.9), MadeRun(features="zcr", skill=0.6, own=0.9)).runs
    before = select_members(members, most=1)
    here = members[0].folds == 3
    truth = np.eye(10)[members[0].target[here]]
    members[0].checkpoints["last"][0][here] = truth
    members[1].checkpoints["last"][0][here] = 1 / 10
    after = select_members(members, most=1)
    assert after[3].tolist() == before[3].tolist()
    assert all(after[fold].tolist() == [1, 0] for fold in (1, 2, 4, 5))


def test_selected_weights_stand_in_the_configuration(written: Callable[..., Results], tmp_path: Path) -> None:
    runs = written(MadeRun(skill=0.9), MadeRun(features="zcr", skill=0.2)).runs
    folder = write_ensemble([run.folders[0] for run in runs], tmp_path, most=1)
    assert folder.config["member_weights"]["1"] == {runs[0].name: 1.0, runs[1].name: 0.0}
    assert sorted(folder.config["member_weights"]) == ["1", "2", "3", "4", "5"]


def test_an_ensemble_is_asked_for_by_names(written: Callable[..., Results], tmp_path: Path) -> None:
    written(MadeRun(), MadeRun(features="zcr"))
    asked = AnalysisOptions(runs=tmp_path, dataset="made", ensemble=("mel-resnet18", "zcr-res"))
    folder = requested_ensemble(asked)
    assert folder.config["members"] == ["mel-resnet18", "zcr-resnet18"]
    assert "selected on the test folds" in folder.config["note"]
    with pytest.raises(RequestError, match="did you mean 'mel-resnet18'"):
        requested_ensemble(replace(asked, ensemble=("mell-resnet18", "zcr-res"), dataset=""))


def test_runs_that_cannot_form_an_ensemble_say_why(written: Callable[..., Results], tmp_path: Path) -> None:
    results = written(MadeRun(), MadeRun(features="rms", folds=(1, 2)), MadeRun(features="zcr", folds=(1,)))
    whole, two, one = (run.folders[0] for run in results.runs)
    with pytest.raises(RequestError, match="at least two runs"):
        write_ensemble([whole], tmp_path)
    with pytest.raises(RequestError, match=r"cannot form an ensemble.*160 and 400 clips"):
        write_ensemble([whole, two], tmp_path)
    with pytest.raises(RequestError, match="train at least two folds"):
        write_ensemble([one, one], tmp_path, most=1)
    (whole.fold(1) / "predictions.csv").unlink()
    (whole.path / "run.json").write_text("{")
    with pytest.raises(RequestError, match=r"cannot join an ensemble: .*run\.json cannot be read"):
        write_ensemble([RunFolder(whole.path), two], tmp_path)
