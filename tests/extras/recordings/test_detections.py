"""Windows of new recordings become detections, in tables for Raven and Audacity.

A check by ear says their precision.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestack.extras.recordings import LabelOptions, WindowsOptions
from featurestack.extras.recordings.annotations import read_events
from featurestack.extras.recordings.check import (
    draw_sample,
    precision,
    precisions,
    promised,
    read_checked,
    tell_checked,
)
from featurestack.extras.recordings.detections import (
    merge_windows,
    single_windows,
    write_tables,
)
from featurestack.extras.recordings.windows import make_windows
from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand
from featurestack.predict.options import PredictOptions
from featurestack.predict.predict_audio import predict_audio
from featurestack.train import training
from featurestack.train.options import RunOptions
from tests.extras.recordings.annotated_tones import write_recordings
from tests.refusal import refused

MEL = "mel@n_mels=32,hop_length=256,n_fft=512"


@pytest.fixture(scope="module")
def recordings_run(tmp_path_factory):
    """A run on windows of six recordings, and two new recordings in the folder new."""
    folder = tmp_path_factory.mktemp("field")
    marks = write_recordings(folder)
    (folder / "new").mkdir()
    for name in ("r6.wav", "r7.wav"):
        shutil.move(folder / "audio" / name, folder / "new" / name)
    new = marks["file"].isin(["r6.wav", "r7.wav"])
    marks[new].to_csv(folder / "new.csv", index=False)
    marks[~new].to_csv(folder / "marks.csv", index=False)
    places = {"data": folder / "data", "runs": folder / "runs"}
    for audio, tables, name in (("audio", "marks", "field"), ("new", "new", "later")):
        given = {"audio": folder / audio, "tables": folder / f"{tables}.csv"}
        data = places["data"]
        assert not make_windows(
            WindowsOptions(**given, name=name, length=0.25, data=data)
        )
    table = str(folder / "data" / "field" / "field.csv")
    asked = FeaturesCommand(dataset=table, data=data, features=MEL, jobs=1)
    assert not extract_features(asked)
    training.execute(RunOptions(dataset=table, features=MEL, model="ridge", **places))
    return folder


def ask(folder, **given):
    places = {"data": folder / "data", "runs": folder / "runs"}
    places["reports"] = folder / "reports"
    given = {"audio": folder / "new", **given}
    return predict_audio(PredictOptions(run="last", threads=1, **places, **given))


def test_consecutive_windows_above_the_threshold_are_a_detection():
    start = np.array([0.0, 0.5, 1.0, 1.2])
    windows = pd.DataFrame({"file": "a", "start": start, "end": start + 1})
    windows["x"] = [0.9, 0.6, 0.4, 0.7]
    windows["y"] = [0.0, 0.0, 0.0, 0.0]
    found = merge_windows(windows, {"x": 0.5, "y": 0.5})
    assert found.to_numpy().tolist() == [
        ["a", 0.0, 1.25, "x", 0.9],
        ["a", 1.6, 2.2, "x", 0.7],
    ]
    both = pd.concat([windows, windows.assign(file="b")])
    assert merge_windows(both, {"x": 0.3})["file"].tolist() == ["a", "b"]
    assert len(single_windows(windows, {"x": 0.5, "y": 0.5})) == 3


def test_the_tables_have_what_was_marked_and_read_back_the_same(recordings_run, capsys):
    assert ask(recordings_run, threshold="0.5") == 0
    assert "detections in 2 recordings" in capsys.readouterr().err
    folder = recordings_run / "reports" / "field" / "new"
    found = pd.read_csv(folder / "detections.csv")
    marks = pd.read_csv(recordings_run / "new.csv")
    for mark in marks.itertuples():
        same = found[(found["file"] == mark.file) & (found["label"] == mark.label)]
        shared = np.minimum(same["end"], mark.end) - np.maximum(
            same["start"], mark.start
        )
        assert shared.max() > (mark.end - mark.start) / 2, mark
    assert len(found) < 1.5 * len(marks)
    seconds = dict.fromkeys(["r6.wav", "r7.wav"], 7.0)
    carried = shutil.copytree(folder / "raven", recordings_run / "carried")
    for place in (folder, folder / "raven", carried):
        with refused(
            "holds no table of annotations: .* not only tables that predict wrote"
        ):
            read_events(place, seconds, LabelOptions())
    for name in ("raven", "audacity"):
        saved = saved_elsewhere(folder / name, recordings_run / "saved" / name)
        read = read_events(saved, seconds, LabelOptions()).events
        same = found.sort_values(["file", "start", "end", "label"], ignore_index=True)
        expected = same[["file", "start", "end", "label"]].to_numpy().tolist()
        assert read.to_numpy().tolist() == expected, name


def test_a_corrected_table_is_kept_and_read_as_annotations(recordings_run, capsys):
    out = recordings_run / "corrected"
    ask(recordings_run, threshold="0.5", out=out)
    table = out / "raven" / "r6.Table.1.selections.txt"
    table.write_text(table.read_text().replace("\tlow\t", "\tLOW\t"))
    ask(recordings_run, threshold="0.5", out=out)
    assert f"{table}: kept because you changed it" in capsys.readouterr().err
    seconds = dict.fromkeys(["r6.wav", "r7.wav"], 7.0)
    read = read_events(out / "raven", seconds, LabelOptions())
    assert read.annotated == {"r6.wav"} and "LOW" in {*read.events["label"]}


def saved_elsewhere(tables, folder):
    """The tables as a person saves them who takes them for right: without a record."""
    return shutil.copytree(tables, folder, ignore=shutil.ignore_patterns(".*"))


@pytest.mark.parametrize(
    ("names", "tables"),
    [
        (["a.wav", "b.wav"], ["a", "b"]),
        (["a.wav", "a.flac"], ["a.flac", "a.wav"]),
        (["x/a.wav", "y/a.wav", "y/a.ogg"], ["x/a", "y/a.ogg", "y/a.wav"]),
        (["a.wav", "a.wav.wav"], ["a", "a.wav.wav"]),
    ],
)
def test_two_recordings_never_share_a_table(tmp_path, names, tables):
    files = {name: tmp_path / name for name in names}
    rows = [(name, place, place + 1.0, name) for place, name in enumerate(names)]
    found = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    write_tables(found.assign(score=0.9), files, tmp_path)
    written = tmp_path / "raven"
    ending = ".Table.1.selections.txt"
    assert [
        str(file.relative_to(written)).removesuffix(ending)
        for file in sorted(written.rglob("*.txt"))
    ] == tables
    saved = saved_elsewhere(written, tmp_path / "saved")
    read = read_events(saved, dict.fromkeys(names, 9.0), LabelOptions())
    assert (read.events["label"] == read.events["file"]).all()
    assert {*read.events["file"]} == {*names}


def test_a_recording_is_answered_window_by_window_without_being_asked(recordings_run):
    answers = recordings_run / "answers.csv"
    assert ask(recordings_run, out=answers) == 0
    table = pd.read_csv(answers)
    assert (table["end"] - table["start"]).to_numpy() == pytest.approx(0.25, abs=1e-3)
    assert np.diff(table["start"][:4]) == pytest.approx(0.0625, abs=1e-3)


def test_new_annotated_recordings_are_a_dataset_that_scores_the_run(
    recordings_run, capsys
):
    later = str(recordings_run / "data" / "later" / "later.csv")
    assert ask(recordings_run, audio=None, dataset=later) == 0
    (table,) = (recordings_run / "reports/later/predictions").glob("field.*.csv")
    assert "later: mAP" in capsys.readouterr().out and len(pd.read_csv(table)) > 20


def answered(field, words=("yes",), **given):
    """The table of a check with these answers in turn."""
    ask(field, **given)
    table = given["out"] / "check" / "check.csv"
    checks = pd.read_csv(table, keep_default_na=False)
    checks["correct"] = np.resize(words, len(checks))
    file = given["out"] / "answers.csv"
    checks.to_csv(file, index=False)
    return file, checks


def test_a_check_has_a_page_with_sounds_and_ends_in_a_signed_statement(
    recordings_run, capsys
):
    out = recordings_run / "checked"
    file, checks = answered(recordings_run, threshold="0.5", check=12, out=out)
    page = (out / "check" / "index.html").read_text("utf-8")
    assert all((out / "check" / sound).is_file() for sound in checks["sound"])
    check = Path(checks["facts"][0]).stem
    assert f"~/Downloads/checked-12-{check}-answers.csv" in page
    assert "yes" in {*checks["predicted"]} and len(checks) == 12
    capsys.readouterr()
    assert ask(recordings_run, audio=None, checked=file, promise=0.5) == 0
    printed = capsys.readouterr().out
    assert "12 checks in 2 recordings: 12 right, 0 wrong" in printed
    few = "2 recordings are too few for a verdict, which needs 7: no precision is"
    assert few in printed
    statement = (out / "statement.md").read_text("utf-8")
    for text in (
        "of the detections in these recordings is right?",
        "trained on 6 recordings of field",
        "2 recordings in ",
        "above the thresholds and",
        "12 right, 0 wrong",
        "**Not assessed**: missed sounds",
        "featurestack 0.1.0",
        "RUN=",
    ):
        assert text in statement, text
    # it is ours, and replaced
    assert ask(recordings_run, audio=None, checked=file) == 0
    (out / "statement.md").write_text("mine")
    with refused("statement.md was not written by this command"):
        ask(recordings_run, audio=None, checked=file)


def test_a_statement_is_about_the_check_of_its_answers(recordings_run):
    out = recordings_run / "twice"
    first, checks = answered(recordings_run, threshold="0.5", check=12, out=out)
    (recordings_run / "first").mkdir()
    first = first.rename(recordings_run / "first" / first.name)
    second, others = answered(recordings_run, threshold="0.6", check=10, out=out)
    ask(recordings_run, audio=None, checked=first)
    statement = first.with_name("statement.md").read_text("utf-8")
    assert "**Threshold**: 0.5" in statement and "CHECK=12" in statement
    ask(recordings_run, audio=None, checked=second)
    assert "CHECK=10" in second.with_name("statement.md").read_text("utf-8")
    others.to_csv(first, index=False)  # their statement is not that of the others
    with refused("statement.md is of another check and is kept: rename it"):
        ask(recordings_run, audio=None, checked=first)
    assert first.with_name("statement.md").read_text("utf-8") == statement
    pd.concat([others, checks]).to_csv(first, index=False)
    with refused("answers.csv, line 12: this row is of another check than the first"):
        ask(recordings_run, audio=None, checked=first)
    pd.concat([checks, checks]).to_csv(first, index=False)
    with refused("answers.csv, line 14: this row has the same sound as an earlier"):
        ask(recordings_run, audio=None, checked=first)
    shutil.rmtree(out / "check")
    checks.to_csv(first, index=False)
    ask(recordings_run, audio=None, checked=first)
    statement = first.with_name("statement.md").read_text("utf-8")
    assert "**Model**: not known" in statement and "12 checks" in statement


def test_a_statement_names_recordings_that_were_not_new_or_not_read(recordings_run):
    mixed = shutil.copytree(recordings_run / "new", recordings_run / "mixed")
    shutil.copy(recordings_run / "audio" / "r0.wav", mixed)
    (mixed / "junk.wav").write_text("no sound")
    for name, day in {"r0.wav": 20_000, "r6.wav": 20_002, "r7.wav": 20_001}.items():
        os.utime(mixed / name, (day * 86_400 + 43_200,) * 2)
    out = recordings_run / "mixed out"
    ask(recordings_run, audio=mixed, threshold="0.5", check=12, out=out)
    checks = pd.read_csv(out / "check" / "check.csv", keep_default_na=False)
    facts = Path(checks["facts"][0]).read_text("utf-8")
    for text in (
        f"3 recordings in {mixed}, 21 s, files of 2024-10-04 to 2024-10-06; ",
        "; could not be read: 1 of 4 (junk.wav)",
        "; not new, the model was trained on them: 1 of 4 (r0.wav)",
    ):
        assert text in facts, text


def test_windows_are_checked_by_themselves_without_a_threshold(recordings_run):
    _, checks = answered(recordings_run, check=10, out=recordings_run / "windows")
    assert (checks["end"] - checks["start"]).to_numpy() == pytest.approx(0.25, abs=1e-3)
    facts = Path(checks["facts"][0]).read_text()
    assert "what share of the windows in these recordings" in facts
    assert not (recordings_run / "windows" / "detections.csv").exists()


def test_a_users_answers_are_kept_and_unknown_ones_named(recordings_run):
    out = recordings_run / "kept"
    file, checks = answered(recordings_run, threshold="0.5", check=12, out=out)
    checks.assign(correct="no").to_csv(out / "check" / "check.csv", index=False)
    with refused("check.csv was not written by this command.*or give another OUT="):
        ask(recordings_run, threshold="0.5", check=12, out=out)
    checks.assign(correct="maybe").to_csv(file, index=False)
    with refused("answers.csv, line 2, column correct: 'maybe'; expected yes, no"):
        ask(recordings_run, audio=None, checked=file)
    checks.assign(correct="").to_csv(file, index=False)
    with refused("has no answer to the highest scores"):
        ask(recordings_run, audio=None, checked=file)
    with refused("nowhere.csv does not exist: save the table"):
        ask(recordings_run, audio=None, checked=recordings_run / "nowhere.csv")


# ---- precision


def test_a_larger_check_begins_with_the_same_rows_of_all_ranges():
    rng = np.random.default_rng(3)
    scores = rng.random(500)
    predicted = scores > 0.5
    few, *_ = draw_sample(scores, predicted, 40, np.random.default_rng(0))
    many, above, numbers = draw_sample(scores, predicted, 80, np.random.default_rng(0))
    assert many[:40].tolist() == few.tolist() and len({*many}) == 80
    assert (scores[many] > above).all()
    assert 0.6 < predicted[many].mean() < 0.8
    weights = pd.DataFrame({"above": above, "p": predicted[many], "n": numbers})
    assert weights.drop_duplicates()["n"].sum() == 500  # every score is in one range


def test_precision_weighs_ranges_and_varies_by_recording():
    checks = pd.DataFrame(
        {
            "recording": [*"abcdefgh"] * 5,
            "above": np.repeat([0.5, 0.9], 20),
            "predicted": 1.0,
            "correct": np.repeat([0.0, 1.0], 20),
            "weight": np.repeat([9.0, 1.0], 20),
        }
    )
    of_all = precision(checks)
    assert of_all["precision"] == pytest.approx(0.1) and of_all["detections"] == 200
    assert of_all["low"] < 0.1 < of_all["high"]
    rows = precisions(checks)
    assert rows["above"].tolist() == pytest.approx([np.nan, 0.5, 0.9], nan_ok=True)
    assert rows["precision"].tolist() == pytest.approx([0.1, 0.1, 1.0])
    assert promised(rows, 0.5)["above"] == 0.9 and promised(rows, 0.99) is None
    by_recording = checks["recording"].isin([*"abcd"]).astype(float)
    apart = precision(checks.assign(correct=by_recording, weight=1.0))
    together = precision(checks.assign(correct=np.repeat([1.0, 0.0], 20), weight=1.0))
    assert apart["high"] - apart["low"] > 1.5 * (together["high"] - together["low"])


def test_a_range_without_an_answer_ends_what_is_known(tmp_path):
    table = pd.DataFrame(
        {
            "recording": [*"abcd"],
            "sound": [*"abcd"],
            "facts": "old/check/1.md",
            "above": [0.2, 0.2, 0.6, 0.6],
            "detections": 10,
            "predicted": "yes",
            "correct": ["", "", "yes", "no"],
        }
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    rows = precisions(read_checked(tmp_path / "t.csv"))
    assert rows["above"].tolist() == [0.6] and rows["detections"].tolist() == [10]


def test_a_promise_needs_seven_recordings(tmp_path, capsys):
    table = pd.DataFrame({"recording": [*"abcdefgh"] * 10, "sound": range(80)})
    table = table.assign(above=0.5, detections=900, predicted="yes", facts="1.md")
    table["correct"] = "yes"
    for recordings, words in ((6, "6 recordings are too few"), (8, "the thresholds")):
        some = table[table["recording"].isin([*"abcdefgh"[:recordings]])]
        some.to_csv(tmp_path / "t.csv", index=False)
        tell_checked(PredictOptions(checked=tmp_path / "t.csv", promise=0.8))
        assert words in capsys.readouterr().out
    for right, more in ((9, True), (3, False)):  # of ten
        answers = ["yes"] * right + ["no"] * (10 - right)
        table.assign(correct=answers * 8).to_csv(tmp_path / "t.csv", index=False)
        tell_checked(PredictOptions(checked=tmp_path / "t.csv", promise=0.89))
        out = capsys.readouterr().out
        assert "no threshold keeps" in out and ("a larger CHECK may" in out) == more
