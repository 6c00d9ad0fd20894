"""RETRAIN=1 is killed: neither the old run nor the new one is lost."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from featurestack.results.folders import RETRAINED, RETRAINING, find, hidden
from featurestack.results.run_folder import write_config
from featurestack.storage.files import Lock
from featurestack.train import run_identity
from featurestack.train.run_identity import HASH_VERSION
from tests.refusal import refused
from tests.run_configs import ensemble_of
from tests.train.little import execute


@pytest.fixture(params=[1, 2], ids=["before the second rename", "after it"])
def killed(request, changed, monkeypatch):
    """Options of a run whose retraining was killed at a rename of its switch."""
    rename = Path.rename
    renamed = []

    def rename_or_die(path, target):
        if path.name.endswith("linear.retraining") or target.name.endswith("replaced"):
            renamed.append(path)
            if len(renamed) == 2 and request.param == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        result = rename(path, target)
        if len(renamed) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def retrain():
        monkeypatch.setattr(Path, "rename", rename_or_die)
        execute(changed, retrain=True)

    process = multiprocessing.get_context("fork").Process(target=retrain)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return changed


def test_the_new_run_is_found_after_a_kill_and_nothing_else_stays(killed, capsys):
    (new,) = find(killed.runs)
    assert len(new.predictions()) == 39
    assert [folder.name for folder in new.path.parent.iterdir()] == [new.name]
    execute(killed)
    assert "has these folds already" in capsys.readouterr().err


def test_files_of_the_user_stay_in_the_place_of_a_run(changed):
    (old,) = find(changed.runs)
    for place in (old.path, old.fold(1)):
        (place / "notes.txt").write_text("mine")
    new = execute(changed, retrain=True)
    assert len(new.predictions()) == 39
    for place in (old.path, old.fold(1)):
        assert (place / "notes.txt").read_text() == "mine"
    assert [folder.name for folder in new.path.parent.iterdir()] == [new.name]


def test_a_switch_that_another_process_is_making_is_left_to_it(changed):
    (old,) = find(changed.runs)
    replaced = old.path.rename(hidden(old.path, RETRAINED))
    with Lock(replaced / "fold1" / ".lock"):
        assert find(changed.runs) == []
    assert replaced.is_dir()


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


def test_a_retraining_for_other_clips_is_not_deleted_while_it_is_trained(changed):
    (old,) = find(changed.runs)
    begun = hidden(old.path, RETRAINING)
    shutil.copytree(old.path, begun)  # of the clips before, as another's cache has them
    with Lock(begun / "fold1" / ".lock"), refused("is being trained"):
        execute(changed, retrain=True)
    assert (begun / "run.json").is_file()
    execute(changed, retrain=True)
    assert not begun.exists()


def test_retraining_does_not_replace_a_run_of_another_kind(finished, options):
    write_config(finished.path, ensemble_of(finished.training))
    with refused("is an ensemble of finished runs"):
        execute(options, retrain=True)
