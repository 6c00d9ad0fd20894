"""From recordings and their tables to trained models and detections."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.cli.commands import options_from
from featurestack.extras.recordings.scores import ALL, read_tested, score_table
from featurestack.predict.bundle import refit
from featurestack.predict.command import predict_audio, predict_clips
from featurestack.predict.options import PredictOptions, VerifyOptions
from featurestack.predict.verify import verify_run
from featurestack.train.options import TrainOptions
from featurestack.train.run import product
from tests.extras.recordings import field
from tests.extras.recordings.field import MEL, RECORDINGS, SECONDS, train
from tests.refusal import refused


def test_a_run_of_events_finds_them_and_tests_every_frame_once(trained):
    assert trained.config.task == "events"
    assert trained.config.model == "frames@width=32"
    tested = read_tested(trained)
    row = score_table(tested.tallies).loc[ALL]
    assert row["f1"] > 0.9 and row["onset_ms"] < 32
    frames = tested.frames
    assert len({*frames.stretches["file"]}) == len(frames.stretches) == RECORDINGS
    for stretch in range(len(frames.stretches)):
        times = frames.times[frames.stretch == stretch]
        steps = np.diff(times)
        assert (steps > 0.4 * frames.hop).all() and (steps < 1.6 * frames.hop).all()
        assert times[0] < frames.hop and times[-1] > SECONDS - 2 * frames.hop


def test_overlapping_labels_are_found_side_by_side(tmp_path, capsys):
    field.write_recordings(tmp_path, overlapping=True)
    field.make_dataset(tmp_path)
    run = train(tmp_path, folds=(1, 2))
    told = capsys.readouterr().err
    assert re.search(r"event F1 [\d.]+ % at threshold 0.5, ", told)
    assert "TASK=events: MODEL=frames is trained" in told
    assert score_table(read_tested(run).tallies).loc[ALL, "f1"] > 0.85


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"features": f"{MEL}+chroma"}, "one frame rate"),
        ({"features": "modulation"}, "takes features whose columns are frames of time"),
        ({"model": "texturenet"}, "answers each clip"),
        ({"model": "frames", "task": "tags"}, "answers each frame"),
    ],
)
def test_other_features_models_and_tasks_are_refused(folder, given, words):
    with refused(words):
        train(folder, **given)


def test_events_are_trained_on_mel_if_the_cache_lacks_the_usual_default(
    tmp_path, capsys
):
    field.write_recordings(tmp_path, recordings=3)
    field.make_dataset(tmp_path, features="mel")
    table = str(tmp_path / "data" / "field" / "field.csv")
    given = {"dataset": table, "data": str(tmp_path / "data")}
    (job,) = product(TrainOptions.build(given))
    assert job.features == "mel"
    assert "FEATURES=mel by default" in capsys.readouterr().err
    with refused("MODEL=resnet18 answers each clip, but TASK=events needs another"):
        product(TrainOptions.build({**given, "model": "resnet18"}))


def test_a_damaged_table_of_events_is_named(folder, tmp_path):
    file = folder / "data" / "field" / "events.csv"
    text = file.read_text()
    try:
        file.write_text(text.replace(".wav,", ".wav,x", 1))
        with refused("cannot be read .*make events"):
            train(folder, seed=5)
    finally:
        file.write_text(text)


def predict(trained, folder, **given):
    places = {"runs": trained.path.parents[1], "reports": folder / "reports"}
    options = {"run": str(trained.path), "data": folder / "data", **places, **given}
    return predict_audio(options_from(PredictOptions, options))


def test_detections_of_recordings_are_scored_and_read_back(
    folder, trained, tmp_path, capsys
):
    (tmp_path / "in").mkdir()
    os.link(folder / "audio" / "r0.wav", tmp_path / "in" / "-12dB_20260514_053000.wav")
    (tmp_path / "in" / "bad.wav").write_bytes(b"nothing")
    table = pd.read_csv(folder / "events.csv")
    own = table[table["file"] == "r0.wav"]
    own.assign(file="-12dB_20260514_053000.wav").to_csv(tmp_path / "t.csv", index=False)
    given = {"audio": tmp_path / "in", "tables": tmp_path / "t.csv"}
    assert predict(trained, tmp_path, out=tmp_path / "out", **given) == 1
    told = capsys.readouterr().err
    assert told.index(f"go to {tmp_path / 'out'} (") < told.index("detections in 1")
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", index_col="label")
    assert scores.loc[ALL, "f1"] > 0.9
    file = tmp_path / "out" / "counts.csv"
    counts = pd.read_csv(file, dtype=str, keep_default_na=False)
    assert [*counts][-2:] == ["high", "low"]
    assert counts["problem"].iloc[1] and counts["recording"].iloc[1] == "bad.wav"
    assert counts["seconds"].tolist() == [f"{SECONDS}", ""]
    assert (counts.loc[1, ["high", "low"]] == "").all()
    found = pd.read_csv(tmp_path / "out" / "detections.csv")["label"]
    assert counts.loc[0, ["high", "low"]].astype(int).sum() == len(found)
    # its own detections as annotations agree with themselves
    given["tables"] = tmp_path / "out" / "detections.csv"
    again = tmp_path / "again"
    predict(trained, tmp_path, out=again, **given)
    scores = pd.read_csv(again / "scores.csv", index_col="label")
    assert scores.loc[ALL, "f1"] == 1
    (raven,) = (tmp_path / "out" / "raven").iterdir()
    assert pd.read_csv(raven, sep="\t")["Begin Path"].str.endswith("053000.wav").all()


def test_events_are_found_in_one_channel(folder, trained, tmp_path, capsys):
    y, rate = soundfile.read(folder / "audio" / "r0.wav")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    soundfile.write(tmp_path / "one" / "r.wav", y, rate, "FLOAT")
    both = np.stack([-y, y], axis=1)
    soundfile.write(tmp_path / "two" / "r.wav", both, rate, "FLOAT")
    tables = {}
    for name, given in (("one", {}), ("two", {"channel": 2}), ("mean", {})):
        out = tmp_path / f"out-{name}"
        audio = tmp_path / name.replace("mean", "two")
        predict(trained, tmp_path, audio=audio, out=out, check=3, **given)
        tables[name] = (out / "detections.csv").read_text()
        told = capsys.readouterr().err
        assert ("they are averaged" in told) == (name == "mean")
        for cut in (out / "check").glob("*.wav") if name != "mean" else ():
            assert np.abs(soundfile.read(cut)[0]).max() > 0.2
    assert tables["one"] == tables["two"] != tables["mean"]
    lacking = {"audio": tmp_path / "one", "out": tmp_path / "out", "channel": 2}
    assert predict(trained, tmp_path, **lacking) == 1
    assert "no channel 2: the file has 1 channel" in capsys.readouterr().err


def test_what_a_run_of_frames_refuses(folder, trained, monkeypatch):
    live = pytest.importorskip("featurestack.extras.listen")
    onnx = pytest.importorskip("featurestack.extras.onnx")
    given = {"run": str(trained.path), "runs": trained.path.parents[1]}
    table = str(folder / "data" / "field" / "field.csv")
    commands = [
        lambda: fs.Model(trained).warm(),
        lambda: refit(trained, folder / "data"),
        lambda: verify_run(VerifyOptions(dataset=table, **given)),
        lambda: fs.importance("mfcc chroma", dataset=table, data=folder / "data"),
        lambda: live.listen_live(live.ListenOptions(**given)),
        lambda: onnx.export_run(onnx.ExportOptions(**given)),
    ]
    for command in commands:
        with refused("this command is for models that answer each clip; .*AUDIO="):
            command()
    with refused("HOP=? is for models of clips"):
        predict(trained, folder, audio=folder / "audio", hop=0.5)
    asked = options_from(PredictOptions, {**given, "run": "m.pt", "check": 3})
    with refused(
        f"is a file, a model of clips: .* CHECK=3 .*RUN={trained.path.parent}"
    ):
        predict_clips(asked, SimpleNamespace(run=None), {})
    with refused("go to a folder: OUT=res$"):
        predict(trained, folder, audio=folder / "audio", out=Path("res.csv"))
    monkeypatch.setattr("featurestack.predict.model.Model.open", None)  # at the door
    for given, said in (
        ({"tables": folder / "none.txt"}, "none.txt does not exist"),
        ({"threshold": "hi=0.5"}, "did you mean 'high'"),
    ):
        with refused(said):
            predict(trained, folder, audio=folder / "audio", **given)
