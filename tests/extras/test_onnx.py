"""onnxruntime predicts from an exported file what the run predicted, for every kind of
model.
"""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

import featurestack as fs
from featurestack.base import registry
from featurestack.base.registry import Registry
from featurestack.cli.words import function_of
from featurestack.extras.onnx import ExportOptions
from featurestack.features_cache.cache import Cache
from featurestack.predict.bundle import (
    RunModel,
    make_bundle,
    read_bundle,
)
from featurestack.predict.options import BundleOptions
from featurestack.train import network_input
from featurestack.train.models import MODELS, model
from tests.cases import data
from tests.golden.commands import command, done, inside
from tests.golden.sounds import easy_clips
from tests.refusal import refused
from tests.train.small_cache import run_with
from tests.train.sounds import CLASSES, RATE, sound, train_run
from tests.versions import newer_feature

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
onnx_export = pytest.importorskip("featurestack.extras.onnx.onnx")

# model -> its features, further options
TRAINED = data(__file__)["TRAINED"]


def exported(run, out):
    """A session of onnxruntime; the export has compared it with the run."""
    assert onnx_export.export_run(ExportOptions(run=str(run.path), out=out)) == out
    return onnx_export.open_session(out.read_bytes())


@pytest.mark.parametrize("model", TRAINED)
def test_onnxruntime_predicts_what_the_run_did(
    model, cache_folder, options, tmp_path, capsys
):
    features, more = TRAINED[model]
    wanted = {"model": model, "features": features, "folds": (1, 2), "epochs": 1}
    folder = run_with(options, **wanted, **more)
    file = tmp_path / "model.onnx"
    session = exported(folder, file)
    said = capsys.readouterr().out
    assert "2 of 3 folds" in said and "differ from the networks' by" in said
    proto = onnx.load(str(file))
    onnx.checker.check_model(proto)
    described = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert (described["classes"], described["folds"]) == (folder.classes, [1, 2])
    names = [entry.name for entry in session.get_inputs()]
    # names of inputs differ
    assert [name.removesuffix("_2") for name in names] == features.split("+")
    cache, clips = Cache(cache_folder), np.arange(5)
    values = [cache.read(feature, clips) for feature in features.split("+")]
    fed = {name: channel.astype(np.float32) for name, channel in zip(names, values)}
    make_bundle(BundleOptions(run=str(folder.path), out=tmp_path / "model.pt"))
    model = RunModel(*read_bundle(tmp_path / "model.pt"))
    expected = model.joined(model.by_fold(values, np.ones(5)))
    assert session.run(["probabilities"], fed)[0] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    "model", ["linear", pytest.param("texturenet", marks=pytest.mark.slow)]
)
def test_a_run_without_padding_takes_a_clips_own_frames(
    short_clips_run, model, tmp_path
):
    """The export compares clips of two lengths; the columns of `modulation` are not
    frames of time.
    """
    folder = short_clips_run.path.parents[2]
    wanted = {"features": "mel+modulation", "padding": "drop", "augment": "auto"}
    run = train_run(folder, model=model, epochs=1, **wanted)
    session = exported(run, tmp_path / "model.onnx")
    mel, modulation = (entry.shape[2] for entry in session.get_inputs())
    assert mel == "mel_frames" and isinstance(modulation, int)


def test_a_file_that_differs_from_the_networks_is_not_written(
    sounds_run, tmp_path, monkeypatch
):
    options = ExportOptions(run=str(sounds_run.path), out=tmp_path / "model.onnx")
    monkeypatch.setattr(network_input, "resizing", torch.ones)
    with refused("is not written: its probabilities differ"):
        onnx_export.export_run(options)
    assert not options.out.exists()


def test_a_layer_that_onnx_lacks_is_one_sentence(options, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("featurestack.train.models.MODELS", Registry("model", MODELS))

    @model(kind="image")
    def pooled(channels, classes, shape):
        """A layer whose size does not divide that of its input."""
        pool = nn.AdaptiveAvgPool2d(5)
        return nn.Sequential(pool, nn.Flatten(), nn.Linear(25 * channels, classes))

    run = run_with(options, model="pooled", features="mel", folds=(1, 2), epochs=1)
    asked = ExportOptions(run=str(run.path), out=tmp_path / "model.onnx")
    form = "operator adaptive_avg_pool2d, output size that are not factor of input size"
    said = rf"^pooled cannot be exported \(.*{form}\)\. A bundle needs no change:"
    with refused(rf"{said} .* RUN={run.name}$") as refusal:
        onnx_export.export_run(asked)
    assert "graph(" not in "".join(capfd.readouterr())
    assert refusal.value.__suppress_context__  # Python shows no traceback of torch


def test_an_onnx_file_has_the_answers_of_the_bundle(sounds_run, tmp_path):
    bundle, file = tmp_path / "model.pt", tmp_path / "model.onnx"
    make_bundle(BundleOptions(run=str(sounds_run.path), out=bundle))
    onnx_export.export_run(ExportOptions(run=str(sounds_run.path), out=file))
    model, exported = fs.Model(bundle), fs.Model(file)
    exported.warm()
    assert exported.classes == model.classes
    assert exported.config.channels == model.config.channels
    assert (exported.sample_rate, exported.seconds) == (RATE, 1.0)
    clips = [sound(CLASSES[n % 3], 40 + n, seconds=1 - 0.2 * n) for n in range(4)]
    many = exported.predict_many(clips, RATE)
    for y, together in zip(clips, many, strict=True):
        expected = model.predict(y, RATE)
        close = pytest.approx(expected.probabilities, abs=1e-4)
        for answer in (exported.predict(y, RATE), together):
            assert answer.predicted == expected.predicted
            assert answer.probabilities == close
    with refused("2.00 s of audio: the model takes clips of at most 1 s"):
        exported.predict(np.zeros(2 * RATE), RATE)


def test_an_onnx_file_needs_no_code_of_its_model_and_a_bundle_names_its_file(
    sounds_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("featurestack.train.models.MODELS", Registry("model", MODELS))

    @model(kind="image")
    def own(channels, classes, shape):
        """A user's own."""
        pool = nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(pool, nn.Flatten(), nn.Linear(channels, classes))

    folder = sounds_run.path.parents[2]
    run = train_run(folder, model="own", features="mel", epochs=1, padding="drop")
    file = tmp_path / "own.onnx"
    exported(run, file)
    make_bundle(BundleOptions(run=str(run.path), out=tmp_path / "own.pt"))
    assert " LOAD=" in capsys.readouterr().out
    clip = sound(CLASSES[0], 40)
    expected = fs.Model(run).predict(clip, RATE)
    monkeypatch.undo()
    answer = fs.Model(file).predict(clip, RATE)
    assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    monkeypatch.setattr(registry, "DEFINING", {})  # as in another process
    with refused(r"this run needs the model own: LOAD=.*test_onnx\.py'?$"):
        fs.Model(run)


def test_another_onnx_file_gets_a_sentence(sounds_run, tmp_path):
    exported = tmp_path / "model.onnx"
    exported.write_bytes(b"no network")
    with refused("model.onnx is not an ONNX file of this project's runs"):
        fs.Model(exported)
    exported.unlink()
    onnx_export.export_run(ExportOptions(run=str(sounds_run.path), out=exported))
    proto = onnx.load(str(exported))
    del proto.metadata_props[:]
    onnx.save(proto, str(exported))
    with refused("model.onnx is not an ONNX file of this project's runs .*config"):
        fs.Model(exported)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    exported = tmp_path / "model.onnx"
    exported.touch()
    monkeypatch.delitem(sys.modules, "featurestack.extras.onnx.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for given in (lambda: function_of("export"), lambda: fs.Model(exported)):
        with refused(
            r"needs onnxruntime: .*python.* -m pip install -c \S+ -e '?\S*\[onnx\]"
        ):
            given()


def test_new_audio_is_not_answered_by_features_of_another_version(tmp_path):
    easy_clips(tmp_path / "easy")
    with inside(tmp_path):
        done("features DATASET=easy FEATURES=rms JOBS=1")
        done("train DATASET=easy FEATURES=rms MODEL=linear FOLDS=1")
        done("export RUN=last OUT=rms.onnx")
        with newer_feature("rms"):
            answer = command("predict RUN=rms.onnx AUDIO=easy/bell/bell0-A.wav")
    assert "trained on rms by version 1, here 2: extract and train" in answer.err
