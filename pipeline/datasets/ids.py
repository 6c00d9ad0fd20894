"""A short, stable name for every clip."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from commandline import RequestError


def by_name(paths: Sequence[str]) -> list[str]:
    """File names without extension; with it where two agree; the path where these agree as well."""
    return _distinct(paths, [lambda path: path.stem, lambda path: path.name, _bare, PurePath.as_posix])


def by_path(paths: Sequence[str]) -> list[str]:
    """Relative paths without extension (`dog/bark 1`); where two agree both keep theirs."""
    return _distinct(paths, [_bare, PurePath.as_posix])


def _bare(path: PurePath) -> str:
    return path.with_suffix("").as_posix()


def _distinct(paths: Sequence[str], namings: Sequence[Callable[[PurePath], str]]) -> list[str]:
    """Each path's id by the first naming under which it agrees with no other."""
    ids = [""] * len(paths)
    waiting = list(range(len(paths)))
    for naming in namings:
        for number in waiting:
            ids[number] = naming(PurePath(paths[number]))
        times = Counter(ids)
        waiting = [number for number in waiting if times[ids[number]] > 1]
    if waiting:
        raise RequestError(f"{paths[waiting[0]]} is listed twice; a clip is one row")
    for name in ids:
        _refuse_unwritable(name)
    return ids


def _refuse_unwritable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"the file name {name!r} is not valid Unicode and cannot be written to a table: rename the file"
        ) from None
