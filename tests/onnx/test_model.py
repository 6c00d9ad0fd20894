"""`fs.Model` answers from an exported ONNX file what it answers from the bundle."""

import sys

import numpy as np
import pytest

import featurestack as fs
from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions, ExportOptions
from tests.refusal import refused
from tests.train.sounds import CLASSES, RATE, sound

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
onnx_export = pytest.importorskip("featurestack.onnx.export")

CLIPS = [sound(CLASSES[n % 3], 40 + n, seconds=1 - 0.2 * n) for n in range(4)]


def both(run, folder):
    """The models of the run's bundle and of its ONNX file."""
    bundle, exported = folder / "model.pt", folder / "model.onnx"
    make_bundle(BundleOptions(run=str(run.path), out=bundle))
    assert onnx_export.export_run(ExportOptions(run=str(run.path), out=exported)) == 0
    return fs.Model(bundle), fs.Model(exported)


def assert_same(model, exported):
    assert exported.classes == model.classes
    assert exported.config.channels == model.config.channels
    assert (exported.sample_rate, exported.seconds) == (RATE, 1.0)
    many = exported.predict_many(CLIPS, RATE)
    for y, together in zip(CLIPS, many, strict=True):
        expected = model.predict(y, RATE)
        for answer in (exported.predict(y, RATE), together):
            assert answer.predicted == expected.predicted
            assert answer.probabilities == pytest.approx(
                expected.probabilities, abs=1e-4
            )


def test_an_onnx_file_has_the_answers_of_the_bundle(sounding, tmp_path):
    model, exported = both(sounding, tmp_path)
    exported.warm()
    assert_same(model, exported)
    with refused("2.00 s of audio: the model takes clips of at most 1 s"):
        exported.predict(np.zeros(2 * RATE), RATE)


def test_another_onnx_file_gets_a_sentence(sounding, tmp_path):
    exported = tmp_path / "model.onnx"
    exported.write_bytes(b"no network")
    with refused("model.onnx is no ONNX file of this project's runs"):
        fs.Model(exported)
    exported.unlink()
    onnx_export.export_run(ExportOptions(run=str(sounding.path), out=exported))
    proto = onnx.load(str(exported))
    del proto.metadata_props[:]
    onnx.save(proto, str(exported))
    with refused("model.onnx is no ONNX file of this project's runs .*config"):
        fs.Model(exported)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    exported = tmp_path / "model.onnx"
    exported.touch()
    monkeypatch.delitem(sys.modules, "featurestack.onnx.model", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refused(r"needs onnxruntime: .* -m pip install .*\[onnx\]"):
        fs.Model(exported)
