"""FRAME=: frames of a stated duration for all features at once."""

import numpy as np
import pytest

from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import Channel, parse_channel
from featurestack.pipeline import extract
from featurestack.pipeline.extraction_request import with_frame
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import FeaturesCommand
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.pipeline.datasets.folders import write
from tests.refusal import refused


def test_every_feature_of_frames_exists_with_frames_of_a_duration():
    for name in FEATURES.complete():
        channel = with_frame(Channel(name), 46)
        assert ("@frame=46" in str(channel)) == (name != "waveform")
        assert all(resolve_feature(channel, 48_000).shape(48_000, 2 * 48_000))


@pytest.mark.parametrize(
    ("of", "name"),
    [
        ("cqt", "imagenet@frame=46,of=cqt"),
        ("waveform", "imagenet@of=waveform"),
        ("brought", "imagenet@of=brought"),
    ],
)
def test_a_feature_of_another_s_map_is_framed_like_the_other(of, name):
    assert str(with_frame(Channel("imagenet", (("of", of),)), 46)) == name


def test_a_duration_is_samples_of_the_rate_and_the_name_of_every_rate():
    shorter, longer = (
        resolve_feature(parse_channel("mel@frame=64.0"), rate) for rate in (8000, 16000)
    )
    assert shorter.stored == longer.stored == "mel@frame=64"
    stated = parse_channel("mel@hop_length=256,n_fft=1024")
    assert longer.recorded == resolve_feature(stated).recorded
    assert shorter.recorded["hop_length"] == 128
    for wrong, reason in [
        ("mel@frame=64,n_fft=512", "frame= decides n_fft"),
        ("mel@frame=0", "expected a number from 1 to 1000"),
        ("waveform@frame=64", "unknown parameter 'frame'"),
    ]:
        with refused(reason):
            resolve_feature(parse_channel(wrong), 16000)


def sounds(folder):
    """Two clips of each of two classes, at 16 kHz."""
    for name in ("dog/1", "dog/2", "cat/1", "cat/2"):
        write(folder / f"{name}.wav", 0.5, 16_000)
    return str(folder)


def test_all_features_get_such_frames_and_a_plain_name_finds_them(tmp_path, capsys):
    given = {"dataset": sounds(tmp_path / "sounds"), "data": tmp_path / "data"}
    options = FeaturesCommand(features="mel rms", jobs=1, frame=46, **given)
    assert extract.extract_features(options) == 0
    assert "FRAME=" not in capsys.readouterr().out
    cache = Cache(tmp_path / "data" / "sounds" / "features")
    assert cache.features == ["mel@frame=46", "rms@frame=46"]
    assert cache["mel"].stored == cache.features[0]
    assert cache["mel@frame=46,n_mels=128"].parameters["n_fft"] == 768
    assert np.isclose(np.diff(cache["mel"].frame_axis)[0], 0.012)
    plan = make_plan(RunOptions(features="mel", model="linear", **given))
    told = f"mel: {cache.features[0]}, the only one in the cache"
    assert told in plan.told and plan.training.features == cache.features[0]


def test_of_two_variants_with_other_frames_a_plain_name_means_neither(tmp_path):
    given = {"dataset": sounds(tmp_path / "sounds"), "data": tmp_path / "data"}
    names = "mel@n_fft=512 mel@n_fft=1024"
    assert (
        extract.extract_features(FeaturesCommand(features=names, jobs=1, **given)) == 0
    )
    assert "mel" not in Cache(tmp_path / "data" / "sounds" / "features")
