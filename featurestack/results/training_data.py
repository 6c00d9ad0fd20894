"""The data that a run is trained on, and whether they changed since. No torch."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_file import fingerprints
from featurestack.features_cache.names import Channel
from featurestack.features_cache.table import CLIP_COLUMNS
from featurestack.results.config import RunConfig, digest
from featurestack.results.folders import find
from featurestack.results.run_folder import RunFolder
from featurestack.scores.tasks import task_of


def training_clips(cache: Cache, channels: Sequence[Channel]) -> pd.DataFrame:
    """The clips done in every channel."""
    return cache.clips[cache.readable(channels)]


def clips_of_run(config: RunConfig, cache: Cache) -> pd.DataFrame:
    """The clips on which a run would be trained today."""
    channels = [channel.channel for channel in config.channels]
    return training_clips(cache, channels)


def clips_digest(table: pd.DataFrame) -> str:
    """Digest of what the table says of the clips; their paths do not count."""
    return digest(table[[*CLIP_COLUMNS]].drop(columns="path").values.tolist())


def values_digest(cache: Cache, stored: str, table: pd.DataFrame) -> str:
    """Digest of a feature's fingerprints of these clips."""
    clip_keys = cache.keys[table.index]
    of_clips = fingerprints(clip_keys, cache[stored].key)
    return digest(of_clips.tolist())


def readable_again(config: RunConfig, cache: Cache) -> list[str]:
    """The clips that a run left out and that can be read now."""
    channels = [channel.channel for channel in config.channels]
    readable = []
    for clip in config.left_out:
        with suppress(RequestError):
            cache.batch(channels, [clip])
            readable.append(clip)
    return readable


def values_changed(config: RunConfig, cache: Cache, tested: Collection[str]) -> bool:
    """Whether the feature values of the clips that a run has `tested` have changed;
    clips that were added later do not count. False if the cache lacks a feature, or if
    its file is damaged.
    """
    if not config.cache or not {*config.cache} <= {*cache.features}:
        return False
    try:
        table = clips_of_run(config, cache)
    except RequestError:
        return False
    both = table, table[table["clip_id"].isin(tested)]
    return all(values_differ(config, cache, clips) for clips in both)


def values_differ(config: RunConfig, cache: Cache, table: pd.DataFrame) -> bool:
    """Whether the feature values of these clips are not those of a run."""
    values = {name: values_digest(cache, name, table) for name in config.cache}
    return values != config.cache


def is_changed(config: RunConfig, cache: Cache) -> bool:
    """Whether the run would be trained on other clips or values today."""
    if not {*config.cache} <= {*cache.features}:
        return False
    table = clips_of_run(config, cache)
    return (
        config.clips != clips_digest(table)
        or values_differ(config, cache, table)
        or bool(readable_again(config, cache))
        or bool(changed_targets(config, cache))
    )


def changed_targets(config: RunConfig, cache: Cache) -> list[str]:
    """The changes of data beside the clips' table, such as events."""
    stages = task_of(config.task).stages
    try:
        today = stages.targets(cache, config.options, config.channels)
    except RequestError:  # they can be read no more
        today = {}
    return [name for name, known in config.targets.items() if today.get(name) != known]


def changed_runs(runs: Path, dataset: str, cache: Cache) -> list[RunFolder]:
    """The readable runs that would be trained on something else today."""
    changed = []
    for run in find(runs, dataset):
        try:
            config = run.config
        except (RequestError, OSError):
            continue  # commands that read runs name the damage
        if config.training and is_changed(config, cache):
            changed.append(run)
    return changed
