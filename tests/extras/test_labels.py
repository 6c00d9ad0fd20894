"""The clips to label next, and the labels that a run contradicts."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.analysis.report.jobs import analysis
from featurestack.extras.labels import contradictions, first_to_label, write_next
from featurestack.features_cache.index_file import read_index
from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand
from featurestack.predict.options import PredictOptions
from featurestack.predict.predict_audio import predict_audio
from tests.refusal import refused
from tests.train.sounds import RATE, sound

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
    paths = {name: str(folder / "field" / f"{name}.wav") for name in "ab"}
    model = SimpleNamespace(
        classes=["cat", "dog"],
        window=1.0,
        task=SimpleNamespace(multilabel=False),
    )
    table = windows.assign(file=windows["file"].map(paths))
    places = {"audio": folder / "field"}
    write_next(PredictOptions(**places, **given), model, table, folder)
    return pd.read_csv(folder / "next.csv", keep_default_na=False)


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
    a, b = (str(tmp_path / "field" / name) for name in ("a.wav", "b.wav"))
    assert rows["filename"].tolist() == [a, b, a, b, a]
    assert rows["start"].tolist() == [0, 0, 1, 1, 2]
    assert {*rows["label"]} == {""} and rows["likely"][0] == "cat"
    assert "5 rows to label" in capsys.readouterr().err
    assert len(next_rows(tmp_path, windows, next=50)) == 6
    assert len(next_rows(tmp_path, windows, next=50, hop=0.5)) == 10


def test_a_table_with_labels_is_not_replaced(tmp_path, windows):
    next_rows(tmp_path, windows, next=2)
    file = tmp_path / "next.csv"
    file.write_text(file.read_text().replace(",,", ",dog,"))
    with refused("was changed since, and is not replaced"):
        next_rows(tmp_path, windows, next=3)
    assert ",dog," in file.read_text()


def test_the_filled_rows_join_the_datasets_table(
    sounds_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for folder, names in ("my", ("hiss", "tone")), ("field", ("tone", "hiss")):
        Path(folder).mkdir()
        for take, name in enumerate(names):
            y = sound(name, take, seconds=1 if folder == "my" else 3)
            soundfile.write(f"{folder}/{take}.wav", y, RATE)
    options = PredictOptions(
        audio=Path("field"), run=str(sounds_run.path), next=4, out=Path("out"), hop=0.5
    )
    assert not predict_audio(options) and not capsys.readouterr().out
    rows = pd.read_csv("out/next.csv")
    rows["label"], rows["train_only"] = rows["likely"], 1
    own = pd.DataFrame({"filename": ["0.wav", "1.wav"], "label": ["hiss", "tone"]})
    pd.concat([own, rows]).to_csv("my/my.csv", index=False)
    asked = FeaturesCommand(dataset="my/my.csv", features="mel", jobs=1)
    assert not extract_features(asked)
    clips, _ = read_index(Path("data/my/features"))
    assert len(clips) == 6 and len({*clips["path"]}) == 4
    assert (clips["train_only"] == "1").sum() == 4


def test_next_lies_beside_the_file_of_all_probabilities(sounds_run, tmp_path):
    soundfile.write(tmp_path / "a.wav", sound("tone", 1), RATE)
    given = {"audio": tmp_path / "a.wav", "run": str(sounds_run.path), "next": 1}
    predict_audio(PredictOptions(out=tmp_path / "all.csv", **given))
    assert (tmp_path / "all.csv").is_file() and (tmp_path / "next.csv").is_file()
    (tmp_path / "out").mkdir()
    with refused("next.csv was not written by this command.*give another OUT="):
        predict_audio(PredictOptions(out=tmp_path / "out" / "next.csv", **given))
    assert "likely" not in (tmp_path / "out" / "next.csv").read_text()


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
