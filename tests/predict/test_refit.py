"""One model of all folds' clips: what it is trained on, that it is no fold's, and what
has no such model.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import featurestack as fs
from featurestack.predict.bundle import make_bundle, read_bundle
from featurestack.predict.options import BundleOptions
from featurestack.results.run_folder import RunFolder, write_config
from tests.refusal import refused
from tests.train.sounds import CLASSES, RATE, sound, train_run


@pytest.fixture
def options(sounding, tmp_path):
    def make(run, **given):
        return BundleOptions(
            run=str(run.path),
            data=sounding.path.parents[2] / "data",
            out=tmp_path / "model.pt",
            refit=True,
            **given,
        )

    return make


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn4", "linear"])
def test_one_model_of_all_clips_answers_new_audio(sounding, options, model, capsys):
    run = train_run(sounding.path.parents[2], model=model)
    asked = options(run)
    assert make_bundle(asked) == 0
    assert "without a score of its own" in capsys.readouterr().out
    bundle = read_bundle(asked.out)
    assert [*bundle.folds] == [0] and bundle.config.refit
    for label in CLASSES:
        answer = fs.Model(asked.out).predict(sound(label, 500), RATE)
        assert answer.predicted == label
    assert RunFolder(run.path).config == run.config


def test_its_statistics_are_those_of_every_clip(sounding, options):
    run = train_run(sounding.path.parents[2], model="linear", features="mfcc")
    asked = options(run)
    make_bundle(asked)
    mean = read_bundle(asked.out).folds[0]["network"]["mean"]
    of_folds = fs.Model(run).networks.folds.values()
    each = [fold.network.mean.numpy() for fold in of_folds]
    # two folds of equally many clips, each trained on the other
    assert np.allclose(mean, np.mean(each, axis=0), atol=1e-4)


def test_a_run_that_chose_its_epoch_and_other_clips_are_refused(
    sounding, options, tmp_path
):
    runs = sounding.path.parents[2]
    with refused("chosen on validation clips"):
        make_bundle(options(train_run(runs, model="linear", val="group")))
    other = tmp_path / "runs" / "little" / "other"
    shutil.copytree(train_run(runs, model="linear").path, other)
    write_config(other, replace(RunFolder(other).training, hash="another"))
    with refused("holds other clips or values than"):
        make_bundle(options(RunFolder(other)))
