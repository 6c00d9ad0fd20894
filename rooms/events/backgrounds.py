"""Unannotated recordings of another place, which BACKGROUND_AUDIO= names. No torch."""

from collections.abc import Sequence

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import DatasetOptions
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache, dataset_name
from featurestack.features_cache.cache import cache_of
from featurestack.results.config import StoredChannel

POWERS = ("mel", "gammatone")  # features in decibels of power, which add up as power


def background_cache(
    folder: str, cache: Cache, channels: Sequence[StoredChannel]
) -> Cache:
    """The cache of unannotated recordings, of the same rate and features."""
    wrong = [own.name for own in channels if own.channel.name not in POWERS]
    if wrong:
        raise RequestError(
            f"BACKGROUND_AUDIO: {', '.join(wrong)} cannot be mixed in the cache;"
            f" {' and '.join(POWERS)} can, which are decibels of power"
        )
    name = dataset_name(folder)
    table = cache.data / name / f"{name}.csv"
    stored = " ".join(dict.fromkeys(own.stored for own in channels))
    rate = cache.sample_rate
    places = [f"DATA={cache.data}"]
    cut = make_command("events", f"AUDIO={folder}", *places)
    given = [f"DATASET={table}", f"FEATURES={stored}", f"SAMPLE_RATE={rate}"]
    remedy = f"{cut}, then {make_command('features', *given, *places)}"
    try:
        other = cache_of(DatasetOptions(dataset=name, data=cache.data))
        for own in channels:
            feature = other[own.stored]
            if feature.parameters != cache[own.stored].parameters:
                raise RequestError(f"{own.stored} has other parameters there")
    except RequestError as reason:
        raise RequestError(f"BACKGROUND_AUDIO={folder}: {reason}: {remedy}") from None
    if other.source == cache.source:
        raise RequestError(
            f"BACKGROUND_AUDIO={folder} is the dataset itself: its tested events would"
            " be trained on; give recordings of another place"
        )
    if other.sample_rate != rate:
        raise RequestError(
            f"BACKGROUND_AUDIO={folder} was computed at {other.sample_rate} Hz, the"
            f" dataset at {rate} Hz: {remedy}"
        )
    return other
