"""`imagenet@of=NAME`: ResNet-18's first stages on another feature's map, made like any
other feature.
"""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from featurestack.commandline.errors import RequestError
from featurestack.features_cache import Cache
from featurestack.features_cache.names import parse_channel
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.features.registry import resolve_feature
from featurestack.pipeline.options import FeaturesCommand
from featurestack.rooms.embeddings import imagenet, networks
from featurestack.train import published_weights
from featurestack.train.audio_model import AudioModel
from featurestack.train.bundle import bundle_of_run
from tests.refusal import refused
from tests.train.little import build
from tests.train.sounds import train_run, write_dataset

RATE = 16_000


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """A file with the first stages alone, random numbers."""
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
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def weights(here, stages, tmp_path):
    (tmp_path / "models").mkdir()
    return shutil.copy(stages, tmp_path / "models")


def variant(name):
    return resolve_feature(parse_channel(name))


def clip(seconds=1.0, own=None):
    y = np.random.default_rng(1).normal(0, 0.1, round(RATE * seconds))
    if own is not None:
        y[round(RATE * own) :] = 0
    return Clip(y.astype(np.float32), RATE)


@pytest.mark.parametrize("of", ["mel", "mfcc", "chroma", "centroid"])
def test_a_clip_becomes_one_finite_vector_that_is_the_same_each_time(weights, of):
    feature = variant(f"imagenet@of={of}")
    values = feature.compute(clip())
    assert values.shape == feature.shape(RATE, RATE) == (8192, 1)
    assert np.isfinite(values).all()
    assert values.std() > 0
    assert np.array_equal(values, feature.compute(clip()))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("imagenet@of=modulation", "not frames in time"),
        ("imagenet@of=imagenet", "frames in time"),
        ("imagenet", "as imagenet@of=mel"),
        ("imagenet@of=mell", "did you mean 'mel'"),
    ],
)
def test_what_has_no_frames_is_refused(weights, name, reason):
    with refused(reason):
        variant(name).shape(RATE, RATE)


def test_without_weights_a_line_says_what_to_type(here):
    with pytest.raises(RequestError, match=r"47 MB: .*network.* resnet18 fetches them"):
        _ = variant("imagenet@of=mel").recorded
    fitting, remark = networks.choose_networks(RATE)
    assert "imagenet@of=mel" not in fitting
    assert "imagenet@of=mel could be had (47 MB)" in remark


def test_the_fingerprint_covers_weights_and_the_source_s_parameters(weights, stages):
    plain = variant("imagenet@of=mel").recorded
    assert variant("imagenet@of=mfcc").recorded != plain
    shorter = variant("imagenet@of=mel,n_fft=1024").recorded
    assert shorter["source"] != plain["source"]
    state = torch.load(stages, weights_only=True)
    state["bn1.bias"] += 1
    torch.save(state, weights)
    assert variant("imagenet@of=mel").recorded["file"] != plain["file"]


def test_other_weights_are_refused(weights):
    torch.save({"fc.weight": torch.zeros(2, 2)}, weights)
    with refused("lacks conv1.weight"):
        imagenet.open_stages()


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
    model = AudioModel(bundle_of_run(run, "last"))
    stored = Cache(file.parent).read(name, ["tone-1-0"])[0]
    y, _ = soundfile.read(tmp_path / "sounds" / "tone-1-0.wav", dtype="float32")
    np.testing.assert_array_equal(model.features(y)[0], stored)


@pytest.mark.parametrize("content", [b"the file", b"another"])
def test_the_published_file_is_known_by_its_hash(here, monkeypatch, content):
    digest = hashlib.sha256(b"the file").hexdigest()[:8]
    url = f"https://example.org/resnet18-{digest}.pth"
    monkeypatch.setitem(published_weights.PUBLISHED, "resnet18", url)
    Path("given").write_bytes(content)
    if content == b"another":
        with refused("is not used: its SHA-256"):
            networks.fetch_network("resnet18", file=Path("given"))
        return
    path = networks.fetch_network("resnet18", file=Path("given"))
    assert path == published_weights.local_weights("resnet18")
