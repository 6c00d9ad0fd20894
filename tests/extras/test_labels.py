"""The clips to label next, and the labels that a run contradicts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis.report_jobs import analysis
from featurestack.extras.labels import contradictions, first_to_label, write_next
from featurestack.predict.options import PredictOptions
from tests.refusal import refused

# three clips of one recording, then two of another; two classes
PROBABILITIES = np.array([[0.5, 0.5], [0.6, 0.4], [0.1, 0.9], [1, 0], [0.3, 0.7]])
RECORDINGS = np.array(["a", "a", "a", "b", "b"])


def test_recordings_and_classes_take_turns_and_the_most_doubtful_clip_is_first():
    alone = np.arange(5)
    assert first_to_label(PROBABILITIES, alone).tolist() == [0, 4, 1, 2, 3]
    assert first_to_label(PROBABILITIES, RECORDINGS).tolist() == [0, 4, 1, 3, 2]
    tags = np.array([[0.9, 0.45, 0.0], [0.0, 0.6, 0.0], [0.0, 0.1, 0.0]])
    assert first_to_label(tags, np.arange(3), tags=True).tolist() == [0, 1, 2]


def next_rows(folder, windows, **given):
    """The rows of next.csv for windows of one second of the recordings field/*.wav."""
    files = {f"{name}.wav": folder / "field" / f"{name}.wav" for name in "ab"}
    paths = {name.removesuffix(".wav"): str(path) for name, path in files.items()}
    model = SimpleNamespace(
        classes=["cat", "dog"],
        window=1.0,
        config=SimpleNamespace(dataset="pets"),
        task=SimpleNamespace(multilabel=False),
    )
    table = windows.assign(file=windows["file"].map(paths))
    places = {"audio": folder / "field", "reports": folder / "reports"}
    write_next(PredictOptions(**places, **given), model, files, table)
    return pd.read_csv(folder / "reports/pets/field/next.csv", keep_default_na=False)


@pytest.fixture
def windows():
    """Every quarter of a second of two recordings."""
    start = np.tile(np.arange(9) / 4, 2)
    table = pd.DataFrame({"file": [*"a" * 9, *"b" * 9], "start": start})
    table = table.assign(end=start + 1, cat=np.linspace(0.5, 1, 18))
    return table.assign(dog=1 - table["cat"])


def test_windows_in_next_do_not_overlap_and_alternate_between_recordings(
    tmp_path, windows, capsys
):
    rows = next_rows(tmp_path, windows, next=5)
    assert rows["filename"].tolist() == ["a.wav", "b.wav", "a.wav", "b.wav", "a.wav"]
    assert rows["start"].tolist() == [0, 0, 1, 1, 2]
    assert {*rows["label"]} == {""} and rows["likely"][0] == "cat"
    assert "5 rows to label" in capsys.readouterr().err
    assert len(next_rows(tmp_path, windows, next=50)) == 6
    assert len(next_rows(tmp_path, windows, next=50, hop=0.5)) == 10


def test_a_table_with_labels_is_not_replaced(tmp_path, windows):
    next_rows(tmp_path, windows, next=2)
    file = tmp_path / "reports/pets/field/next.csv"
    file.write_text(file.read_text().replace(",,", ",dog,"))
    with refused("was changed since, and is not replaced"):
        next_rows(tmp_path, windows, next=3)
    assert ",dog," in file.read_text()


def test_the_labels_that_are_contradicted_most_come_first():
    target = np.array([0, 1, 0, 1, 1])
    assert contradictions(PROBABILITIES, target).tolist() == [3, 2, 1]


@pytest.mark.usefixtures("without_figures")
def test_the_report_lists_them_with_their_sound(tones_project, tmp_path):
    options = tones_project.options(reports=tmp_path)
    analysis(options)
    table = pd.read_csv(tmp_path / "tones" / "tables" / "suspects.csv")
    assert len(table) and (table["of_predicted"] > table["of_label"]).all()
    assert (table["label"] != table["predicted"]).all()
    page = (tmp_path / "tones" / "index.html").read_text("utf-8")
    section = page.split('<section id="suspects"')[1].split("</section>")[0]
    assert section.count("<audio") == section.count("data:audio") > 0
