"""FRAME=: frames of a stated duration for all features at once."""

import numpy as np
import pytest

from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import Channel
from featurestack.pipeline import extract
from featurestack.pipeline.extraction_request import with_frames
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import FeaturesCommand
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.pipeline.datasets.folders import write


def test_every_feature_exists_with_frames_of_a_duration():
    for name in FEATURES.complete():
        chosen = resolve_feature(with_frames(Channel(name), 46, 48_000))
        assert all(chosen.shape(48_000, 2 * 48_000))


@pytest.mark.parametrize(("of", "given"), [("mel", ["n_fft"]), ("cqt", [])])
def test_a_feature_of_another_s_map_gets_the_parameters_that_the_other_has(of, given):
    channel = with_frames(Channel("imagenet", (("of", of),)), 46, 16_000)
    assert [name for name, _ in channel.parameters] == ["hop_length", *given, "of"]


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
    assert cache.features == [
        "mel@hop_length=192,n_fft=768",
        "rms@frame_length=768,hop_length=192",
    ]
    assert cache["mel"].stored == cache.features[0]
    assert np.isclose(np.diff(cache["mel"].frame_axis)[0], 0.012)
    plan = make_plan(RunOptions(features="mel", model="linear", **given))
    told = f"mel: {cache.features[0]}, the only one in the cache"
    assert told in plan.changed and plan.training.features == cache.features[0]


def test_of_two_variants_with_other_frames_a_plain_name_means_neither(tmp_path):
    given = {"dataset": sounds(tmp_path / "sounds"), "data": tmp_path / "data"}
    names = "mel@n_fft=512 mel@n_fft=1024"
    assert (
        extract.extract_features(FeaturesCommand(features=names, jobs=1, **given)) == 0
    )
    assert "mel" not in Cache(tmp_path / "data" / "sounds" / "features")
