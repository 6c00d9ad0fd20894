"""Adding to an environment that is there: what is missing is installed, what is there stays."""

import importlib.metadata
import subprocess
from pathlib import Path

from commandline import environment

ROOT = Path(__file__).resolve().parents[2]


def test_pins_follow_the_files_that_a_file_includes(tmp_path):
    (tmp_path / "more.txt").write_text("h5py==3.1\n# a comment\n")
    (tmp_path / "all.txt").write_text("-r more.txt\nnumpy==2.0  # why\n")
    assert environment.pins(tmp_path / "all.txt") == {"h5py": "3.1", "numpy": "2.0"}
    assert "torch" in environment.pins(ROOT / "requirements.txt")


def test_what_is_there_is_kept_and_named_and_only_the_rest_is_installed(tmp_path, monkeypatch, capsys):
    installed = {"numpy": "1.9", "torch": "2.13.0+cu130"}

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    asked = []
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(
        subprocess, "run", lambda command, check: asked.append(command) or subprocess.CompletedProcess([], 0)
    )
    file = tmp_path / "requirements.txt"
    file.write_text("numpy==2.0\ntorch==2.13.0\ntyro==1.0\n")
    assert environment.add_missing([str(file)]) == 0
    assert [word for word in asked[0] if "==" in word] == ["tyro==1.0"]
    assert "numpy 1.9 (the tests use 2.0)" in capsys.readouterr().out
