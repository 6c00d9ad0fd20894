"""Runs of `features` over a small dataset, and their caches, for tests."""

from features_cache import Cache
from pipeline.extract import extract, request
from pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE


def options(sounds, **given):
    defaults = {
        "dataset": str(sounds.csv),
        "data": sounds.folder.parent / "data",
        "features": "rms zcr",
        "sample_rate": SAMPLE_RATE,
        "duration": 1.0,
        "jobs": 1,
    }
    return FeaturesCommand(**defaults | given)


def run(sounds, **given):
    """The number of maps that a run computes, by feature."""
    asked = request(options(sounds, **given))
    outcome = extract(asked, options(sounds, **given))
    assert not outcome.failures
    return {spec.stored: outcome.computed[spec.stored] for spec in asked.specs}


def cache(sounds):
    return Cache(sounds.folder.parent / "data" / "sounds" / "features")


def stored(sounds, feature):
    return contents(cache(sounds), feature)


def contents(cache, feature):
    """{clip id: bytes} of a feature in a cache."""
    ids = cache.clips["clip_id"].tolist()
    return {clip: values.tobytes() for clip, values in zip(ids, cache.read(feature, ids))}


def done(folder, features):
    """The number of maps that count as done; 0 without a cache."""
    if not (folder / "index.h5").exists():
        return 0
    opened = Cache(folder)
    return sum(int(opened.readable([feature]).sum()) for feature in features)


def anew(sounds, feature, **given):
    """{clip id: bytes} of a feature in a new cache of the dataset."""
    data = sounds.folder.parent / "anew"
    extract(request(options(sounds, data=data, **given)), options(sounds, data=data, **given))
    return contents(Cache(data / "sounds" / "features"), feature)
