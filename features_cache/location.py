"""From `DATASET` to its name and its cache folder, and back: the one rule that every stage uses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from commandline import DataOptions, RequestError, make_command, nearest

INDEX = "index.h5"
EXTERNAL = "brought"  # recorded as the source of a cache that was made without audio
NAMED = ("esc50", "esc10", "synth")


def is_cache(folder: Path) -> bool:
    """Whether a folder is itself a feature cache."""
    return (folder / INDEX).is_file()


def dataset_name(dataset: str, name: str | None = None) -> str:
    """`name`, else the dataset's own, else the stem of the folder or file that it is given by.

    A cache folder that is called `features` has the name of the folder around it.
    """
    if name:
        if Path(name).name != name or name.startswith("."):
            raise RequestError(f"NAME={name!r} becomes a folder's name: expected a word without slashes")
        return name
    if dataset in NAMED:
        return dataset
    path = Path.cwd() / dataset
    if path.name in ("", ".."):
        path = path.resolve()  # a link is called by its own name, `.` and `..` by what they stand for
    if path.is_dir():
        return path.parent.name if is_cache(path) and path.name == "features" else path.name
    return path.stem


def refuse_unknown(dataset: str, data: Path, name: str | None = None) -> None:
    """RequestError, with the nearest, for a dataset that is neither a named one, a path nor cached."""
    cached = {path.parent.parent.name for path in Path(data).glob(f"*/features/{INDEX}")}
    if dataset not in NAMED and dataset_name(dataset, name) not in cached and not Path(dataset).exists():
        raise RequestError(nearest("dataset", dataset, {*NAMED, *cached}))


def cache_folder(dataset: str, data: Path, name: str | None = None) -> Path:
    """Where the dataset's features lie: the dataset itself where it is a cache, else data/<name>/features."""
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return Path(data) / dataset_name(dataset, name) / "features"


def remedy(folder: Path, settings: Mapping[str, Any], features: str) -> str:
    """What to type for features that the cache of this folder and these settings lacks."""
    source, name, data = settings["source"], settings["dataset"], folder.parent.parent
    if source == EXTERNAL:
        return "it has no audio; features_cache.external.write_feature adds a feature"
    given = [f"DATASET={source}", f"FEATURES={features}"]
    given += [f"NAME={name}"] if dataset_name(source) != name else []
    given += [f"DATA={data}"] if data != DataOptions.data else []
    return f"run {make_command('features', *given)}"
