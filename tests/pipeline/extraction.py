"""Runs of `features` over a small dataset, and what they leave, for tests."""

import numpy as np

from features_cache import Cache
from pipeline import extract
from pipeline.options import FeaturesCommand
from pipeline.request import request
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
    """How many maps a run computes, by feature."""
    asked = request(options(sounds, **given), given.get("part"))
    outcome = extract.extract(asked, options(sounds, **given))
    assert not outcome.failures
    return dict(
        zip((spec.stored for spec in asked.specs), np.broadcast_to(outcome.computed, len(asked.specs)))
    )


def cache(sounds):
    return Cache(sounds.folder.parent / "data" / "sounds" / "features")


def stored(sounds, feature):
    """{clip id: bytes} of what a cache gives."""
    opened = cache(sounds)
    ids = opened.clips["clip_id"].tolist()
    return {clip: values.tobytes() for clip, values in zip(ids, opened.read(feature, ids), strict=True)}


def anew(sounds, feature, **given):
    """{clip id: bytes} of a cache made from the dataset as it is now."""
    data = sounds.folder.parent / "anew"
    extract.extract(request(options(sounds, data=data, **given)), options(sounds, data=data, **given))
    made = Cache(data / "sounds" / "features")
    ids = made.clips["clip_id"].tolist()
    return {clip: values.tobytes() for clip, values in zip(ids, made.read(feature, ids), strict=True)}
