"""Runs of `features` over a small dataset, and their caches, for tests."""

from featurestack.features_cache.cache import Cache
from featurestack.pipeline.extract import extract
from featurestack.pipeline.extraction_plan import plan_extraction
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.noise_dataset import SAMPLE_RATE


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


def extracted(sounds, **given):
    """The result of a run without failures."""
    chosen = options(sounds, **given)
    result = extract(plan_extraction(chosen), chosen)
    assert not result.failures
    return result


def run(sounds, **given):
    """The number of maps that a run computes, by feature."""
    computed = extracted(sounds, **given).computed
    return {name: computed[name] for name in options(sounds, **given).features.split()}


def cache(sounds):
    return Cache(sounds.folder.parent / "data" / "sounds" / "features")


def stored(sounds, feature):
    return contents(cache(sounds), feature)


def contents(cache, feature):
    """{clip id: bytes} of a feature in a cache."""
    ids = cache.clips["clip_id"].tolist()
    read = zip(ids, cache.read(feature, ids))
    return {clip: values.tobytes() for clip, values in read}


def done(folder, features):
    """The number of maps that count as done; 0 without a cache."""
    if not (folder / "index.h5").exists():
        return 0
    opened = Cache(folder)
    return sum(int(opened.readable([feature]).sum()) for feature in features)


def anew(sounds, feature, **given):
    """{clip id: bytes} of a feature in a new cache of the dataset."""
    data = sounds.folder.parent / "anew"
    extracted(sounds, data=data, **given)
    return contents(Cache(data / "sounds" / "features"), feature)
