"""A run that is removed is named with what goes; one that is being trained stays."""

import shutil
from types import SimpleNamespace

import pytest

from commandline.files import Lock
from commandline.registry import RequestError
from results.run_folder import RunFolder, find
from train.options import RemoveOptions
from train.remove import remove_runs


@pytest.fixture
def copy(sounding, tmp_path) -> RunFolder:
    return RunFolder(shutil.copytree(sounding.path, tmp_path / "little" / "copy"))


def test_says_what_goes_and_removes_it_if_told_to(copy, tmp_path, monkeypatch, capsys):
    options = {"runs": tmp_path, "run": "copy"}
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert remove_runs(RemoveOptions(**options)) == 1 and find(tmp_path) == [copy]
    assert f"{copy.path}: " in capsys.readouterr().out
    assert remove_runs(RemoveOptions(**options, yes=True)) == 0 and not copy.path.exists()


def test_a_run_in_training_and_no_name_are_refused(copy, tmp_path):
    with Lock(copy.fold(1) / ".lock"), pytest.raises(RequestError, match="is being trained"):
        remove_runs(RemoveOptions(runs=tmp_path, run="copy", yes=True))
    with pytest.raises(RequestError, match="RUN names no run"):
        remove_runs(RemoveOptions(runs=tmp_path, yes=True))
    assert find(tmp_path) == [copy]
