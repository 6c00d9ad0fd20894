"""CHANNEL: one channel of files that have two, from the cache to predictions."""

import json

import numpy as np
import pytest
import soundfile

import featurestack as fs
from featurestack.features_cache.cache import Cache
from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand
from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions, PredictOptions
from featurestack.predict.predict_audio import predict_audio
from featurestack.train import training
from featurestack.train.options import RunOptions
from tests.pipeline.extraction import contents
from tests.refusal import refused
from tests.train.sounds import RATE, sound

CLIPS = [f"{label}-{take}" for label in ("hiss", "tone") for take in range(4)]
LACKING = "no channel 2: the file has 1 channel; CHANNEL=0 takes the mean of all"


def both(y):
    """Two channels whose mean is silence."""
    return np.stack([-y, y], axis=1)


def write(folder):
    """Clips of two channels in folder/stereo, of the right one in folder/mono."""
    for clip in CLIPS:
        label, take = clip.split("-")
        for name in ("stereo", "mono"):
            file = folder / name / label / f"{clip}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            y = sound(label, int(take))
            soundfile.write(file, y if name == "mono" else both(y), RATE, "FLOAT")


def extract(folder, name, features="mel rms", **given):
    """Status of the features of folder/stereo or folder/mono."""
    places = {"dataset": str(folder / name), "data": folder / "data"}
    command = FeaturesCommand(features=features, jobs=1, **places, **given)
    return extract_features(command)


def cache(folder, name):
    return Cache(folder / "data" / name / "features")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("channels")
    write(place)
    assert extract(place, "mono") == 0
    assert extract(place, "stereo", channel=2) == 0
    return place


@pytest.fixture(scope="module")
def trained_runs(folder):
    given = {"features": "mel", "model": "linear", "device": "cpu"}
    given |= {"data": folder / "data", "runs": folder / "runs"}
    names = ("mono", "stereo")
    every = [RunOptions(dataset=str(folder / name), **given) for name in names]
    return dict(zip(names, map(training.execute, every)))


def test_the_features_of_a_channel_are_those_of_files_of_this_channel(folder):
    stereo, mono = cache(folder, "stereo"), cache(folder, "mono")
    for feature in ("mel", "rms"):
        assert contents(stereo, feature) == contents(mono, feature)
    assert stereo["mel"].audio_channel == 2 and stereo["mel"].key != mono["mel"].key


def predicted(folder, run, capsys, audio, **given):
    """The probabilities of the windows or files, and what was told."""
    place = folder / "long"
    y = np.concatenate([sound("tone", 9, 2.0), sound("hiss", 9, 3.3)])
    place.mkdir(exist_ok=True)
    soundfile.write(place / "mono.wav", y, RATE, "FLOAT")
    soundfile.write(place / "stereo.wav", both(y), RATE, "FLOAT")
    capsys.readouterr()
    places = {"data": folder / "data", "audio": place / audio, "out": place / "a.json"}
    predict_audio(PredictOptions(run=str(run), **places, **given))
    rows = json.loads((place / "a.json").read_text())
    return [row["probabilities"] for row in rows], capsys.readouterr().err


@pytest.mark.parametrize("hop", [None, 0.5])
def test_a_run_predicts_its_channel(folder, trained_runs, capsys, hop):
    def answers(name, audio, **given):
        return predicted(
            folder, trained_runs[name].path, capsys, audio, hop=hop, **given
        )

    stereo, _ = answers("stereo", "stereo.wav")
    mono, _ = answers("mono", "mono.wav")
    given, _ = answers("mono", "stereo.wav", channel=2)
    mixed, _ = answers("mono", "stereo.wav")
    assert len(stereo) == (10 if hop else 19)
    assert stereo == mono == given != mixed
    none, told = answers("stereo", "mono.wav")
    assert none == [] and LACKING in told
    assert answers("stereo", "mono.wav", channel=0)[0] == mono


def test_a_bundle_and_a_model_take_the_channel_of_their_run(
    folder, trained_runs, capsys
):
    stereo = trained_runs["stereo"].path
    bundle = folder / "model.pt"
    make_bundle(BundleOptions(run=str(stereo), data=folder / "data", out=bundle))
    of_bundle, _ = predicted(folder, bundle, capsys, "stereo.wav")
    assert of_bundle == predicted(folder, stereo, capsys, "stereo.wav")[0]
    y = sound("tone", 9)
    model = fs.Model(bundle)
    assert model.predict(both(y), RATE) == model.predict(y, RATE)
    with refused(r"samples of shape \(1, 16000\) have no channel 2"):
        model.predict(y[None], RATE)
