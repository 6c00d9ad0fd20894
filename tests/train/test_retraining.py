"""RETRAIN=1 trains a run again in its place, also after a kill."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from featurestack.results.folders import find
from featurestack.results.run_folder import write_config
from featurestack.storage.files import Lock
from featurestack.train import run_identity
from featurestack.train.run_identity import HASH_VERSION
from tests.refusal import refused
from tests.run_configs import ensemble_of
from tests.train.little import execute


@pytest.mark.parametrize("removed", [1, 9])
def test_a_retraining_that_is_killed_while_it_removes_the_run_goes_on(
    changed, removed, monkeypatch
):
    unlink = Path.unlink
    names = []

    def unlink_or_die(path, **given):
        names.append(path)
        if len(names) > removed:
            os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, **given)

    def retrain():
        monkeypatch.setattr(Path, "unlink", unlink_or_die)
        execute(changed, retrain=True)

    process = multiprocessing.get_context("fork").Process(target=retrain)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with refused("RETRAIN=1 trains it again"):
        execute(changed)
    new = execute(changed, retrain=True)
    assert len(new.predictions()) == 39
    assert [folder.name for folder in new.path.parent.iterdir()] == [new.name]


def test_files_of_the_user_stay_in_the_place_of_a_run(changed):
    (old,) = find(changed.runs)
    for place in (old.path, old.fold(1)):
        (place / "notes.txt").write_text("mine")
    new = execute(changed, retrain=True)
    assert len(new.predictions()) == 39
    for place in (old.path, old.fold(1)):
        assert (place / "notes.txt").read_text() == "mine"
    assert [folder.name for folder in new.path.parent.iterdir()] == [new.name]


def test_a_run_of_another_version_is_told_from_other_weights(
    options, finished, monkeypatch
):
    monkeypatch.setattr(run_identity, "HASH_VERSION", HASH_VERSION + 1)
    with refused("different: the program's version"):
        execute(options)


@pytest.mark.parametrize("lost", ["the end", "a key"])
def test_a_run_whose_run_json_is_damaged_is_trained_again_in_its_place(
    finished, options, lost
):
    file = finished.path / "run.json"
    text = file.read_text()
    cut = {"the end": text[:100], "a key": text.replace("protocol", "p")}
    file.write_text(cut[lost])
    with refused("run.json .*: train this run again with RETRAIN=1, or remove its f"):
        execute(options)
    assert execute(options, retrain=True).finished == [1, 2, 3]
    assert [path.name for path in finished.path.parent.iterdir()] == [finished.name]


def test_a_run_is_not_removed_while_another_process_trains_it(changed):
    (old,) = find(changed.runs)
    with Lock(old.path / "fold1" / ".lock"), refused("is being trained"):
        execute(changed, retrain=True)
    assert old.finished == [1, 2, 3]


def test_retraining_does_not_replace_a_run_of_another_kind(finished, options):
    write_config(finished.path, ensemble_of(finished.training))
    with refused("is an ensemble of finished runs"):
        execute(options, retrain=True)
