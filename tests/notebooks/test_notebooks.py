"""Both notebooks from start to end, on a few short clips; every check fails until it is answered."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbclient
import nbformat
import pytest

from tests.train.sounds import write_dataset

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def load(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def solutions() -> dict[str, str]:
    parts = re.split(r"^# %% (question-\d+)\n", (FOLDER / "course_solutions.py").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sounds, and what the notebooks make of them: what the first extracts, the second finds."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_dataset(folder / "sounds")
    return folder


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """In the notebook's own folder, as Jupyter does; its data and runs go to `folder`, its clips are few."""
    sounds = folder / "sounds" / "little.csv"
    own = f"Path({str(folder / 'data')!r}), Path({str(folder / 'runs')!r}), {str(sounds)!r}"
    place = f"DATA, RUNS, DATASET = {own}"
    setup = next(number for number, cell in enumerate(notebook.cells) if cell.id == "setup")
    notebook.cells.insert(setup + 1, nbformat.v4.new_code_cell(place))
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()


def images(cell: nbformat.NotebookNode) -> list[str]:
    return [kind for output in cell.outputs for kind in output.get("data", {}) if kind.startswith("image/")]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_is_kept_without_outputs_in_short_cells(file):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert all(len(cell.source.splitlines()) <= 20 for cell in code if cell.id != "setup")
    assert "colab-badge.svg" in notebook.cells[0].source
    assert f"notebooks/{file.name}" in notebook.cells[0].source
    assert code[0].source == load("play").cells[1].source  # one setup for all


def test_play_runs_from_start_to_end(folder):
    notebook = load("play")
    execute(notebook, folder)
    cells = {cell.id: cell for cell in notebook.cells}
    for drawn in ("gallery", "compared", "curves", "confusion", "samples"):
        assert images(cells[drawn]), drawn
    assert "hiss" in cells["predict"].outputs[-1]["data"]["text/plain"]
    assert "Audio" in cells["listen"].outputs[-1]["data"]["text/plain"]


def test_course_fails_until_answered_and_then_passes(folder):
    """Before each right answer the question as it stands is checked: that check must raise."""
    notebook, answers = load("course"), solutions()
    asked = [cell.id for cell in notebook.cells if cell.id.startswith("question")]
    assert asked == list(answers)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.id.startswith("check"):
            cell.metadata["tags"] = ["raises-exception"]
            cells.append(nbformat.v4.new_code_cell(answers[cell.id.replace("check", "question")]))
            cells.append(nbformat.v4.new_code_cell(cell.source))
    notebook.cells = cells
    execute(notebook, folder)
    for cell in notebook.cells:
        if cell.id.startswith("check"):
            assert cell.outputs[-1].output_type == "error", f"{cell.id} passes without an answer"


def test_no_answer_stands_in_the_course():
    notebook = load("course")
    for cell in notebook.cells:
        if cell.id.startswith("question"):
            assert any(
                isinstance(n, ast.Constant) and n.value is ... for n in ast.walk(ast.parse(cell.source))
            )


def test_in_colab_the_first_cell_fetches_all_but_torch_and_keeps_runs_on_the_drive(tmp_path, monkeypatch):
    """With git, pip and Google's module played by stand-ins; a second time nothing is cloned again."""
    asked: list[list[str]] = []

    def run(command, check):
        asked.append(command)
        if command[0] == "git":
            home = Path(command[-1])
            home.mkdir(parents=True)
            (home / "requirements.txt").write_text(
                (ROOT / "requirements.txt").read_text() + "nowhere-to-be-had==1\n"
            )

    colab = ModuleType("google.colab")
    mounted: list[str] = []
    colab.drive = SimpleNamespace(mount=mounted.append)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in ("torch", "nowhere-to-be-had") else 1
    )
    source = load("play").cells[1].source
    source = source.replace("/content/project", str(tmp_path / "project")).replace(
        "DRIVE = False", "DRIVE = True"
    )
    for _ in range(2):
        exec(compile(source, "setup", "exec"), names := {})  # the cell itself, as Colab would run it
    clones = [command for command in asked if command[0] == "git"]
    installs = [command for command in asked if "pip" in command]
    assert len(clones) == 1
    assert all("nowhere-to-be-had" in command and "torch" not in command for command in installs)
    assert mounted == ["/content/drive"] * 2
    assert names["RUNS"] == Path("/content/drive/MyDrive/sound-runs")
    assert names["DATA"] == tmp_path / "project" / "data"
