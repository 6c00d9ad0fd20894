"""The cache folder of a `DATASET`: one rule for every stage."""

from pathlib import Path

from featurestack.commandline.errors import RequestError

INDEX = "index.h5"
EXTERNAL = "brought"  # the recorded source of a cache without audio
DATASET_TABLES = (".csv", ".tsv", ".txt")
SYNTHETIC = ("synth", "synth_mix")  # made by this project
NAMED = ("esc50", "esc10", *SYNTHETIC)


def is_cache(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def dataset_name(dataset: str, name: str = "") -> str:
    """`name`, or a NAMED dataset's, else that of the folder, the file or the cache."""
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
    if path.name == "features" and is_cache(path):
        return path.parent.name
    return path.name if path.is_dir() else path.stem


def cache_folder(dataset: str, data: Path, name: str = "") -> Path:
    """The folder of the features: data/<name>/features, or the dataset if it is one."""
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return data / dataset_name(dataset, name) / "features"
