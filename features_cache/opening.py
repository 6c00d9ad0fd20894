"""The cache of a DATASET, opened for reading."""

from pathlib import Path

from featurestack.commandline.errors import RequestError, closest, nearest
from featurestack.commandline.options import DataOptions
from featurestack.commandline.spelling import make_command
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.location import (
    DATASET_TABLES,
    NAMED,
    cache_folder,
    is_cache,
)

PATH_CUTOFF = 0.7  # least similarity, 0 to 1, of a folder or table that is proposed


def unknown_dataset(dataset: str, data: Path) -> str:
    """The message for a dataset that is not there: the nearest name, all names, and a
    similar path.

    If a cache has this name, the message says that its audio is needed.
    """
    cached = {path.parent.name for path in data.glob("*/features") if is_cache(path)}
    if dataset in cached:
        return (
            f"{dataset} is a cache in {data}, and its audio is needed: give DATASET= as"
            " when it was made"
        )
    path = Path(dataset)
    message = nearest("dataset", dataset, {*NAMED, *cached})
    beside = [
        entry
        for entry in path.parent.glob("[!.]*")
        if entry.is_dir() or entry.suffix in DATASET_TABLES
    ]
    meant = closest(path.name, (entry.name for entry in beside), PATH_CUTOFF)
    return f"{message}; there is {str(path.with_name(meant))!r}" if meant else message


def open_cache(dataset: str, data: Path, name: str = "") -> Cache:
    """The cache of a dataset in the folder `data`; RequestError names the nearest
    dataset, or the command that makes the cache.
    """
    folder = cache_folder(dataset, data, name)
    if not (is_cache(folder) or dataset in NAMED or Path(dataset).exists()):
        raise RequestError(unknown_dataset(dataset, data))
    given = [f"DATASET={dataset}"]
    given += [f"NAME={name}"] if name else []
    given += [f"DATA={data}"] if data != DataOptions().data else []
    return Cache(folder, make_command("features", *given), data)
