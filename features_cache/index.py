"""index.h5: the clip table, where the audio came from, and a link to the values of every feature.

It holds no values, so it can be made again at any time; it is only ever replaced whole, by rename, under a
lock of its own. A reader therefore sees the old one or the new one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache.layout import (
    FORMAT,
    OPEN,
    DamagedFile,
    open_hdf5,
    read_attributes,
    read_column,
    write_attributes,
    write_column,
)
from features_cache.location import INDEX
from features_cache.locks import lock
from features_cache.storage import publish, temporary
from features_cache.table import CLIP_COLUMNS, SOURCE_COLUMNS

COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS)


def feature_files(folder: Path) -> list[Path]:
    """The feature files of a cache, by name."""
    return sorted(path for path in folder.glob("*.h5") if path.name != INDEX)


def read_index(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """(clips with COLUMNS, attributes); FileNotFoundError or DamagedFile where there is none to read."""
    with open_hdf5(folder / INDEX) as file:
        return read_clips(file), read_attributes(file)


def read_clips(file: h5py.File) -> pd.DataFrame:
    """The clip table in an open index."""
    return pd.DataFrame({name: _plain(read_column(file["clips"], name)) for name in COLUMNS})


def read_settings(folder: Path) -> dict[str, Any]:
    """The attributes alone, at a cost that does not grow with the number of clips."""
    with open_hdf5(folder / INDEX) as file:
        return read_attributes(file)


def links(folder: Path) -> list[str]:
    """Names of the features that the index links to."""
    with open_hdf5(folder / INDEX) as file:
        return sorted(name for name in file if name != "clips")


def refresh(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, Any], part: slice = slice(0, 0)
) -> None:
    """Make the index one of these clips and of the feature files that are there.

    Outside `part` what is known of the sources is kept as it stands: another run may have told it.
    """
    with lock(folder, "index"):
        try:
            before, attributes = read_index(folder)
            known = with_sources(clips, before)
            ours = np.zeros(len(clips), bool)
            ours[part] = True
            for name in SOURCE_COLUMNS:
                known[name] = known[name].where(~ours, clips[name])
            as_it_is = same(known, before) and links(folder) == [path.stem for path in feature_files(folder)]
            if as_it_is and attributes == {**settings, "format_version": FORMAT}:
                return
        except (FileNotFoundError, DamagedFile):
            known = clips
        write_index(folder, known, {**settings, "format_version": FORMAT})


def write_index(folder: Path, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """Replace the index by one of these clips and the feature files that are there; its lock is held."""
    draft = temporary(folder / INDEX)
    with h5py.File(draft, "w", **OPEN) as file:
        write_clips(file, clips, attributes)
        for path in feature_files(folder):
            file[path.stem] = h5py.ExternalLink(path.name, "/values")
    publish(draft, folder / INDEX)


def write_clips(file: h5py.File, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """The clip table into a new file."""
    write_attributes(file, attributes)
    group = file.create_group("clips")
    for name in COLUMNS:
        write_column(group, name, clips[name].to_numpy())


def with_sources(table: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from a known one, else 0 and ''."""
    columns = list(SOURCE_COLUMNS)
    if known is None:
        found = pd.DataFrame(index=table.index, columns=columns)
    else:
        found = known.set_index("clip_id")[columns].reindex(table["clip_id"]).set_index(table.index)
    for name, kind in SOURCE_COLUMNS.items():
        found[name] = found[name].fillna("" if kind is str else 0).astype(kind)
    return table.assign(**{name: found[name] for name in columns})


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two clip tables say the same, column by column."""
    return len(one) == len(other) and all(
        np.array_equal(one[name].to_numpy(), other[name].to_numpy()) for name in COLUMNS
    )


def _plain(column: NDArray[Any]) -> NDArray[Any] | list[str]:
    return [text.decode() for text in column.tolist()] if column.dtype.kind == "S" else column
