"""Every notebook from start to end, on a few short clips; every check fails until it is
answered.
"""

import ast
import base64
import re
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_output

import featurestack as fs
from featurestack.pipeline import synth
from notebooks import course, store
from tests.golden.commands import ROOT

SHORT = 2 * synth.SAMPLE_RATE  # samples of a clip
WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = store.names()
ESC10 = ROOT.parent / "shared" / "esc10"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Short synthetic clips, each its own recording: four of each class, twenty
    mixtures a fold, two CSVs.
    """
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "clips").mkdir()
    rows = synth.clip_rows().query("fold <= 2 and take == 'A'")
    mixtures = synth.clip_rows(mix=True).query("fold <= 2").groupby("fold").head(20)
    for name, table in {"synth": rows, "synth_mix": mixtures}.items():
        for row in table.itertuples():
            samples = synth.clip(row)[:SHORT].astype(np.float32)
            clip = fs.Clip(samples, synth.SAMPLE_RATE)
            fs.write(clip, folder / "clips" / row.filename)
        table = table.rename(columns={"category": "label", "src_file": "group"})
        file = folder / "clips" / f"{name}.csv"
        table[["filename", "label", "fold", "group"]].to_csv(file, index=False)
    return folder


def images(cell):
    kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
    return [kind for kind in kinds if kind.startswith("image/")]


# What is stored


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_stored_notebook_has_figures_one_dataset_no_player_and_no_answer(name):
    notebook = store.load(name)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)
    assert len(text) <= store.LARGEST
    assert "<audio" not in text and "widget-view" not in text
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(images(cell) for cell in code)
    assert all(not cell.execution_count for cell in code)
    assert all(not cell.outputs for cell in code if cell.id.startswith("check-"))
    reveals = [cell for cell in code if cell.id.startswith("reveal-")]
    assert all("hide-output" in cell.metadata.tags for cell in reveals)
    sources = [cell.source for cell in code]
    assert "google.colab" in sources[0] and sources[1] == "from course import *"
    assert sources[2].startswith('DATASET = "synth"  # ')
    assert sum(f"\n{source}".count("\nDATASET = ") for source in sources) == 1
    for cell in code:
        if cell.id.startswith(("question-", "predict-")):
            tree = ast.walk(ast.parse(cell.source))
            constants = [node.value for node in tree if isinstance(node, ast.Constant)]
            assert ... in constants, cell.id
    outputs = [output.output_type for cell in code for output in cell.outputs]
    assert "error" not in outputs


def test_kept_outputs_are_figures_tables_and_text():
    figure = fs.draw("gallery", features=[fs.compute(fs.tone(440), "mel")])
    png = base64.b64encode(figure._repr_png_()).decode()
    outputs = [
        new_output("stream", name="stdout", text="before\n"),
        new_output("stream", name="stderr", text="a bar"),
        new_output(
            "stream", name="stdout", text=f"1 of 2\r2 of 2\n{store.HOME}/runs/x\n"
        ),
        new_output("display_data", {"image/png": png, "text/plain": "<Figure>"}),
        new_output("execute_result", {"text/html": "<audio>", "text/plain": "<Audio>"}),
        new_output("execute_result", {"text/html": "<table>", "text/plain": "a table"}),
        new_output("display_data", {WIDGET: {}, "text/plain": "a slider"}),
    ]
    text, drawn, table = store.kept(outputs)
    assert text.text == "before\n2 of 2\nruns/x\n"
    assert drawn.data.keys() == {"image/png"}
    assert len(drawn.data["image/png"]) < len(png)
    assert table.data == {"text/html": "<table>"}


# From start to end


def quick(notebook, folder):
    """The notebook on few clips, for one epoch."""
    for cell in notebook.cells:
        cell.source = re.sub(r"(EPOCHS = |epochs=)\d+", r"\g<1>1", cell.source)
        short = rf"= '{folder}/clips/\1.csv'"
        cell.source = re.sub('= "(synth|synth_mix)"', short, cell.source)
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run_from_start_to_end(name, folder):
    """On few clips, for one epoch; each check runs before its answer, when it must
    raise, and after it.
    """
    notebook = store.elsewhere(store.load(name), str(folder))
    answers = store.answers(notebook)
    cells = []
    for cell in quick(notebook, folder).cells:
        inserted = [answers[cell.id]] if cell.id.startswith("predict-") else []
        if cell.id.startswith("check-"):
            cell.metadata["tags"] = ["raises-exception"]
            inserted = [answers[cell.id.replace("check", "question")], cell.source]
        cells += [cell, *map(new_code_cell, inserted)]
    notebook.cells = cells
    store.execute(notebook)
    for cell in cells:
        if cell.id.startswith("check-"):
            errors = [output.get("ename") for output in cell.outputs]
            assert errors == ["NotYet"], cell.id
    assert any(images(cell) for cell in cells if cell.cell_type == "code")
    cells = {cell.id: cell for cell in cells}
    if name == "play":
        for drawn in ("curves", "confusion", "own-features"):
            assert images(cells[drawn])
        assert len(cells["predict"].outputs[-1]["data"]["text/plain"].splitlines()) >= 5
    if name == "1_listen_and_look":
        assert "Audio" in cells["listen"].outputs[-1]["data"]["text/plain"]
        assert WIDGET in cells["sliders"].outputs[-1]["data"]
    if name == "6_compare":
        assert "classified" in cells["report"].outputs[-1].text
        assert images(cells["importance"])


@pytest.mark.slow
@pytest.mark.skipif(not ESC10.exists(), reason="ESC-10 is not beside the clone")
@pytest.mark.parametrize("name", ["1_listen_and_look", "2_describe", "7_own_sounds"])
def test_a_session_runs_on_real_sounds(name, tmp_path):
    """On ten clips of each class of ESC-10, without a failed cell."""
    clips = pd.read_csv(ESC10 / "meta" / "esc10.csv").groupby("target").head(10)
    clips = clips.rename(columns={"category": "label", "src_file": "group"})
    clips["filename"] = [str(ESC10 / "audio" / name) for name in clips["filename"]]
    clips["fold"] = 1 + np.arange(len(clips)) % 10 // 2
    table = clips[["filename", "label", "fold", "group"]]
    table.to_csv(tmp_path / "cut.csv", index=False)
    notebook = store.elsewhere(store.load(name), str(tmp_path))
    notebook = store.on_dataset(notebook, str(tmp_path / "cut.csv"))
    store.execute(store.with_answers(notebook))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["3_cache_and_train", "6_compare"])
def test_a_student_who_skips_every_question_sees_sentences_alone(name, folder):
    """No cell fails in another way because an answer before it is missing."""
    notebook = quick(store.elsewhere(store.load(name), str(folder)), folder)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["tags"] = ["raises-exception"]
    store.execute(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error" or output.ename == "NotYet", cell.id


# The same sets on other sounds


def test_a_readers_accuracies_stand_beside_measured_ones(tmp_path, monkeypatch):
    file = tmp_path / "course.csv"
    monkeypatch.setattr(course, "MEASURED", file)
    own = {"mel": 0.5, "mel+mfcc+chroma": 0.625}
    assert course.beside(own).to_dict() == {
        "yours, fold 1": {n: 100 * own[n] for n in own}
    }
    rows = {"dataset": ["synth", "esc10"], "features": "mel", "model": "resnet18"}
    rows |= {"fold1": [87.5, 70], "fold2": [80, None], "accuracy": [83.75, 70]}
    pd.DataFrame(rows | {"low": 70, "high": 91}).to_csv(file, index=False)
    table = course.beside(own).loc["mel"]
    assert table.to_dict() == {
        "yours, fold 1": 50,
        "synth, fold 1": 87.5,
        "synth, 2 folds": "83.8 (70 to 91)",
        "esc10, fold 1": 70,
        "esc10, 1 fold": "70.0 (70 to 91)",
    }
    assert {*course.beside(own).loc["mel+mfcc+chroma"]} == {62.5, ""}


# Colab


def test_without_a_clone_the_folders_are_those_of_the_working_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(course.__file__)
    assert (names["DATA"], names["RUNS"]) == (
        tmp_path / "data",
        tmp_path / "runs/course",
    )
