"""A fold's batches: statistics by known answers; equal batches from memory and from the
cache.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import parse_set
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import FeaturesCommand
from featurestack.train import fold_data
from featurestack.train.augment import AUGMENTS, Batch
from featurestack.train.fold_data import (
    FLOOR,
    describe_channels,
    load_fold,
    measure_clips,
    statistics_of,
)
from featurestack.train.network_input import KINDS, InputSpec, describe_channel
from featurestack.train.plan import make_plan
from tests.train.small_cache import FRAMES, change
from tests.train.sounds import RATE, sound

EVERY = np.arange(48)


@pytest.fixture(scope="module")
def cache(cache_folder):
    return Cache(cache_folder)


def planned(
    cache, features="mel+chroma", grid=(10, 30), drop_padding=False, kind="image"
):
    """The part of a plan that reading needs."""
    channels = [describe_channel(cache, channel) for channel in parse_set(features)]
    spec = InputSpec(KINDS[kind], tuple(channels), grid, drop_padding)
    return SimpleNamespace(cache=cache, table=cache.clips, input=spec)


@pytest.mark.parametrize(("norm", "axes"), [("feature", (0, 1, 2)), ("row", (0, 2))])
def test_statistics_are_those_of_the_named_clips_alone(cache, norm, axes):
    some = np.arange(3, 20)
    moments, _ = measure_clips(planned(cache))
    values = torch.from_numpy(cache.read("mel", some).astype(np.float32))
    standard = statistics_of(moments, some, norm)[0].apply(values).numpy()
    np.testing.assert_allclose(standard.mean(axis=axes), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=axes), 1, atol=1e-3)
    assert torch.equal(statistics_of(moments, some, "none")[0].apply(values), values)


def of_one_clip(norm, mean, square):
    """Statistics of one clip whose rows have these means and mean squares."""
    moments = np.stack([mean, square])[None]
    return statistics_of([moments], np.array([0]), norm)[0]


@pytest.mark.parametrize("norm", ["row", "feature"])
def test_what_is_constant_becomes_zero_and_does_not_explode(norm):
    found = of_one_clip(norm, np.array([3.0]), np.array([9.0]))
    assert not found.apply(torch.full((2, 1, 4), 3.0)).any()
    mean = np.array([5.0, 0.0])
    square = np.array([25.0 + 1e-12, 16.0])  # the first row is constant
    whole = np.sqrt(square.mean() - mean.mean() ** 2)
    assert of_one_clip("row", mean, square).scale[0] == pytest.approx(FLOOR * whole)


HALVES = np.where(EVERY % 2, 1.0, 0.5)  # every other clip fills half of the duration


def test_without_padding_statistics_count_no_value_of_it_and_other_clips_stay(
    cache_folder,
):
    cache = Cache(cache_folder)
    cache.filled = HALVES
    (kept, *_), _ = measure_clips(planned(cache, drop_padding=False))
    (dropped, *_), _ = measure_clips(planned(cache, drop_padding=True))
    assert np.array_equal(dropped[1::2], kept[1::2])
    own = cache.read("mel", EVERY)[::2, :, : FRAMES // 2].astype(np.float64)
    np.testing.assert_allclose(dropped[::2, 0], own.mean(axis=2), rtol=1e-5)


def test_memory_gives_the_same_bits(options, monkeypatch):
    plan = make_plan(change(options, features="mel+chroma", val="group"))
    split = plan.split(1)
    moments, _ = measure_clips(plan)
    data = load_fold(plan, 1, split, moments, "cpu")
    wanted = [data.train[::-1], data.test, data.test[1:2], data.val]
    stream = list(dataclasses.replace(data, values=None).inputs(wanted))
    assert torch.equal(stream[1][1:2], stream[2]) and stream[0].dtype == torch.float32
    monkeypatch.setattr(Cache, "read", None)  # nothing more is read
    assert all(map(torch.equal, data.inputs(wanted), stream))


def test_numbers_of_an_exact_model_are_kept_only_if_they_are_few(options, monkeypatch):
    plan = make_plan(change(options, features="mel+chroma", model="ridge"))
    moments, _ = measure_clips(plan)
    kept = load_fold(plan, 1, plan.split(1), moments, "cpu")
    monkeypatch.setattr(fold_data, "KEPT_FOR_EXACT", 1)
    read = load_fold(plan, 1, plan.split(1), moments, "cpu")
    assert kept.values is not None and read.values is None
    wanted = [kept.train, kept.test]
    assert all(map(torch.equal, read.inputs(wanted), kept.inputs(wanted)))


def test_rows_are_told_to_the_augmentations(cache):
    plan = planned(cache, "mel+chroma+blank+mel:3-3")
    moments, _ = measure_clips(plan)
    statistics = statistics_of(moments, np.arange(4), "row")
    described = describe_channels(plan, statistics)
    assert described.axes == ("frequency", "cyclic", "none", "none")
    assert described.timed == plan.input.timed


SOFTER = -6.0  # dB


@pytest.fixture(scope="module")
def loud_and_soft(tmp_path_factory):
    """A cache of every feature: two sounds, then the same sounds 6 dB softer."""
    folder = tmp_path_factory.mktemp("softer")
    for label, factor in (("loud", 1.0), ("soft", 10 ** (SOFTER / 20))):
        place = folder / "sounds" / label
        place.mkdir(parents=True)
        for take in range(2):
            y = factor * (sound("tone", take) + sound("hiss", take))
            soundfile.write(place / f"{take}.wav", y, RATE, subtype="FLOAT")
    given = {"dataset": str(folder / "sounds"), "data": folder, "features": "all"}
    assert extract(FeaturesCommand(**given, jobs=1, dtype="float32")) == 0
    return Cache(folder / "sounds" / "features")


LOUDNESS = [
    *((name, "row") for name in (*FEATURES.complete(), "mfcc:0-12", "mfcc:1-19")),
    *(("mel", norm) for norm in ("none", "feature")),
]


@pytest.mark.parametrize(("name", "norm"), LOUDNESS)
def test_gain_does_to_each_feature_what_a_softer_waveform_does(
    loud_and_soft, name, norm, monkeypatch
):
    loud = np.arange(2)
    moments, _ = measure_clips(planned(loud_and_soft, name))
    statistics = statistics_of(moments, loud, norm)
    grid = (64, 54) if name != "waveform" else (1, loud_and_soft.settings["samples"])
    spec = planned(loud_and_soft, name, grid).input
    before, wanted = (
        spec.prepare([loud_and_soft.read(name, ids)], statistics, np.ones(2))
        for ids in (loud, loud + 2)
    )
    monkeypatch.setattr(
        Batch, "uniform", lambda batch, low, high: torch.full((2,), high)
    )
    described = describe_channels(planned(loud_and_soft, name, grid), statistics)
    batch = Batch(before.double(), torch.eye(2), described, torch.Generator())
    after = AUGMENTS["gain"].transform(batch, SOFTER / 20).x
    # its gain control leaves a little of the loudness
    allowed = 0.02 if name == "pcen" else 0.005
    assert (after - wanted).abs().mean() < allowed * before.double().std()
