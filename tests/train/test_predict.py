"""New audio gets the classes that it should; files that cannot be read are named and the rest is done."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from commandline.registry import RequestError
from results.run_folder import RunFolder
from results.scores import rejection_threshold, scaled
from tests.train.sounds import CLASSES, RATE, sound, train_run
from train import checkpoint
from train.bundle import bundle_of_run, make_bundle, read_bundle
from train.options import BundleOptions, PredictOptions
from train.predict import predict_audio, prediction_table, show
from train.rejection import Rejection, loudest_level
from train.run import execute


def ask(run: RunFolder, **given: object) -> int:
    given = {"data": run.path.parents[2] / "data", **given}
    return predict_audio(PredictOptions(run=str(run.path), threads="1", **given))  # type: ignore[arg-type]


def write(file: Path, label: str, **how: object) -> Path:
    rate = how.pop("rate", RATE)
    file.parent.mkdir(exist_ok=True)
    soundfile.write(file, sound(label, 99, rate=rate, **how), rate)
    return file


def answered(out: str) -> dict[str, dict[str, float]]:
    return {Path(row["file"]).name: row["probabilities"] for row in json.loads(out)}


def test_one_file_gets_its_classes_in_order(sounding, tmp_path, capsys):
    assert ask(sounding, audio=write(tmp_path / "x.wav", "hiss"), top=2) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("hiss") and f"predicted by {sounding.name} of {sounding.dataset}, " in err
    assert len(lines) == 2
    assert float(lines[0].split()[1]) > 0.5 > float(lines[1].split()[1])


def test_a_folder_in_any_format_rate_and_length_and_what_cannot_be_read(sounding, tmp_path, capsys):
    write(tmp_path / "deep" / "a.flac", "tone", rate=44_100)
    write(tmp_path / "b.wav", "clicks", rate=8_000, seconds=2.5)
    write(tmp_path / "c.ogg", "hiss")
    write(tmp_path / "short.wav", "tone", seconds=0.01)
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing more")
    (tmp_path / "b.m4a").write_bytes(b"no sound that is read")
    (tmp_path / "notes.txt").write_text("no sound")
    for hidden in ("._b.wav", ".trash/b.wav", "__MACOSX/b.wav"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"of the system")
    assert ask(sounding, audio=tmp_path, json=True) == 1
    out, err = capsys.readouterr()
    answers = answered(out)
    assert sorted(answers) == ["a.flac", "b.wav", "c.ogg", "short.wav", "silence.wav"]
    assert max(answers["a.flac"], key=answers["a.flac"].get) == "tone"
    assert max(answers["c.ogg"], key=answers["c.ogg"].get) == "hiss"
    for answer in answers.values():
        assert sum(answer.values()) == pytest.approx(1, abs=1e-5)
    assert "broken.wav: not audio" in err
    assert "2 of 7 files could not be read" in err
    assert err.count("files of .m4a are not read: convert them, as in ffmpeg -i a.m4a a.flac") == 1
    assert "of b.wav the first 1.0 s alone count" in err


def test_csv_has_a_row_a_file_and_a_column_a_class(sounding, tmp_path, capsys):
    for name, label in (("1.wav", "tone"), ("2.wav", "hiss")):
        write(tmp_path / name, label)
    assert ask(sounding, audio=tmp_path, csv=True) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["predicted"] for row in rows] == ["tone", "hiss"]
    assert list(rows[0]) == ["file", "predicted", *CLASSES]


def test_no_class_or_file_is_a_formula_to_a_spreadsheet(capsys):
    classes = ['=HYPERLINK("x")', "dog"]
    table = prediction_table(classes, np.array([[0.75, 0.25]], np.float32), {"file": ["+a.wav"]})
    show(table, classes, PredictOptions(run="last", csv=True))
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row == {
        "file": "'+a.wav",
        "predicted": '\'=HYPERLINK("x")',
        '\'=HYPERLINK("x")': "0.75",
        "dog": "0.25",
    }


def test_several_files_are_a_table(sounding, tmp_path, capsys):
    for name, label in (("1.wav", "tone"), ("2.wav", "hiss")):
        write(tmp_path / name, label)
    assert ask(sounding, audio=tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "1.", "2.", "3."]
    assert lines[2].split()[1] == "hiss"


def check_test_clips(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own clips, from their audio, by the fold's model: predictions.csv again."""
    capsys.readouterr()
    assert ask(run, test_clips=True, csv=True) == 0
    out, err = capsys.readouterr()
    rows = {row["clip_id"]: row for row in csv.DictReader(io.StringIO(out))}
    known = run.predictions().set_index("clip_id")
    assert rows.keys() == set(known.index)
    for clip, row in rows.items():
        assert int(row["fold"]) == known.loc[clip, "fold"]
        for name in CLASSES:
            assert float(row[name]) == pytest.approx(known.loc[clip, name], abs=1e-3)
    assert "at most: the same" in err


def test_test_clips_get_the_predictions_of_training(sounding, capsys):
    check_test_clips(sounding, capsys)


def test_so_do_those_of_the_linear_and_of_a_wave_model(sounding, capsys):
    folder = sounding.path.parents[2]
    check_test_clips(train_run(folder, model="linear"), capsys)
    check_test_clips(
        train_run(folder, features="waveform", model="m11", augment="crop=0.1", epochs=1), capsys
    )


@pytest.mark.parametrize("model", ["linear", "texture"])
def test_short_clips_are_predicted_without_their_padding_as_they_were_trained(short, model, capsys):
    trained = train_run(short.path.parents[2], model=model, augment="auto", tta=1, padding="drop")
    assert trained.config["options"]["padding"] == "drop"
    check_test_clips(trained, capsys)


def test_test_clips_without_the_dataset_say_what_to_give(sounding, tmp_path):
    with pytest.raises(RequestError, match=r"no cache at .*little/features: give its DATA="):
        ask(sounding, test_clips=True, data=tmp_path)


def test_a_test_clip_that_the_cache_does_not_have_is_named(sounding):
    file = sounding.path / "fold1" / "predictions.csv"
    before = file.read_bytes()
    first = pd.read_csv(file)["clip_id"].iloc[0]
    file.write_bytes(before.replace(first.encode(), b"unknown", 1))
    try:
        with pytest.raises(RequestError, match="does not have, such as unknown"):
            ask(sounding, test_clips=True)
    finally:
        file.write_bytes(before)


def test_changed_audio_of_test_clips_is_told(sounding, capsys):
    folder = sounding.path.parents[2]
    clip = folder / "sounds" / "tone-1-0.wav"
    original = clip.read_bytes()
    soundfile.write(clip, sound("clicks", 5), RATE)
    try:
        assert ask(sounding, test_clips=True) == 0
    finally:
        clip.write_bytes(original)
    assert "NOT the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give AUDIO="),
        ({"audio": Path("x.wav"), "test_clips": True}, "give AUDIO="),
        ({"audio": Path("nowhere/x.wav")}, "there is no folder nowhere"),
        ({"audio": Path("sound/ton.wav")}, r"did you mean tone\.wav"),
        ({"audio": Path("empty")}, "no audio file in this folder"),
        ({"audio": Path("sound/tone.wav"), "selection": "best"}, "trained without VAL"),
    ],
)
def test_a_wrong_request_is_told(sounding, tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "sound" / "tone.wav", "tone")
    with pytest.raises(RequestError, match=message):
        ask(sounding, **given)


def test_a_model_without_a_best_epoch_is_told_before_anything_else(sounding, tmp_path, capsys):
    run = train_run(sounding.path.parents[2], model="linear", val="group")
    capsys.readouterr()
    with pytest.raises(RequestError, match="linear has no best epoch, give SELECTION=last"):
        ask(run, audio=write(tmp_path / "x.wav", "tone"), selection="best")
    assert "predicted by" not in capsys.readouterr().err
    assert ask(run, audio=tmp_path / "x.wav", selection="last") == 0


def test_a_run_without_a_finished_fold_is_refused(sounding, tmp_path):
    (tmp_path / "run.json").write_text((sounding.path / "run.json").read_text())
    with pytest.raises(RequestError, match="no finished fold yet"):
        predict_audio(PredictOptions(run=str(tmp_path), audio=tmp_path))


def test_a_run_half_trained_answers_with_what_it_has(sounding, tmp_path, capsys):
    shutil.copytree(sounding.path, tmp_path / "half")
    (tmp_path / "half" / "fold2" / "predictions.csv").unlink()
    options = PredictOptions(run=str(tmp_path / "half"), audio=write(tmp_path / "x.wav", "hiss"), threads="1")
    assert predict_audio(options) == 0
    out, err = capsys.readouterr()
    assert out.startswith("hiss")
    assert "1 of 2 folds are trained" in err


def test_the_threshold_keeps_what_is_right_often_enough():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.45, 0.55]])
    target = np.array([0, 1, 0, 1, 1])  # the fourth is wrong
    assert rejection_threshold(target, probabilities, 1.0) == 0.7
    assert rejection_threshold(target, probabilities, 0.8) == 0.55
    assert rejection_threshold(1 - target, probabilities, 0.9) == 1.0
    assert rejection_threshold(np.array([0, 1]), np.full((2, 2), 0.5), 0.9) == 1.0  # equals stay together


def test_levels_are_those_of_full_scale():
    sine = np.sin(np.arange(8000) * 0.3).astype(np.float32)
    assert loudest_level(sine, 8000) == pytest.approx(-3, abs=0.1)
    assert loudest_level(np.append(np.zeros(8000, np.float32), 0.1 * sine), 8000) == pytest.approx(
        -23, abs=0.1
    )
    assert loudest_level(np.zeros(0, np.float32), 8000) == -200


def test_silence_and_what_is_not_sure_get_no_answer(sounding, tmp_path, capsys):
    write(tmp_path / "tone.wav", "tone")
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    assert ask(sounding, audio=tmp_path, gate=-60.0, csv=True) == 0
    rows = {Path(row["file"]).stem: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert (rows["tone"]["predicted"], rows["silence"]["predicted"]) == ("tone", "")
    assert ask(sounding, audio=tmp_path, gate=-60.0) == 0
    assert re.search(r"silence\.wav +no answer", capsys.readouterr().out)
    assert ask(sounding, audio=tmp_path / "tone.wav", reject="1") == 0
    assert capsys.readouterr().out.startswith("no answer; it would be\ntone")
    assert ask(sounding, audio=tmp_path / "tone.wav", reject="0.4") == 0
    assert capsys.readouterr().out.startswith("tone")


@pytest.mark.parametrize("reject", ["often", "1.5", "-0.1"])
def test_a_threshold_that_is_none_is_refused(sounding, tmp_path, reject):
    with pytest.raises(RequestError, match=r"expected a probability from 0 to 1, or auto"):
        ask(sounding, audio=write(tmp_path / "x.wav", "tone"), reject=reject)


def test_the_threshold_is_chosen_on_validation_clips_and_goes_with_the_bundle(
    sounding, options, tmp_path, capsys
):
    with pytest.raises(RequestError, match="train with VAL=group"):
        ask(sounding, audio=write(tmp_path / "x.wav", "tone"), reject="auto")
    run = execute(replace(options, val="group"))
    assert run.selection() == "best"
    stored = checkpoint.load(run.fold(1) / "best.pt")["network"]
    assert all(torch.equal(one, stored[name]) for name, one in bundle_of_run(run).folds[1]["network"].items())
    chosen = bundle_of_run(run).config["rejection"]
    probabilities, target = run.answers(split="val")
    probabilities = scaled(probabilities, run.temperature())
    kept = probabilities.max(axis=1) >= chosen["threshold"]
    assert chosen["clips"] == len(target) and chosen["answered"] == kept.sum() > 0
    assert (probabilities.argmax(axis=1) == target)[kept].mean() == pytest.approx(chosen["accuracy"])
    assert chosen["accuracy"] >= 0.95
    file = tmp_path / "model.pt"
    assert make_bundle(BundleOptions(run=str(run.path), out=file)) == 0
    config = read_bundle(file).config
    assert config["temperature"] == run.config["calibration"]["best"]["temperature"]
    asked = Rejection.of(PredictOptions(reject="auto"), config)
    assert asked == Rejection(chosen["threshold"])


def test_a_file_that_is_not_there_is_told(sounding, tmp_path):
    write(tmp_path / "bark.wav", "tone")
    with pytest.raises(RequestError, match=r"barks\.wav: there is no such file or folder; did you mean bark"):
        ask(sounding, audio=tmp_path / "barks.wav")


def test_a_dataset_says_whose_last_run(sounding, tmp_path, capsys):
    file = write(tmp_path / "x.wav", "tone")
    runs = sounding.path.parents[1]
    options = PredictOptions(run="last", runs=runs, dataset="sounds/little.csv", audio=file, threads="1")
    assert predict_audio(options) == 0
    with pytest.raises(RequestError, match="no run folder"):
        predict_audio(replace(options, dataset="esc10"))
