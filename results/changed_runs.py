"""Runs that would be trained on other clips or feature values today. No torch."""

from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.features_cache import Cache
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import RunFolder, find
from featurestack.results.training_data import (
    clips_digest,
    readable_again,
    training_clips,
    values_digest,
)


def is_changed(config: RunConfig, cache: Cache) -> bool:
    """Whether the run would be trained on other clips or values today; False if the
    cache lacks one of its features.
    """
    stored = [channel.stored for channel in config.channels]
    if not {*stored} <= {*cache.features}:
        return False
    channels = [channel.channel for channel in config.channels]
    table = training_clips(cache, channels, config.options.copies)
    values = {name: values_digest(cache, name, table) for name in stored}
    if config.clips != clips_digest(table) or config.cache != values:
        return True
    return bool(readable_again(config, cache))


def changed_runs(runs: Path, dataset: str, cache: Cache) -> list[RunFolder]:
    """The dataset's runs that would be trained on something else today, sorted; damaged
    runs are left out.
    """
    changed = []
    for run in find(runs, dataset):
        try:
            config = run.config
        except (RequestError, OSError):
            continue  # commands that read runs name the damage
        if isinstance(config, RunConfig) and is_changed(config, cache):
            changed.append(run)
    return changed
