"""A bundle holds one epoch and predicts in fp32; other files, formats and code are
refused.
"""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import featurestack as fs
from featurestack.predict import bundle
from featurestack.predict.bundle import make_bundle
from featurestack.predict.model import Model
from featurestack.predict.options import BundleOptions, PredictOptions
from featurestack.predict.predict_audio import predict_audio
from featurestack.results.run_folder import RunFolder, write_config
from tests.cases import cases
from tests.refusal import refused
from tests.run_configs import answer_of, rewrite
from tests.train.small_cache import Harmful


@pytest.fixture(scope="module")
def file(sounds_run, tmp_path_factory):
    """A bundle of the run; tests only read it."""
    made = tmp_path_factory.mktemp("bundle") / "model.pt"
    assert make_bundle(BundleOptions(run=str(sounds_run.path), out=made)) == made
    return made


def test_a_bundle_says_which_sounds_and_not_where_its_maker_has_them(sounds_run, file):
    made, config = sounds_run.config.dataset_identity, bundle.read_bundle(file)[0]
    assert Path(made.place).exists() and made.place.encode() not in file.read_bytes()
    own = config.dataset_identity
    assert (own.place, own.content, own.sounds) == ("", made.content, made.sounds)


def test_what_is_no_model_is_refused_with_what_helps(sounds_run, file, tmp_path):
    run = RunFolder(shutil.copytree(sounds_run.path, tmp_path / "run"))
    (run.fold(1) / "last.pt").unlink()
    with refused("remove .*fold1/predictions.csv and train this fold again"):
        bundle.bundle_of_run(run)
    write_config(run.path, answer_of(sounds_run.config))
    with refused("has no model of its own: give the run that it recommends, mel-lin"):
        fs.Model(run.path)
    with refused(r'run="nix\.pt": there is no such file'):
        fs.Model("nix.pt")
    with refused("scores a run: give its name, not a file"):
        predict_audio(PredictOptions(run=str(file), dataset="other", threads=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made | {"format": 0}, "a bundle format other than 1: make it"),
        (lambda made: made | {"format": 2}, "has format 2, made by a newer version"),
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


@cases("place", "value", "message")
def test_bounds_of_a_bundle_are_checked(file, tmp_path, place, value, message):
    """A key of the configuration, of the first channel, or of the calibration."""
    content = torch.load(file, weights_only=True)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    torch.save(content, tmp_path / "odd.pt")
    with refused(f"odd.pt .*{message}"):
        Model(tmp_path / "odd.pt")


@pytest.mark.parametrize("folds", [{}, [1], {9: {}}, {"1": {}}, {1: {}}, 5, None])
def test_folds_of_a_bundle_are_those_of_its_run(file, tmp_path, folds):
    content = torch.load(file, weights_only=True) | {"folds": folds}
    torch.save(content, tmp_path / "odd.pt")
    with refused("odd.pt has (models of the folds|no model of fold)"):
        Model(tmp_path / "odd.pt")


def test_a_model_answers_in_another_process(sounds_run, file):
    y = np.random.default_rng(0).normal(0, 0.1, 8000)
    for trained in (file, sounds_run):
        model = fs.Model(trained, reject=0.1)
        copy = pickle.loads(pickle.dumps(model))
        assert copy.predict(y, 16_000) == model.predict(y, 16_000)
        assert copy.least_probability == 0.1
