"""`remove` names what it deletes; a run in training stays."""

from dataclasses import replace
from types import SimpleNamespace

from featurestack.results.folders import RETRAINING, find, hidden
from featurestack.storage.files import Lock
from featurestack.train.options import RemoveOptions
from featurestack.train.remove import remove_runs
from tests.refusal import refused


def test_says_what_goes_and_removes_it_if_told_to(finished, monkeypatch, capsys):
    runs = finished.path.parents[1]
    options = RemoveOptions(runs=runs, run=finished.name)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert remove_runs(options) == 1 and find(runs) == [finished]
    assert f"{finished.path}: " in capsys.readouterr().out
    notes = finished.fold(1) / "notes.txt"
    notes.touch()
    assert remove_runs(replace(options, yes=True)) == 0 and find(runs) == []
    assert f"{notes} stays" in capsys.readouterr().out
    assert [*finished.path.rglob("*")] == [notes.parent, notes]


def test_a_run_in_training_is_refused(finished):
    options = RemoveOptions(runs=finished.path.parents[1], run=finished.name, yes=True)
    with Lock(finished.fold(1) / ".lock"), refused("is being trained"):
        remove_runs(options)
    assert finished.path.exists()


def test_a_retraining_that_was_begun_goes_with_its_run(finished):
    begun = hidden(finished.path, RETRAINING)
    begun.mkdir()
    own = finished.path.with_name(f"{finished.name}.mine")
    own.mkdir()
    options = RemoveOptions(runs=finished.path.parents[1], run=finished.name, yes=True)
    assert remove_runs(options) == 0
    assert not begun.exists() and not finished.path.exists() and own.is_dir()
