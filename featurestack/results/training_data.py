"""The data that a run belongs to: the clips' table, the values that it read, and what
else its task trains on. No torch.

A run is of today's data if it would be trained on the same data now. Others stay as
they are, and nothing but `remove` touches them; `train` makes a run beside them.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import fingerprints
from featurestack.features_cache.names import (
    Channel,
    cache_folder,
    is_cache,
    parse_channel,
)
from featurestack.features_cache.table import CLIP_COLUMNS
from featurestack.results.config import RunConfig, digest
from featurestack.results.run_folder import RunFolder
from featurestack.scores.tasks import task_of


def training_clips(cache: Cache, channels: Sequence[Channel]) -> pd.DataFrame:
    """The clips done in every channel."""
    return cache.clips[cache.readable(channels)]


def clips_of_run(config: RunConfig, cache: Cache) -> pd.DataFrame:
    """The clips on which a run would be trained today."""
    return training_clips(cache, [*map(parse_channel, config.cache)])


def clips_digest(table: pd.DataFrame) -> str:
    """Digest of what the table says of the clips; their paths do not count."""
    return digest(table[[*CLIP_COLUMNS]].drop(columns="path").values.tolist())


def values_digest(cache: Cache, stored: str, table: pd.DataFrame) -> str:
    """Digest of a feature's fingerprints of these clips."""
    clip_keys = cache.keys[table.index]
    of_clips = fingerprints(clip_keys, cache[stored].key)
    return digest(of_clips.tolist())


def readable_again(config: RunConfig, cache: Cache) -> bool:
    """Whether a clip that a run left out can be read now."""
    channels = [channel.channel for channel in config.channels]
    for clip in config.left_out:
        with suppress(RequestError):
            cache.batch(channels, [clip])
            return True
    return False


def data_of(config: RunConfig, cache: Cache) -> dict[str, object]:
    """The digests of the data on which a run would be trained today."""
    table = clips_of_run(config, cache)
    values = {name: values_digest(cache, name, table) for name in config.cache}
    targets: Mapping[str, str] = {}
    if config.training:
        stages = task_of(config.task).stages
        try:
            targets = stages.targets(cache, config.training, config.channels)
        except RequestError:  # they can be read no more
            targets = dict.fromkeys(config.targets, "")
    return {"cache": values, "clips": clips_digest(table), **targets}


def is_of_today(config: RunConfig, cache: Cache) -> bool:
    """Whether a run belongs to the data of today. So does a run whose features the
    cache lacks, or that was made elsewhere: nothing tells.
    """
    if not config.cache or not {*config.cache} <= {*cache.features}:
        return True
    try:
        now = data_of(config, cache)
    except RequestError:  # a feature's file is damaged
        return True
    return now == config.data and not readable_again(config, cache)


def of_today(runs: Iterable[RunFolder], cache: Cache) -> list[RunFolder]:
    """The runs of today's data, and those that cannot be read: whoever reads them names
    the damage.
    """
    kept = []
    for run in runs:
        try:
            kept += [run] * is_of_today(run.config, cache)
        except (RequestError, OSError):
            kept.append(run)
    return kept


def of_other_data(runs: Sequence[RunFolder], data: Path | str) -> list[RunFolder]:
    """The runs of other data than those in the caches below `data` today."""
    other = []
    for dataset in dict.fromkeys(run.path.parent.name for run in runs):
        own = [run for run in runs if run.path.parent.name == dataset]
        folder = cache_folder(dataset, Path(data))
        with suppress(RequestError):  # a damaged cache tells nothing
            if is_cache(folder):
                current = of_today(own, Cache(folder))
                other += [run for run in own if run not in current]
    return other
