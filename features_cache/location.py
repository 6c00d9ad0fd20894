"""The cache folder of a `DATASET`: one rule for every stage.

Features of one's own can join a cache that others own. The folder with these features
has no index: its file JOINED holds the path of the other cache, whose clips are
matched by id. If both have a feature, the own file is read.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from featurestack.commandline.errors import RequestError

INDEX = "index.h5"
JOINED = "joined.txt"
EXTERNAL = "brought"  # the recorded source of a cache without audio
DATASET_TABLES = (".csv", ".tsv", ".txt")
SYNTHETIC = ("synth", "synth_mix")  # made by this project
NAMED = ("esc50", "esc10", *SYNTHETIC)


def is_cache(folder: Path) -> bool:
    """Whether a folder is itself a feature cache, or joins one."""
    return (folder / INDEX).is_file() or (folder / JOINED).is_file()


def joined_cache(folder: Path) -> Path | None:
    """The cache that a folder of own features joins; None for any other folder."""
    file = folder / JOINED
    return Path(os.fsdecode(file.read_bytes()).strip("\n")) if file.is_file() else None


def is_same(folder: Path, other: Path) -> bool:
    """Whether two paths lead to one folder."""
    return folder.resolve() == other.resolve()


def join_cache(own: Path, shared: Path) -> None:
    """Make `own` a folder of features that joins `shared`, else RequestError."""
    joined = joined_cache(own)
    if joined and is_same(joined, shared):
        return
    if is_cache(own) and (joined is None or is_cache(joined)):
        what = f"joins {joined}" if joined else "is a cache itself"
        raise RequestError(
            f"{own} {what}: for features that {shared} lacks, give DATA= or NAME= of"
            " another folder"
        )
    from featurestack.storage.files import replace_file

    own.mkdir(parents=True, exist_ok=True)
    replace_file(own / JOINED, os.fsencode(f"{shared.absolute()}\n"))


def cache_folders(folder: Path) -> list[Path]:
    """A cache folder and the caches that it joins; the last one has the index."""
    folders = [folder]
    while (shared := joined_cache(folders[-1])) and shared not in folders:
        folders.append(shared)
    return folders


def feature_path(folders: Sequence[Path], stored: str) -> Path:
    """A feature's file in the first folder that has it, else its place in the first."""
    paths = [folder / f"{stored}.h5" for folder in folders]
    return next((path for path in paths if path.exists()), paths[0])


def dataset_name(dataset: str, name: str = "") -> str:
    """`name` if it is given, else a NAMED dataset's name, else the folder's name or the
    file's stem; for a cache folder called `features` the name of its parent folder.
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
    """data/<name>/features, or the dataset itself if it is a cache not joined there."""
    own = data / dataset_name(dataset, name) / "features"
    if dataset in NAMED or not is_cache(Path(dataset)):
        return own
    joined = joined_cache(own)
    return own if joined and is_same(joined, Path(dataset)) else Path(dataset)
