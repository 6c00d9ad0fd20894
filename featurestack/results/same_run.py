"""Is a run of today's data? No torch.

A record has digests of the clips' table and of the feature values that the run was
trained on. A run of other data stays as it is, and nothing but `remove` touches it;
`train` makes a run next to it.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.json_content import digest
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import CLIP_COLUMNS
from featurestack.features_cache.datasets import is_cache
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.hdf5 import fingerprints
from featurestack.features_cache.index_file import has_failed
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import RunFolder, chosen_runs, of_identity


def data_digests(
    cache: Cache, stored: Iterable[str], table: pd.DataFrame
) -> dict[str, Any]:
    """Two keys of run.json: `clips`, the digest of the clips' rows in the table without
    paths and of their sounds, and `cache`, that of their fingerprints by feature.
    """
    keys = cache.keys[table.index]
    values = {name: fingerprints(keys, cache[name].key).tolist() for name in stored}
    rows = table[[*CLIP_COLUMNS]].drop(columns="path").values.tolist()
    return {
        "cache": {name: digest(numbers) for name, numbers in values.items()},
        "clips": digest([digest(rows), keys.tolist()]),
    }


def readable_again(config: RunConfig, cache: Cache) -> bool:
    """Whether a clip that a run left out can be read now."""
    for clip in config.left_out:
        with suppress(RequestError):
            for channel in config.channels:
                cache.read(channel.channel, [clip])
            return True
    return False


def is_of_today(config: RunConfig, cache: Cache) -> bool:
    """Whether a run would be trained on the same data today. If the cache lacks a
    feature of the run, only the clips are compared; a damaged file says nothing.
    """
    same = True
    if not {*config.cache} <= {*cache.features}:
        failed = has_failed(cache.folder, cache.clips, config.cache)
        clips = data_digests(cache, (), cache.clips[~failed])["clips"]
        same = clips == config.clips
    elif config.cache:
        with suppress(RequestError):
            readable = cache.readable([*map(parse_feature_name, config.cache)])
            digests = data_digests(cache, config.cache, cache.clips[readable])
            same = digests == {"cache": config.cache, "clips": config.clips}
    return same and not readable_again(config, cache)


def require_trained_on(run: RunFolder, cache: Cache) -> None:
    """RequestError if a run was trained on other data than a cache holds today."""
    if not is_of_today(run.trained_config, cache):
        raise RequestError(
            f"{cache.folder} holds other clips or values than {run.name} was trained"
            " on: give the cache that trained it as DATASET="
        )


def of_today(runs: Iterable[RunFolder], cache: Cache) -> list[RunFolder]:
    """The runs of today's data, and those that cannot be read."""
    return chosen_runs(runs, lambda config: is_of_today(config, cache))


def of_other_data(runs: Sequence[RunFolder], data: Path | str) -> list[RunFolder]:
    """The runs of other data than the caches of their datasets, below `data`, hold
    today. A run of another dataset is none of them.
    """
    other = []
    for dataset in dict.fromkeys(run.path.parent.name for run in runs):
        of_dataset = [run for run in runs if run.path.parent.name == dataset]
        folder = Path(data, dataset, "features")
        with suppress(RequestError):  # a damaged cache says nothing
            if is_cache(folder):
                cache = Cache(folder)
                of_these = of_identity(of_dataset, cache.identity)
                current = of_today(of_these, cache)
                other += [run for run in of_these if run not in current]
    return other
