"""Figures that other processes draw: the same files, the same HTML, failures by name."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import drawing_processes, save_figure, saving

DATA = {"counts": np.array([[3, 1], [2, 2]]), "classes": ["dog", "rain"], "folds": [1, 2]}


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((folder / "figures").iterdir())}


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_another_process_draws_the_same_bytes_and_names_the_figure_that_fails(tmp_path: Path) -> None:
    here = save_figure("clips_per_fold", tmp_path / "here", **DATA)
    with drawing_processes():
        there = save_figure("clips_per_fold", tmp_path / "there", **DATA)
        broken = save_figure("clips_per_fold", tmp_path / "there", stem="odd", **DATA | {"classes": None})
        assert (there.html, there.files) == (here.html, here.files)
        assert there.file("pdf", tmp_path / "there").is_file()
        with pytest.raises(TypeError) as failure:
            _ = broken.html
    assert failure.value.__notes__ == ["in the figure odd (clips_per_fold)"]
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


@pytest.mark.usefixtures("two_cores")
def test_a_figure_whose_process_is_killed_is_drawn_here(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(saving, "become_child", kill_this_process)
    with drawing_processes():
        saved = save_figure("clips_per_fold", tmp_path, **DATA)
        assert saved.html.startswith("<svg")
        assert save_figure("clips_per_fold", tmp_path, stem="next", **DATA).html.startswith("<svg")
    assert {"clips_per_fold.pdf", "next.svg"} < files_of(tmp_path).keys()


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_with_one_core_no_other_process_is_begun(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(saving, "cpu_count", lambda: 1)
    monkeypatch.setattr(saving, "ProcessPoolExecutor", None)
    with drawing_processes():
        assert save_figure("clips_per_fold", tmp_path, **DATA).html
