"""The predictions of windows, and scores on another labelled dataset."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.predict.options import PredictOptions
from featurestack.predict.predict_audio import score_elsewhere
from tests.predict.test_clips import ask
from tests.refusal import refused
from tests.train.sounds import RATE, sound


def record(file, *parts):
    """A recording of these parts, one after the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.concatenate(parts), RATE)
    return file


def windows(run, **given):
    """The table of windows."""
    answers = run.path.parents[2] / "answers.csv"
    ask(run, out=answers, **given)
    return pd.read_csv(answers, keep_default_na=False)


def test_each_window_of_each_recording_has_its_class(sounds_run, tmp_path, capsys):
    parts = sound("hiss", 50, seconds=3), sound("tone", 50, seconds=3)
    record(tmp_path / "field.wav", *parts, np.zeros(2 * RATE))
    # as long a name as a file system takes
    record(tmp_path / ("n" * 251 + ".wav"), sound("tone", 50, seconds=1.5))
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    table = windows(sounds_run, audio=tmp_path, hop=1.0, gate=-60.0)
    assert list(table) == ["file", "start", "end", "predicted", *sounds_run.classes]
    field = table[table["file"] == str(tmp_path / "field.wav")]
    assert field["start"].tolist() == [*range(8)]
    assert field["end"].tolist() == [*range(1, 9)]
    assert field["predicted"].tolist() == ["hiss"] * 3 + ["tone"] * 3 + [""] * 2
    other = table[table["file"] != str(tmp_path / "field.wav")]
    assert other["start"].tolist() == [0.0, 0.5]
    assert ask(sounds_run, audio=tmp_path, hop=1.0) == 1
    out, err = capsys.readouterr()
    assert "bad.wav: not audio" in err and "1 of 3 files failed" in err
    assert out.splitlines()[0].split() == ["file", "start", "end", "1.", "2.", "3."]


def test_windows_are_as_long_as_the_median_clip_if_many_were_padded(
    short_clips_run, tmp_path
):
    file = record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    median = short_clips_run.config.clip_seconds
    assert 0 < median < short_clips_run.config.duration
    rows = windows(short_clips_run, audio=file, hop=0.1)
    assert (rows["end"] - rows["start"]).tolist() == pytest.approx(
        [median] * len(rows), abs=2e-3
    )


@pytest.fixture
def score_on(sounds_run, tmp_path):
    """Scores the run on a CSV in `folder` whose rows are (name, label)."""

    def score(rows, name="other"):
        table = tmp_path / f"{name}.csv"
        pd.DataFrame(rows, columns=["filename", "label"]).to_csv(table, index=False)
        places = {name: tmp_path / name for name in ("runs", "reports")}
        places["data"] = sounds_run.path.parents[2] / "data"
        given = {"run": str(sounds_run.path), "dataset": str(table), "threads": 1}
        return score_elsewhere(PredictOptions(**given, **places))

    return score


@pytest.fixture
def rows(tmp_path):
    """Two new recordings of each of two classes."""
    made = []
    for label in ("tone", "hiss"):
        for take in (77, 78):
            name = f"{label}{take}.wav"
            soundfile.write(tmp_path / name, sound(label, take), RATE)
            made.append((name, label))
    return made


def written(tmp_path, name="other"):
    """The table of predictions on the other dataset."""
    (file,) = (tmp_path / "reports" / name / "predictions").glob("little.*.csv")
    return pd.read_csv(file)


def test_new_clips_of_known_classes_are_scored(
    score_on, rows, tmp_path, sounds_run, capsys
):
    swapped = {"tone": "hiss", "hiss": "tone"}
    score_on([(name, swapped[label]) for name, label in rows])
    assert "other: accuracy 0.0 %" in capsys.readouterr().out
    assert score_on(rows) == 0
    *table, score, file = capsys.readouterr().out.splitlines()
    assert score.startswith("other: accuracy 100.0 % (95 % CI ")
    assert score.endswith(" of 4 clips, by all folds' models together")
    assert [line.split() for line in table[-2:]] == [
        ["hiss", "2", "100.0"],
        ["tone", "2", "100.0"],
    ]
    assert not [*tmp_path.glob("runs/other/*")]
    found = written(tmp_path)
    assert [*found] == ["clip", "label", "group", "fold", *sounds_run.classes]
    assert (found[sounds_run.classes].idxmax(axis=1) == found["label"]).all()
    assert found["fold"].tolist() == [1] * 4  # one model predicts all of them
    tables = (Path(file.removeprefix("predictions: ")),)
    compare = pytest.importorskip("featurestack.extras.compare.tables")
    compare.compare_tables(compare.CompareOptions(tables=tables))
    assert "of 4 clips" in capsys.readouterr().out


def test_unknown_classes_missing_files_and_those_trained_on_do_not_count(
    score_on, rows, tmp_path, sounds_run, capsys
):
    soundfile.write(tmp_path / "moo.wav", np.zeros(RATE), RATE)
    (tmp_path / "dangling.wav").symlink_to("nowhere.wav")
    shutil.copy(sounds_run.path.parents[2] / "sounds" / "tone-1-0.wav", tmp_path)
    absent = [("absent.wav", "tone"), ("dangling.wav", "hiss")]
    others = [("moo.wav", "cow"), ("tone-1-0.wav", "tone")]
    assert score_on([*rows, *absent, *others], name="incomplete") == 1
    remarks = (
        "1 clip left out: the run does not know their classes (cow)",
        "1 clip left out: the run was trained on their files",
    )
    assert len(written(tmp_path, "incomplete")) == len(rows)
    shown = capsys.readouterr().err
    assert all(text in shown for text in (*remarks, "absent.wav", "dangling.wav"))


def test_a_dataset_of_other_classes_and_the_runs_own_are_refused(
    score_on, rows, sounds_run
):
    with refused("have no class in common: cat and cow there"):
        cats = [(name, ("cat", "cow")[n % 2]) for n, (name, _) in enumerate(rows)]
        score_on(cats, name="cats")
    root = sounds_run.path.parents[2]
    own = str(root / "sounds" / "little.csv")
    options = PredictOptions(run=str(sounds_run.path), dataset=own, data=root / "data")
    with refused("give another dataset as DATASET="):
        score_elsewhere(options)
