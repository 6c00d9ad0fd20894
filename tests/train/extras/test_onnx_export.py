"""The ONNX file of a run gives, by onnxruntime, the run's own predictions, of every kind of model."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache import Cache, external
from tests.train.little import clip_table, fill
from tests.train.sounds import train_run
from train import run
from train.bundle import TrainedModel, bundle_of_run
from train.extras import onnx_export
from train.options import ExportOptions

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# model -> what it is trained on, with what else
TRAINED = {
    "cnn4": ("mel+chroma", {}),
    "cnn4+texture": ("mel:1-14+chroma+mel:1-14", {"norm": "clip", "tta": 3}),
    "resnet18": ("mel", {"norm": "none", "grid": "20x24", "epochs": 1}),
    "texture": ("chroma", {"augment": "crop=12x16", "norm": "feature"}),
    "m11": ("waveform", {"epochs": 1}),
    "linear": ("mel+chroma", {}),
    "mlp": ("mel+embedding", {}),
}


@pytest.fixture(scope="module")
def cached(tmp_path_factory) -> Path:
    table = clip_table()
    folder = fill(tmp_path_factory.mktemp("exported") / "features", table)
    vectors = np.random.default_rng(0).normal(size=(len(table), 9))
    external.write_feature(folder, "embedding", vectors, table["clip_id"])
    return folder


@pytest.mark.parametrize("model", TRAINED)
def test_onnxruntime_predicts_what_the_run_did(model, cached, options, tmp_path, monkeypatch, capsys):
    features, others = TRAINED[model]
    monkeypatch.setattr(onnx_export, "cache_folder", lambda *_: cached)
    asked = replace(options, dataset=str(cached), model=model, features=features, folds=(1, 2), **others)
    folder = run.execute(asked)
    file = tmp_path / "model.onnx"
    assert onnx_export.export_run(ExportOptions(run=str(folder.path), out=file)) == 0
    assert "2 of 3 folds" in capsys.readouterr().out
    proto = onnx.load(str(file))
    onnx.checker.check_model(proto)
    described = {one.key: json.loads(one.value) for one in proto.metadata_props}
    assert described["classes"] == folder.classes
    assert described["folds"] == [1, 2]
    session, names = onnx_export.open_session(file.read_bytes()), onnx_export.input_names(folder.config)
    assert [one.name for one in session.get_inputs()] == names
    stored = folder.predictions(2).set_index("clip_id")[:5]
    values = Cache(cached).batch(folder.config["features"].split("+"), stored.index.tolist())
    fed = {name: one.astype(np.float32) for name, one in zip(names, values)}
    together, by_fold = session.run(None, fed)
    assert by_fold[:, 1] == pytest.approx(stored[folder.classes].to_numpy(), abs=2e-4)
    expected = TrainedModel(bundle_of_run(folder)).probabilities(values)
    assert together == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("model", ["linear", "texture"])
def test_of_a_run_without_padding_it_takes_a_clips_own_frames(short, model, tmp_path, capsys):
    trained = train_run(short.path.parents[2], model=model, augment="auto", tta=1, padding="drop")
    file, data = tmp_path / "model.onnx", short.path.parents[2] / "data"
    assert onnx_export.export_run(ExportOptions(run=str(trained.path), data=data, out=file)) == 0
    assert "differ from predictions.csv by" in capsys.readouterr().out
    session = onnx_export.open_session(file.read_bytes())
    assert [one.shape[2] for one in session.get_inputs()] == [
        "mel_frames",
        "mfcc:1-19_frames",
        "chroma_frames",
    ]
    some = [np.zeros((3, rows, frames), np.float32) for rows, frames in ((128, 7), (19, 7), (12, 7))]
    values = [np.concatenate([one, one], axis=2) for one in some]  # as much again is no sound
    fed = {one.name: part for one, part in zip(session.get_inputs(), some)}
    predictor = TrainedModel(bundle_of_run(trained))
    found = predictor.probabilities(values, filled=np.full(3, 0.5))
    assert session.run(None, fed)[0] == pytest.approx(found, abs=2e-4)
    with pytest.raises(RequestError, match="without padding: give filled="):
        predictor.probabilities(values)


def test_a_feature_that_comes_twice_has_two_names():
    assert onnx_export.input_names({"features": "mel+mfcc:1-9+mel"}) == ["mel", "mfcc:1-9", "mel_2"]


def test_without_a_cache_shapes_come_from_silence_and_the_networks_are_compared(sounding, tmp_path, capsys):
    file = tmp_path / "model.onnx"
    assert onnx_export.export_run(ExportOptions(run=str(sounding.path), data=tmp_path, out=file)) == 0
    assert "differ from the networks by" in capsys.readouterr().out


def test_a_file_that_predicts_otherwise_is_not_written(sounding, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "_rounded", lambda x: x + 1)
    options = ExportOptions(run=str(sounding.path), data=tmp_path, out=tmp_path / "model.onnx")
    with pytest.raises(RequestError, match="is not written: its probabilities differ"):
        onnx_export.export_run(options)
    assert not list(tmp_path.glob("*.onnx"))


def test_without_onnxruntime_it_says_what_to_install(sounding, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"pip install -r requirements-extras\.txt"):
        onnx_export.export_run(ExportOptions(run=str(sounding.path), out=tmp_path / "model.onnx"))
