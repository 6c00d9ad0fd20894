"""A bundle answers as its run does, alone; what is no bundle, newer, or harmful is refused."""

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from commandline.commands import main
from commandline.registry import RequestError
from results.run_folder import RunFolder
from tests.train.sounds import train_run
from tests.train.test_predict import answered, ask, write
from train import bundle
from train.__main__ import COMMANDS
from train.options import BundleOptions, PredictOptions
from train.predict import predict_audio


@pytest.fixture
def file(sounding, tmp_path) -> Path:
    assert bundle.make_bundle(BundleOptions(run=str(sounding.path), out=tmp_path / "model.pt")) == 0
    return tmp_path / "model.pt"


def test_answers_as_the_run_without_its_folder(sounding, file, tmp_path, capsys):
    sound = write(tmp_path / "x.wav", "tone")
    capsys.readouterr()
    ask(sounding, audio=sound, json=True)
    by_run = answered(capsys.readouterr().out)
    predict_audio(PredictOptions(run=str(file), runs=Path("nowhere"), audio=sound, json=True, threads="1"))
    assert answered(capsys.readouterr().out) == by_run


def test_a_selection_that_does_not_apply_to_it_is_named(file, tmp_path, capsys):
    options = PredictOptions(run=str(file), audio=write(tmp_path / "x.wav", "tone"), threads="1")
    assert predict_audio(options) == 0
    assert "SELECTION" not in capsys.readouterr().err
    assert predict_audio(replace(options, selection="best")) == 0
    said = "SELECTION does not apply to a bundle, which holds one epoch, and is ignored\n"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["predicted", "file", "start"])
def test_a_class_called_like_a_column_of_predict_is_told(file, tmp_path, name):
    held = torch.load(file, weights_only=True)
    held["config"]["classes"][0]["name"] = name  # as of before such names were refused
    torch.save(held, tmp_path / "named.pt")
    options = PredictOptions(run=str(tmp_path / "named.pt"), audio=write(tmp_path / "x.wav", "tone"))
    with pytest.raises(RequestError, match=f"^{name}: no class may have the name of a column"):
        predict_audio(options)


def test_float16_halves_it_and_hardly_changes_what_it_predicts(sounding, file, tmp_path):
    half = tmp_path / "half.pt"
    assert bundle.make_bundle(BundleOptions(run=str(sounding.path), out=half, dtype="float16")) == 0
    assert half.stat().st_size < 0.6 * file.stat().st_size
    one, other = (bundle.TrainedModel(bundle.read_bundle(held)) for held in (file, half))
    random = np.random.default_rng(0)
    values = [random.normal(size=(3, rows, 32)).astype(np.float32) for rows in (128, 19, 12)]
    assert np.allclose(one.probabilities(values), other.probabilities(values), atol=5e-3)


def test_predicts_in_plain_fp32_whatever_the_process_allows(file):
    matmul, cudnn, seen = torch.backends.cuda.matmul, torch.backends.cudnn, []
    model = bundle.TrainedModel(bundle.read_bundle(file))
    for one in model.folds.values():
        one.network.register_forward_pre_hook(lambda *_: seen.append((matmul.allow_tf32, cudnn.allow_tf32)))
    before, matmul.allow_tf32 = matmul.allow_tf32, True
    try:
        model.probabilities([np.zeros((2, rows, 32), np.float32) for rows in (128, 19, 12)])
    finally:
        matmul.allow_tf32 = before
    assert set(seen) == {(False, False)}


def test_statistics_of_other_rows_than_the_channels_are_refused(file, tmp_path):
    held = torch.load(file, weights_only=True)
    for state in held["folds"].values():
        state["statistics"][0]["centre"] = state["statistics"][0]["centre"][:1] * 127
    torch.save(held, tmp_path / "short.pt")
    model = bundle.read_bundle(tmp_path / "short.pt")
    with pytest.raises(RequestError, match="other rows than its channels"):
        bundle.TrainedModel(model)


def test_the_format_may_be_text(file, tmp_path):
    torch.save({**torch.load(file, weights_only=True), "format": "2"}, tmp_path / "text.pt")
    assert bundle.read_bundle(tmp_path / "text.pt").config == bundle.read_bundle(file).config


def test_holds_every_finished_fold(sounding, file):
    config, folds = bundle.read_bundle(file)
    assert sorted(folds) == sounding.finished
    assert config == {**sounding.config, "temperature": sounding.temperature()}


def test_test_clips_need_the_run(file):
    with pytest.raises(RequestError, match="give a run, a bundle has none"):
        predict_audio(PredictOptions(run=str(file), test_clips=True))


class Harmful:
    """Unpickling it would make a file."""

    def __reduce__(self):
        return Path.touch, (Path("harm-was-done"),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "format 3, this version reads 2: update"),
        ({"format": 1}, "format 1, this version reads 2: make it again"),
        ({"folds": Harmful()}, "no bundle that can be read safely"),
        ({"folds": {}}, "it lacks folds"),
        ({"folds": torch.zeros(0)}, "it lacks folds"),
        ({"config": {"model": "cnn4"}}, "it lacks classes"),
        ({"config": None}, "holds no configuration"),
        ({"folds": {1: None}}, "fold 1: it is no checkpoint"),
        ({"format": None}, "format None"),
    ],
)
def test_what_cannot_be_trusted_is_refused(file, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    held = torch.load(file, weights_only=True)
    torch.save({**held, **change}, "changed.pt")
    with pytest.raises(RequestError, match=message):
        bundle.read_bundle(Path("changed.pt"))
    assert not Path("harm-was-done").exists()


def test_a_flipped_bit_is_one_sentence(file, tmp_path, capsys):
    whole, name = file.read_bytes(), tmp_path / "flipped.pt"
    largest = max(zipfile.ZipFile(file).infolist(), key=lambda record: record.file_size)
    place = largest.header_offset + largest.file_size // 2
    name.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    sound = write(tmp_path / "x.wav", "tone")
    with pytest.raises(SystemExit) as stop:
        main(COMMANDS, ["predict", str(name), f"AUDIO={sound}"])
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and f"{name} is no bundle" in said.err
    assert "damaged" in said.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": "99999999x99999999"}, "malformed grid"),
        ({"duration": 1e300}, "malformed duration"),
        ({"duration": "5"}, "malformed duration"),
        ({"sample_rate": -1}, "malformed sample_rate"),
        ({"classes": []}, "malformed classes"),
        ({"channels": [{"stored": "mel", "dtype": "object", "rows": [0, 1]}]}, "malformed channels"),
        ({"options": {"model": "cnn4", "tta": 0}}, "malformed options: tta"),
        ({"options": {"model": "cnn4"}}, "options, lacks tta"),
        ({"temperature": 0}, "malformed temperature"),
        ({"rejection": {"threshold": "high"}}, "malformed rejection"),
        ({"changed_strides": {"layers.99": [1, 1]}}, "changed_strides has 'layers.99'"),
    ],
)
def test_an_absurd_configuration_is_refused(file, tmp_path, change, message):
    held = torch.load(file, weights_only=True)
    torch.save({**held, "config": held["config"] | change}, tmp_path / "absurd.pt")
    with pytest.raises(RequestError, match=message):
        bundle.TrainedModel(bundle.read_bundle(tmp_path / "absurd.pt")).of_input(1, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_features_that_the_weights_were_not_trained_on_are_told(sounding, model):
    run = train_run(sounding.path.parents[2], model=model, epochs=1, augment="auto", tta=1)
    made = bundle.bundle_of_run(run)
    changed = made._replace(config={**made.config, "channels": made.config["channels"][:1]})
    fewer = [np.zeros((1, 128, 32), np.float32)]
    kept = [{**state, "statistics": state["statistics"][:1]} for state in made.folds.values()]
    changed = changed._replace(folds=dict(zip(made.folds, kept)))
    with pytest.raises(RequestError, match="inputs and is given 256: its configuration has other features"):
        bundle.TrainedModel(changed).probabilities(fewer)


def test_a_key_that_the_configuration_lacks_is_told(sounding, tmp_path):
    run = RunFolder(Path(shutil.copytree(sounding.path, tmp_path / "copy")))
    file = run.path / "run.json"
    config = json.loads(file.read_text())
    del config["duration"]
    file.write_text(json.dumps(config))
    with pytest.raises(RequestError, match="lacks duration: train this run again"):
        bundle.bundle_of_run(run).config["duration"]


def test_weights_that_are_not_finite_answer_nothing(file, tmp_path):
    held = torch.load(file, weights_only=True)
    next(iter(held["folds"][1]["network"].values())).fill_(float("nan"))
    torch.save(held, tmp_path / "nan.pt")
    with pytest.raises(RequestError, match=r"nan.pt, fold 1: '.*' holds numbers that are not finite"):
        bundle.read_bundle(tmp_path / "nan.pt")


def test_another_file_is_no_bundle(sounding, tmp_path):
    with pytest.raises(RequestError, match="is no bundle"):
        bundle.read_bundle(sounding.path / "fold1" / "last.pt")
    (tmp_path / "x.pt").write_bytes(b"anything")
    with pytest.raises(RequestError, match="is no bundle that can be read"):
        bundle.read_bundle(tmp_path / "x.pt")


def test_a_folder_that_is_not_there_is_told(sounding, tmp_path):
    with pytest.raises(RequestError, match="there is no folder"):
        bundle.make_bundle(BundleOptions(run=str(sounding.path), out=tmp_path / "no" / "model.pt"))


def test_a_fifo_is_not_replaced_by_a_bundle(sounding, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RequestError, match="no ordinary file"):
        bundle.make_bundle(BundleOptions(run=str(sounding.path), out=tmp_path / "fifo"))
    assert (tmp_path / "fifo").is_fifo()
