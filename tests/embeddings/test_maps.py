"""`imagenet@of=NAME`, ResNet-18's first stages on another feature's map, and
`texture@of=NAME`, its texture statistics: made like any other feature.
"""

import hashlib
import shutil
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import soundfile
import torch

from featurestack.answers import AnswerOptions
from featurestack.answers.answer import ask
from featurestack.embeddings import maps, networks
from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import FeaturesCommand
from featurestack.predict.model import Model
from featurestack.train.pretrained import PUBLISHED
from tests.cases import cases
from tests.processes import serving
from tests.refusal import refused
from tests.train.small_cache import build
from tests.train.sounds import train_run, write_dataset

RATE = 16_000


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """A file with random weights of only the first stages."""
    torch.manual_seed(0)
    state = build("resnet18", 3, 10, (128, 216)).state_dict()
    kept = {key: value for key, value in state.items() if key[:6] not in ("layer4",)}
    del kept["fc.weight"], kept["fc.bias"]
    file = tmp_path_factory.mktemp("stages") / "resnet18-stages.pth"
    torch.save(kept, file)
    return file


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weights(here, stages, tmp_path):
    (tmp_path / "models").mkdir()
    return shutil.copy(stages, tmp_path / "models")


def feature_of(name):
    return resolve_feature(parse_feature_name(name), RATE)


def clip(seconds=1.0, own=None):
    y = np.random.default_rng(1).normal(0, 0.1, round(RATE * seconds))
    if own is not None:
        y[round(RATE * own) :] = 0
    return Clip(y.astype(np.float32), RATE)


@pytest.mark.parametrize("of", ["mel", "centroid"])
def test_a_clip_becomes_one_finite_vector_that_is_the_same_each_time(weights, of):
    feature = feature_of(f"imagenet@of={of}")
    values = feature.compute(clip())
    assert values.shape == feature.shape(RATE, RATE) == (8192, 1)
    assert np.isfinite(values).all()
    assert values.std() > 0
    assert np.array_equal(values, feature.compute(clip()))


@cases("name", "reason")
def test_what_has_no_frames_is_refused(weights, name, reason):
    with refused(reason):
        feature_of(name).shape(RATE, RATE)


def test_weights_that_are_not_there_are_fetched_for_the_feature_alone(
    here, monkeypatch, stages, tmp_path
):
    assert "imagenet@of=mel" not in networks.choose_networks(RATE)
    needed = "imagenet@of=mel needs the weights of ResNet-18, 47 MB, which"
    assert needed in networks.network_remarks()[-1]
    assert not list(tmp_path.rglob("*.pth"))
    digest = hashlib.sha256(stages.read_bytes()).hexdigest()[:8]
    shutil.copy(stages, tmp_path / f"resnet18-{digest}.pth")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with serving(handler) as address:
        url = f"{address}/resnet18-{digest}.pth"
        monkeypatch.setitem(PUBLISHED, "resnet18", url)
        assert feature_of("imagenet@of=mel").recorded_facts["file"]
    assert maps.weights().parent == networks.MODELS_FOLDER


def test_the_fingerprint_covers_weights_and_the_source_s_parameters(weights, stages):
    plain = feature_of("imagenet@of=mel").recorded_facts
    assert feature_of("imagenet@of=mfcc").recorded_facts != plain
    shorter = feature_of("imagenet@frame=23,of=mel").recorded_facts
    assert shorter["source"] != plain["source"]
    state = torch.load(stages, weights_only=True)
    state["bn1.bias"] += 1
    torch.save(state, weights)
    assert feature_of("imagenet@of=mel").recorded_facts["file"] != plain["file"]


def test_other_weights_are_refused(weights):
    torch.save({"fc.weight": torch.zeros(2, 2)}, weights)
    with refused("lacks conv1.weight"):
        maps.open_stages()


def test_it_is_made_trained_predicted_and_bundled_like_every_feature(weights, tmp_path):
    table = write_dataset(tmp_path / "sounds")
    name = "imagenet@of=mel"
    command = FeaturesCommand(dataset=str(table), data=tmp_path / "data", jobs=1)
    assert not extract(replace(command, features=f"mel {name}"))
    (file,) = tmp_path.rglob(f"{name}.h5")
    before = file.read_bytes()
    assert not extract(replace(command, features=name))
    assert file.read_bytes() == before
    run = train_run(tmp_path, features=name, model="linear")
    model = Model(run)
    stored = Cache(file.parent).read(name, ["tone-1-0"])[0]
    y, _ = soundfile.read(tmp_path / "sounds" / "tone-1-0.wav", dtype="float32")
    np.testing.assert_array_equal(model.batch([y])[0][0][0], stored)


def write_brought(folder, frames=40):
    """A cache without audio that holds the feature `a`."""
    table = {"clip_id": list("pqrs"), "label": list("xyxy"), "fold": [1, 1, 2, 2]}
    external.create_cache(folder, table)
    values = np.random.default_rng(0).normal(size=(4, 30, frames))
    external.write_feature(folder, "a", values, table["clip_id"])


def test_answer_does_not_count_the_map_that_stages_read(weights, tmp_path):
    table = write_dataset(tmp_path / "sounds")
    given = {"dataset": str(table), "data": tmp_path / "data"}
    question = ask(AnswerOptions(**given, features="imagenet@of=mel rms"))
    assert sorted(question.features) == ["imagenet@of=mel", "rms"]
    assert question.computes


def features(folder, name):
    command = FeaturesCommand(
        dataset=str(folder), data=Path("data"), jobs=1, features=name
    )
    assert not extract(command)
    return Cache(folder)


def test_it_is_computed_from_the_cached_map_where_the_audio_is_gone(weights, tmp_path):
    table = write_dataset(tmp_path / "sounds")
    command = FeaturesCommand(
        dataset=str(table), data=tmp_path / "data", jobs=1, features="mel mfcc"
    )
    assert not extract(command)
    for file in (tmp_path / "sounds").glob("*.wav"):
        if file.name != "tone-1-0.wav":
            file.unlink()
    for name in ("imagenet@of=mel", "imagenet@of=mfcc"):
        assert not extract(replace(command, features=name))
    (folder,) = {file.parent for file in tmp_path.rglob("mel.h5")}
    cache = Cache(folder)
    assert cache.readable(["imagenet@of=mel", "imagenet@of=mfcc"]).all()
    y, _ = soundfile.read(tmp_path / "sounds" / "tone-1-0.wav", dtype="float32")
    expected = feature_of("imagenet@of=mel").compute(Clip(y, RATE))
    stored = cache.read("imagenet@of=mel", ["tone-1-0"])[0]
    np.testing.assert_array_equal(stored, expected.astype(np.float16))


def test_a_brought_feature_s_map_is_read_and_other_values_are_read_anew(weights):
    folder = Path("made/features")
    write_brought(folder)
    name = "imagenet@of=a"
    first = features(folder, name).read(name, list("pqrs"))
    assert first.shape == (4, 8192, 1) and len(np.unique(first[:, 0])) == 4
    (folder / "a.h5").unlink()
    values = np.random.default_rng(1).normal(size=(4, 30, 40))
    external.write_feature(folder, "a", values, list("pqrs"))
    second = features(folder, name).read(name, list("pqrs"))
    assert not np.array_equal(first, second)


@cases("name", "reason")
def test_a_map_that_cannot_be_had_is_refused(weights, name, reason):
    folder = Path("made/features")
    write_brought(folder)
    external.write_feature(folder, "vector", np.ones((4, 7)), list("pqrs"))
    with refused(reason):
        features(folder, name)


@pytest.mark.parametrize("of", ["mfcc", "gfcc", "lfcc"])
def test_a_cepstrum_is_shown_as_the_envelope_on_the_rows_of_its_filters(of):
    rows = np.arange(128)[:, None]
    cosines = np.cos(np.pi * (rows + 0.5) / 128 * [[0, 2, 5]])
    envelope = cosines @ [[-30.0], [12.0], [4.0]]  # dB, smooth
    stored = scipy.fft.dct(envelope, axis=0, norm="ortho")[:40]
    shown = maps.standardised(stored, FEATURES[of].units)
    np.testing.assert_allclose(shown, maps.standardised(envelope, "dB"), atol=1e-5)


def test_equal_frames_at_the_end_are_left_out(weights):
    values = np.random.default_rng(0).normal(size=(20, 80)).astype(np.float16)
    padded = np.concatenate([values, np.full((20, 30), -7, np.float16)], axis=1)
    np.testing.assert_array_equal(
        maps.embed(padded, "dB", 0.0), maps.embed(values, "dB", 0.0)
    )
    louder = maps.embed(values + 1, "dB", 0.0)
    assert not np.array_equal(louder, maps.embed(values, "dB", 0.0))


# ---- texture statistics


def vector(y, of="mel"):
    feature = feature_of(f"texture@of={of}")
    values = feature.compute(Clip(y.astype(np.float32), RATE))
    assert values.shape == feature.shape(RATE, len(y))
    return values[:, 0]


def clicks(rate, seconds=2):
    """So many clicks a second in faint noise."""
    y = np.random.default_rng(0).normal(0, 1e-3, RATE * seconds)
    y[:: RATE // rate] += 1
    return y


@pytest.mark.parametrize("of", ["mel", "mfcc", "chroma"])
def test_a_clip_of_any_length_has_as_many_finite_numbers_of_texture(of):
    for seconds in (0.3, 2):
        values = vector(clicks(4, seconds=1)[: int(RATE * seconds)], of)
        assert len(values) == 1300 and np.isfinite(values).all() and values.std() > 0


def test_the_order_of_events_counts_less_than_their_rate():
    y = clicks(4)
    own, shifted, faster = vector(y), vector(np.roll(y, 1000)), vector(clicks(16))
    assert np.linalg.norm(own - shifted) < np.linalg.norm(own - faster) / 3
