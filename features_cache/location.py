"""The cache folder of a `DATASET`: one rule for every stage."""

from pathlib import Path

from featurestack.commandline.errors import RequestError, closest, nearest

INDEX = "index.h5"
EXTERNAL = "brought"  # the recorded source of a cache without audio
DATASET_TABLES = (".csv", ".tsv", ".txt")
PATH_CUTOFF = 0.7  # least similarity, 0 to 1, of a folder or table that is proposed
SYNTHETIC = ("synth", "synth_mix")  # made by this project
NAMED = ("esc50", "esc10", *SYNTHETIC)


def is_cache(folder: Path) -> bool:
    """Whether a folder is itself a feature cache."""
    return (folder / INDEX).is_file()


def dataset_name(dataset: str, name: str = "") -> str:
    """`name` if it is given, else a NAMED dataset's name, else the folder's name or the
    file's stem.

    A cache folder called `features` has the name of its parent folder. RequestError for
    a slash in `name`, or a dot at its start.
    """
    if name:
        if Path(name).name != name or name.startswith("."):
            raise RequestError(
                f"NAME={name!r} becomes a folder's name: expected a word without"
                " slashes or a leading dot"
            )
        return name
    if dataset in (*NAMED, ""):  # '' means all datasets
        return dataset
    path = Path.cwd() / dataset
    if path.name in ("", ".."):
        path = path.resolve()  # a link keeps its own name, `.` and `..` are resolved
    if path.is_dir():
        return (
            path.parent.name
            if is_cache(path) and path.name == "features"
            else path.name
        )
    return path.stem


def cache_folder(dataset: str, data: Path, name: str = "") -> Path:
    """The folder of the features: the dataset itself if it is a cache, else
    data/<name>/features.
    """
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return data / dataset_name(dataset, name) / "features"


def unknown_dataset(dataset: str, data: Path) -> str:
    """The message for a dataset that is not there: the nearest name, all names, and a
    similar path.

    If a cache has this name, the message says that its audio is needed.
    """
    cached = {path.parent.parent.name for path in data.glob(f"*/features/{INDEX}")}
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
