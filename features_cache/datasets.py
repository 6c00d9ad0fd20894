"""Datasets by name and on disk: what DATASET names, the folder of its cache, and the
errors for one that is not there.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from featurestack.base import DATA, NAMED
from featurestack.base.errors import RequestError, closest, nearest
from featurestack.base.files import is_file, is_folder
from featurestack.base.shell import make_command, quoted
from featurestack.base.table_files import TEXT_TABLES
from featurestack.features_cache.feature_names import parse_set, refuse_unknown

PATH_CUTOFF = 0.7  # least similarity, 0 to 1, of a path that is proposed
INDEX = "index.h5"
EXTERNAL = "brought"  # the recorded source of a cache without audio
# datasets and files that a new dataset's table would be taken for
RESERVED = (*NAMED, "folds", "events", "features", "audio")


def is_cache(folder: Path) -> bool:
    return is_file(folder / INDEX)


def dataset_name(dataset: str, name: str = "") -> str:
    """`name` if given, else that of a NAMED dataset, a folder, a file or a cache."""
    if not name:
        if dataset in (*NAMED, ""):  # '' means all datasets
            return dataset
        path = Path.cwd() / dataset
        if path.name in ("", ".."):
            path = path.resolve()  # a link keeps its own name, unlike `.` and `..`
        is_table = path.suffix.lower() in TEXT_TABLES and is_file(path)
        name = path.stem if is_table else path.name
        if name == "features" and is_cache(path):
            name = path.parent.name
    if Path(name).name != name or name.startswith(".") or "\0" in name:
        raise RequestError(
            f"NAME={name!r} becomes a folder's name: expected a word without slashes or"
            " a leading dot"
        )
    return name


def new_name(name: str) -> str:
    """The name of a dataset that is written to a table of this name in DATA."""
    called = dataset_name(name, name)
    if called in RESERVED:
        raise RequestError(f"{name} has another meaning: give NAME=, as in my-{name}")
    return called


def another_name(name: str) -> str:
    """The word for a second cache of these sounds, next to the first."""
    return quoted(f"NAME={name}2")


def other_source(folder: Path, source: str, dataset: str, name: str) -> RequestError:
    """The error for a cache or folds.csv of this name for another place's sounds."""
    return RequestError(
        f"{folder} belongs to {source}, and {dataset} has other sounds: give this"
        f" dataset another name, {another_name(name)}"
    )


def cache_folder(dataset: str, data: Path, name: str = "") -> Path:
    """The folder of the features: data/<name>/features, or the dataset if it is one."""
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return data / dataset_name(dataset, name) / "features"


def extraction(dataset: str, data: Path, name: str, features: str) -> str:
    values = {
        "DATASET": dataset,
        "FEATURES": features,
        "NAME": name,
        "DATA": "" if data == DATA else data,
    }
    words = [f"{word}={value}" for word, value in values.items() if value]
    return make_command("features", *words)


def no_features(folder: Path, data: Path, command: str = "") -> RequestError:
    """The error for a folder without features, which this command computes, if any."""
    cached = ", ".join(quoted(f"DATASET={name}") for name in sorted(cached_in(data)))
    others = f"; there are features of {cached}" if cached else ""
    run = f": run {command}" if command else ""
    return RequestError(f"there are no features in {folder} yet{run}{others}")


def beside_hint(path: Path, endings: Collection[str] = ()) -> str:
    """`; did you mean …?` with what is called most like a missing path: a folder next
    to it, or a file there with one of these endings; '' if nothing is.
    """
    names = [
        entry.name
        for entry in path.parent.glob("[!.]*")
        if is_folder(entry) or entry.suffix.lower() in endings
    ]
    meant = closest(path.name, names, PATH_CUTOFF)
    return f"; did you mean {str(path.with_name(meant))!r}?" if meant else ""


def unknown_dataset(
    dataset: str, data: Path, others: Iterable[str] = ()
) -> RequestError:
    """The error for a dataset that is not there, with similar names and paths, and what
    DATASET= may be; `others` are names besides those with a cache.
    """
    with suppress(RequestError):
        refuse_unknown("+".join(map(str, parse_set("+".join(dataset.split())))))
        given = quoted(f"FEATURES={dataset}")
        return RequestError(f"{dataset!r} is a feature set: give it as {given}")
    message = nearest("dataset", dataset, {*NAMED, *cached_in(data), *others})
    hint = ""
    if "did you mean" not in message:
        hint = beside_hint(Path(dataset), TEXT_TABLES)
    return RequestError(
        f"{message}{hint} (DATASET= is a name, or the path of a folder of clips, a CSV"
        f" or a cache, relative to {Path.cwd()})"
    )


def cached_in(data: Path) -> set[str]:
    return {path.parent.name for path in data.glob("*/features") if is_cache(path)}
