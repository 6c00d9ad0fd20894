"""index.h5: the clip table, where the audio came from, and a link to the values of every feature.

It holds no values, so it can be made again at any time; it is only ever replaced whole, by rename, under a
lock of its own. A reader therefore sees the old one or the new one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache import hdf5
from features_cache.hdf5 import DamagedFile
from features_cache.layout import FORMAT
from features_cache.location import INDEX
from features_cache.storage import lock, replaced
from features_cache.table import CLIP_COLUMNS, SOURCE_COLUMNS, with_sources

COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS)
CLIPS = "clips"  # the group of the table; every other name is a feature's link


def feature_files(folder: Path) -> list[Path]:
    """The feature files of a cache, by name."""
    return sorted(path for path in folder.glob("*.h5") if path.name != INDEX)


def read_index(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """(clips with COLUMNS, attributes); FileNotFoundError or DamagedFile where there is none to read."""
    with hdf5.opened(folder / INDEX) as file:
        return read_clips(file), hdf5.read_attributes(file)


def read_clips(file: h5py.File, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """The clip table in an open index, or some columns of it."""
    table: dict[str, Any] = {}
    for name in columns:
        column = hdf5.read_column(file[CLIPS], name)
        table[name] = hdf5.decoded(column) if column.dtype.kind == "S" else column
        if name == "group":  # most clips are one of their own: one text for both
            table[name] = [clip if clip == one else one for clip, one in zip(table["clip_id"], table[name])]
    return pd.DataFrame(table)


def stored_ids(clips: pd.DataFrame) -> NDArray[np.bytes_]:
    """(N,) clip ids as they stand in a file."""
    return hdf5.as_stored(clips["clip_id"].to_numpy())


def read_settings(folder: Path) -> dict[str, Any]:
    """The attributes alone, at a cost that does not grow with the number of clips."""
    with hdf5.opened(folder / INDEX) as file:
        return hdf5.read_attributes(file)


def refresh(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, Any], part: slice = slice(0, 0)
) -> None:
    """Make the index one of these clips and of the feature files that are there.

    Outside `part` what is known of the sources is kept as it is: another run may have written it.
    """
    attributes = {**settings, "format_version": FORMAT}
    with lock(folder, "index"):
        try:
            with hdf5.opened(folder / INDEX) as file:
                known = with_sources(clips, read_clips(file, ("clip_id", *SOURCE_COLUMNS)))
                for name in SOURCE_COLUMNS:
                    known.iloc[part, known.columns.get_loc(name)] = clips[name].iloc[part]
                linked = set(file) == {CLIPS, *(path.stem for path in feature_files(folder))}
                if linked and _describes(file, known, attributes):
                    return
        except (FileNotFoundError, DamagedFile):
            known = clips
        write_index(folder, known, attributes)


def write_index(folder: Path, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """Replace the index by one of these clips and the feature files that are there; its lock is held."""
    with replaced(folder / INDEX) as draft, hdf5.created(draft) as file:
        write_clips(file, clips, attributes)
        for path in feature_files(folder):
            file[path.stem] = h5py.ExternalLink(path.name, "/values")


def write_clips(file: h5py.File, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """The clip table into a new file."""
    hdf5.write_attributes(file, attributes)
    group = file.create_group(CLIPS)
    for name in COLUMNS:
        hdf5.write_column(group, name, clips[name].to_numpy())


def _describes(file: h5py.File, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> bool:
    """Whether an index describes these clips; column by column, since they may be millions."""
    columns = ((hdf5.read_column(file[CLIPS], name), clips[name].to_numpy()) for name in COLUMNS)
    return hdf5.read_attributes(file) == attributes and all(
        np.array_equal(there, hdf5.as_stored(column)) for there, column in columns
    )
