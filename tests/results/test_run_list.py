"""`runs` lists every run that can be read; `remove` names what it deletes, and a run
in training stays.
"""

import io
import shutil
from pathlib import Path

import pytest

from featurestack.base.files import Lock
from featurestack.base.own_files import OwnFiles
from featurestack.results import run_folder
from featurestack.results.options import ListOptions, RemoveOptions
from featurestack.results.run_folder import find
from featurestack.results.run_list import list_runs, remove_runs
from tests.refusal import refused


def test_says_what_goes_and_removes_it_if_told_to_and_not_in_training(
    run_copy, monkeypatch, capsys
):
    runs = run_copy.path.parents[1]
    options = RemoveOptions(runs=runs, run=run_copy.name)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with Lock(run_copy.fold(1) / ".lock"), refused("is being trained"):
        remove_runs(options)
    assert remove_runs(options) == 1 and find(runs) == [run_copy]
    assert f"{run_copy.path}: " in capsys.readouterr().out
    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert remove_runs(options) == 0 and find(runs) == [run_copy]
    notes = run_copy.fold(1) / "notes.txt"
    notes.touch()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert remove_runs(options) == 0 and find(runs) == []
    assert f"{notes} stays" in capsys.readouterr().out
    assert [*run_copy.path.rglob("*")] == [notes.parent, notes]


def test_what_cannot_be_read_is_named_after_the_list(run_copy, tmp_path, capsys):
    runs = run_copy.path.parents[1]
    damaged = run_copy.path.with_name("damaged")
    shutil.copytree(run_copy.path, damaged)
    (damaged / "fold1" / "predictions.csv").write_text("clip_id")
    assert list_runs(ListOptions(runs=runs)) == 1
    printed = capsys.readouterr()
    score = run_folder.tested_run([run_copy]).score
    row = f"{run_copy.path}  mel       cnn4   3 of 3  accuracy {score}"
    assert row in printed.out and str(damaged) not in printed.out
    assert "older, " not in printed.out
    assert printed.out.split("\n")[0].split()[-1] == "test"
    assert printed.err.count("predictions.csv cannot be read") == 1
    assert list_runs(ListOptions(runs=tmp_path / "none")) == 0
    assert "no runs in " in capsys.readouterr().err


def test_what_a_command_filled_without_a_run_is_removed_but_ones_own_files(
    run_copy, monkeypatch, capsys
):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    importance = run_copy.path.with_name("importance")
    importance.mkdir()
    OwnFiles(importance).write({"importance.json": "{}"})
    (importance / "mine.txt").touch()
    runs = run_copy.path.parents[1]
    assert list_runs(ListOptions(runs=runs)) == 0
    assert str(importance) not in capsys.readouterr().out
    assert remove_runs(RemoveOptions(runs=runs, run="importance")) == 0
    assert [*importance.iterdir()] == [importance / "mine.txt"]
    assert find(runs) == [run_copy]
    shutil.rmtree(importance)


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"run": "*"}, []),
        ({"run": "?" * 10}, []),
        ({"run": "[i]mportance"}, []),
        ({"dataset": "b*", "run": "importance"}, []),
        ({"run": "../birds/importance"}, []),
        ({"run": "../../data/birds"}, []),
        ({"run": "birds/importance"}, []),
        ({"run": ".."}, []),
        ({"dataset": "b*ds", "run": "importance"}, ["runs/b*ds/importance"]),
        ({"dataset": "birds", "run": "[a]"}, ["runs/birds/[a]"]),
    ],
)
def test_names_are_no_patterns_and_lead_out_of_no_folder(
    tmp_path, monkeypatch, given, gone
):
    monkeypatch.chdir(tmp_path)
    folders = "runs/birds/importance", "runs/b*ds/importance", "runs/birds/[a]"
    for folder in (*folders, "runs/birds/a", "data/birds"):
        Path(folder).mkdir(parents=True)
        OwnFiles(Path(folder)).write({"importance.json": "{}"})
    before = {*Path().rglob("importance.json")}
    options = RemoveOptions(**given, yes=True)
    if gone:
        assert remove_runs(options) == 0
    else:
        with refused("run"):
            remove_runs(options)
    after = {*Path().rglob("importance.json")}
    assert before - after == {Path(folder, "importance.json") for folder in gone}
