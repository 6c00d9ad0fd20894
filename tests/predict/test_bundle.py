"""A bundle holds one epoch and predicts in fp32; other files, formats and code are
refused.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import featurestack as fs
from featurestack.predict import bundle
from featurestack.predict.bundle import make_bundle, read_bundle
from featurestack.predict.model import Model
from featurestack.predict.options import BundleOptions, PredictOptions
from featurestack.predict.predict_audio import predict_audio
from featurestack.results.run_folder import RunFolder, write_config
from tests.cases import cases
from tests.refusal import refused
from tests.run_configs import answer_of, rewrite
from tests.train.small_cache import Harmful
from tests.train.sounds import CLASSES, RATE, sound, train_run


@pytest.fixture(scope="module")
def file(sounds_run, tmp_path_factory):
    """A bundle of the run; tests only read it."""
    made = tmp_path_factory.mktemp("bundle") / "model.pt"
    assert make_bundle(BundleOptions(run=str(sounds_run.path), out=made)) == made
    return made


def test_what_is_no_model_is_refused_with_what_helps(sounds_run, file, tmp_path):
    run = RunFolder(shutil.copytree(sounds_run.path, tmp_path / "run"))
    (run.fold(1) / "last.pt").unlink()
    with refused("remove .*fold1/predictions.csv and train this fold again"):
        bundle.bundle_of_run(run)
    choice = answer_of(sounds_run.config)
    table = replace(
        sounds_run.config, made_by="import", training=None, source="birdnet.csv"
    )
    for config, said in (
        (table, "holds predictions of birdnet.csv, and no model"),
        (choice, "has no model of its own: give the run that it recommends, mel-lin"),
    ):
        write_config(run.path, config)
        with refused(said):
            fs.Model(run.path)
    with refused(r"nix\.pt: there is no such file"):
        fs.Model("nix.pt")
    with refused("scores a run: give its name, not a file"):
        predict_audio(PredictOptions(run=str(file), dataset="other", threads=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made | {"format": 2}, "a bundle format other than 1: make it"),
        (
            lambda made: made | {"folds": Harmful()},
            "not a bundle that can be read safely",
        ),
        (lambda made: made["config"], "is not a bundle .* bundle RUN=NAME makes one"),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    file, tmp_path, monkeypatch, change, message
):
    monkeypatch.chdir(tmp_path)
    torch.save(change(torch.load(file, weights_only=True)), "changed.pt")
    with refused(message):
        bundle.RunModel(*bundle.read_bundle(Path("changed.pt")))
    assert not Harmful.done.exists()


@cases("place", "value", "message")
def test_a_configuration_that_disagrees_with_what_is_computed_is_refused(
    sounds_run, file, tmp_path, place, value, message
):
    """A place in the options, or in the first channel."""
    content = torch.load(file, weights_only=True)
    config = content["config"]
    inner = config if place[0] == "model" else config["channels"][0]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    torch.save(content, tmp_path / "altered.pt")
    audio = sounds_run.path.parents[2] / "sounds"
    given = {"run": str(tmp_path / "altered.pt"), "audio": audio, "threads": 1}
    with refused(message):
        predict_audio(PredictOptions(**given))


def test_a_run_on_brought_values_says_that_nothing_computes_them(trained_run):
    run = RunFolder(trained_run.path)
    brought = replace(run.config.channels[0], stored="brought")
    rewrite(run, sample_rate=0, duration=0.0, channels=(brought,))
    with refused("nothing here computes brought for new audio: it was brought"):
        Model(run)


@pytest.fixture
def options(sounds_run, tmp_path):
    places = {"data": sounds_run.path.parents[2] / "data", "out": tmp_path / "model.pt"}
    return lambda run: BundleOptions(run=str(run.path), refit=True, **places)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn4", "linear"])
def test_one_model_of_all_clips_answers_new_audio(sounds_run, options, model, capsys):
    run = train_run(sounds_run.path.parents[2], model=model)
    asked = options(run)
    make_bundle(asked)
    assert "without a score of its own" in capsys.readouterr().out
    config, folds = read_bundle(asked.out)
    assert [*folds] == [0] and [*config.calibration] == ["last"]
    for label in CLASSES:
        answer = fs.Model(asked.out).predict(sound(label, 500), RATE)
        assert answer.predicted == label
    assert RunFolder(run.path).config == run.config


def test_its_statistics_are_those_of_every_clip(sounds_run, options):
    run = train_run(sounds_run.path.parents[2], model="linear", features="mfcc")
    asked = options(run)
    make_bundle(asked)
    assert "epoch" not in fs.Model(run).title  # an exact solution has none
    _, folds = read_bundle(asked.out)
    mean = folds[0]["network"]["mean"]
    of_folds = fs.Model(run).networks.networks.values()
    each = [network.mean.numpy() for network in of_folds]
    # two folds of equally many clips, each trained on the other
    assert np.allclose(mean, np.mean(each, axis=0), atol=1e-4)


def test_a_run_that_chose_its_epoch_and_other_clips_are_refused(
    sounds_run, options, tmp_path
):
    runs = sounds_run.path.parents[2]
    with refused("chosen on validation clips"):
        make_bundle(options(train_run(runs, model="linear", val="group")))
    other = tmp_path / "runs" / "little" / "other"
    shutil.copytree(train_run(runs, model="linear").path, other)
    write_config(other, replace(RunFolder(other).config, hash="another"))
    with refused("holds other clips or values than"):
        make_bundle(options(RunFolder(other)))
