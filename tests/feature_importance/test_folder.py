"""The folder beside a dataset's runs that `make importance` fills."""

import io

from featurestack.results.run_folder import find
from featurestack.storage.own_files import OwnFiles
from featurestack.train.options import ListOptions, RemoveOptions
from featurestack.train.runs import list_runs, remove_runs


def test_the_folder_is_listed_and_removed_without_ones_own_files(
    finished, capsys, monkeypatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    importance = finished.path.with_name("importance")
    importance.mkdir()
    OwnFiles(importance).write({"importance.json": "{}"})
    (importance / "mine.txt").touch()
    runs = finished.path.parents[1]
    assert list_runs(ListOptions(runs=str(runs))) == 0
    assert str(importance) in capsys.readouterr().out
    assert remove_runs(RemoveOptions(runs=runs, run="importance")) == 0
    assert [*importance.iterdir()] == [importance / "mine.txt"]
    assert find(runs) == [finished]
