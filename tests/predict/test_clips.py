"""New audio gets the right classes; files that cannot be read are named and the others
predicted.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import featurestack as fs
from featurestack.base.terminal import Notice
from featurestack.features_cache.cache import Cache
from featurestack.predict.bundle import bundle_of_run, make_bundle
from featurestack.predict.model import Model
from featurestack.predict.options import BundleOptions, PredictOptions
from featurestack.predict.predict_audio import predict_audio, predict_files
from featurestack.results.calibration import scaled
from featurestack.results.run_folder import RunFolder
from featurestack.train.checkpoint import load_checkpoint
from tests.cases import cases
from tests.pipeline.noise_dataset import damage_frame
from tests.refusal import refused
from tests.train.small_cache import run_with
from tests.train.sounds import CLASSES, RATE, sound, train_run


def ask(trained, **given):
    known = {"run": str(trained.path), "data": trained.path.parents[2] / "data"}
    return predict_audio(PredictOptions(threads=1, **known | given))


def write(file, label, **how):
    rate = how.pop("rate", RATE)
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, sound(label, 99, rate=rate, **how), rate)
    return file


def probabilities(trained, file, status=0, **given):
    """File -> probabilities, as JSON in `file`."""
    assert ask(trained, out=file, **given) == status
    rows = json.loads(file.read_text())
    return {Path(row["file"]).name: row["probabilities"] for row in rows}


def test_a_folder_in_any_format_rate_and_length_and_what_cannot_be_read(
    sounds_run, tmp_path, capsys
):
    write(tmp_path / "deep" / "a.flac", "tone", rate=44_100)
    write(tmp_path / "b.wav", "clicks", rate=8_000, seconds=2.5)
    write(tmp_path / "c.ogg", "hiss")
    write(tmp_path / "short.wav", "tone", seconds=0.01)
    trained = sounds_run.path.parents[2] / "sounds" / "tone-1-0.wav"
    shutil.copy(trained, tmp_path / "copy.wav")
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing more")
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "._b.wav").write_bytes(b"of the system")
    answers = probabilities(sounds_run, tmp_path / "out.json", 1, audio=tmp_path)
    err = capsys.readouterr().err
    assert sorted(answers) == ["a.flac", "b.wav", "c.ogg", "copy.wav", "short.wav"]
    assert max(answers["a.flac"], key=answers["a.flac"].get) == "tone"
    assert max(answers["c.ogg"], key=answers["c.ogg"].get) == "hiss"
    assert "broken.wav: not audio" in err and "2 of 7 files failed" in err
    assert "gone.wav: missing" in err
    assert "trained on 1 of 7 files (copy.wav)" in err
    assert f"predicted by {sounds_run.name}" in err


def test_ridge_says_how_sure_it_is_of_a_class_that_it_does_not_know(tmp_path, capsys):
    trained = train_run(tmp_path, model="ridge", features="mel")
    counts = trained.foreign()
    assert counts.to_numpy().sum() == len(trained.scored())  # two folds
    share = 1 - np.trace(counts) / counts.to_numpy().sum()
    file = write(tmp_path / "a.wav", "tone")
    bundle = BundleOptions(run=str(trained.path), out=tmp_path / "model.pt")
    for run in (trained.path, make_bundle(bundle)):
        capsys.readouterr()
        predict_audio(PredictOptions(run=str(run), audio=file, threads=1))
        told = capsys.readouterr().err
        assert f"get 90 % or more for one of its classes: {100 * share:.1f} %" in told


def test_each_file_is_answered_once_and_only_longer_ones_by_windows(
    sounds_run, tmp_path
):
    short = write(tmp_path / "folder/a.wav", "tone")
    alone = fs.predict_audio(sounds_run, short, quiet=True)
    write(tmp_path / "folder/b.wav", "clicks", seconds=3)
    slightly = write(tmp_path / "folder/c.wav", "hiss", seconds=1.105)
    both = fs.predict_audio(sounds_run, tmp_path / "folder", quiet=True)
    counts = both["file"].value_counts()
    assert counts[str(short)] == counts[str(slightly)] == 1
    assert counts.max() > 5
    kept = both[both["file"] == str(short)][alone.columns]
    pd.testing.assert_frame_equal(kept, alone)
    ask(sounds_run, audio=tmp_path / "folder", out=tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(written, both, check_dtype=False, atol=1e-6)


def test_python_is_warned_that_a_file_is_longer_than_a_clip(sounds_run, tmp_path):
    long = write(tmp_path / "long.wav", "tone", seconds=1.105)
    with pytest.warns(Notice, match="only the first .* s of 1 file are used"):
        fs.predict_audio(sounds_run, long, quiet=True)


def test_as_csv_as_a_table_and_alone_with_silence_and_doubt_withheld(
    sounds_run, tmp_path, capsys
):
    write(tmp_path / "1.wav", "tone")
    soundfile.write(tmp_path / "2.wav", np.zeros(RATE), RATE)
    answers = tmp_path / "out.csv"
    assert ask(sounds_run, audio=tmp_path, gate=-60.0, out=answers) == 0
    rows = pd.read_csv(answers, keep_default_na=False)
    assert rows["predicted"].tolist() == ["tone", ""]
    lines = [line.split()[1:3] for line in capsys.readouterr().out.splitlines()]
    assert lines[1][0] == "tone" and lines[2] == ["no", "answer"]
    assert ask(sounds_run, audio=tmp_path / "1.wav", reject=1.0) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no answer")
    answers.write_text("mine")
    with refused("was not written by this command, or was changed"):
        ask(sounds_run, audio=tmp_path, out=answers)
    with refused("expected a file ending in .csv or .json"):
        ask(sounds_run, audio=tmp_path, out=tmp_path / "out.txt")


@cases("clips", "model", "given")
def test_audio_gets_the_predictions_that_training_has_from_the_cache(
    clips, model, given, request
):
    """Also without padding; a model of one fold, scaled by the run's temperature."""
    folder = request.getfixturevalue(clips).path.parents[2]
    run = train_run(folder, model=model, folds=(1,), tag="one", **given)
    known = run.scored().set_index("clip_id")
    cache = Cache(folder / "data" / "little" / "features")
    paths = cache.clips.set_index("clip_id")["path"].map(Path)
    answers = predict_files(Model(run), paths[known.index].to_dict())
    expected = scaled(
        known[[*CLASSES]].to_numpy(np.float32),
        run.config.calibration[run.selection()].temperature,
    )
    np.testing.assert_allclose(answers[[*CLASSES]], expected, atol=1e-3)


def test_audio_far_beyond_full_scale_has_an_answer(sounds_run, tmp_path):
    run = train_run(sounds_run.path.parents[2], features="waveform", model="linear")
    loud = 1e6 * sound("tone", 99)  # the cache's float16 ends at 65,504
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    asked = {"audio": tmp_path / "loud.wav"}
    answer = probabilities(run, tmp_path / "out.json", **asked)["loud.wav"]
    assert sum(answer.values()) == pytest.approx(1)


def test_a_run_without_a_finished_fold_predicts_nothing(sounds_run, tmp_path):
    begun = RunFolder(shutil.copytree(sounds_run.path, tmp_path / "copy"))
    for fold in begun.finished:
        (begun.fold(fold) / "predictions.csv").unlink()
    with refused("no finished fold yet"):
        ask(begun, audio=write(tmp_path / "a.wav", "tone"))


def test_a_bundle_has_the_epoch_that_counts(options):
    run = run_with(options, val="group")
    config, folds = bundle_of_run(run)
    best = load_checkpoint(run.fold(1) / "best.pt")["network"]
    torch.testing.assert_close(folds[1]["network"], best)
    assert config.calibration == {"best": run.config.calibration["best"]}


@pytest.mark.parametrize("hop", [None, 0.5])
def test_a_lower_sample_rate_and_an_mp3_with_a_damaged_frame_are_told(
    sounds_run, tmp_path, capfd, hop
):
    write(tmp_path / "low.wav", "tone", rate=RATE // 2)
    write(tmp_path / "whole.mp3", "tone")
    damage_frame(write(tmp_path / "broken.mp3", "tone"), frame=5)
    assert ask(sounds_run, audio=tmp_path, hop=hop) == 0
    said = capfd.readouterr().err
    assert "1 of 3 files has a lower sample rate than the run (low.wav: " in said
    assert "1 MP3 has damaged frames" in said and "libmpg123" not in said
    assert said.count("broken.mp3") == 1 and "whole.mp3" not in said


def test_options_that_change_nothing_are_named(sounds_run, tmp_path, capsys):
    file = write(tmp_path / "a.wav", "tone")
    for given, said in (
        ({"audio": file, "promise": 0.8}, "PROMISE= has no effect on AUDIO="),
        ({"audio": file, "threshold": "0.5"}, "THRESHOLD= has no effect on clips of"),
        ({"audio": file, "hop": 0.5}, ""),
    ):
        assert ask(sounds_run, **given) == 0
        told = [s for s in capsys.readouterr().err.splitlines() if "no effect" in s]
        assert len(told) == bool(said) and all(s.startswith(said) for s in told)
    table = tmp_path / "absent.csv"
    with refused("absent.csv does not exist"):
        ask(sounds_run, checked=table, audio=file, hop=1.0)
    assert "AUDIO=, RUN=, THREADS=, HOP= have no" in capsys.readouterr().err
