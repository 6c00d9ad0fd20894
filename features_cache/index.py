"""index.h5: the clip table, the audio's source, and a link to each feature's values.

All but that of a cache without audio can be made again. It is replaced whole, by
rename, under a lock, so that a reader sees the old file or the new one.
"""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import DamagedFile, RequestError
from featurestack.features_cache import hdf5
from featurestack.features_cache.hdf5 import FORMAT, Attributes, lock
from featurestack.features_cache.names import CHANNEL, INDEX, NO_FEATURE_NAMES
from featurestack.features_cache.table import (
    INDEX_COLUMNS,
    SOURCE_COLUMNS,
    with_sources,
)
from featurestack.storage.files import replaced
from featurestack.storage.own_files import OwnFiles

CLIPS = "clips"  # the table's group; every other name is a feature's link


def feature_names(folder: Path) -> list[str]:
    """Stored names of the feature files that are there; mel-old.h5 is none."""
    stems = [path.stem for path in sorted(folder.glob("*.h5"))]
    return [
        name
        for name in filter(CHANNEL.fullmatch, stems)
        if name not in NO_FEATURE_NAMES
    ]


def claim_names(folder: Path, *names: str) -> None:
    """Take these names in a cache; RequestError if the user has a file of one. Features
    that were copied from another cache are ours, by their attributes.
    """

    def is_ours(file: Path) -> bool:
        return bool(hdf5.is_ours(file if file.suffix == ".h5" else folder / INDEX))

    remedy = "move it, or give another NAME or DATA"
    OwnFiles(folder).claim(names, remedy, is_ours)
    for name in names:
        file = folder / name
        if file.suffix == ".h5" and hdf5.is_ours(file) is False:
            raise RequestError(
                f"{file} was not written by this program and is not replaced: {remedy}"
            )


def read_index(folder: Path) -> tuple[pd.DataFrame, Attributes]:
    """(clips, attributes) of a cache; as `hdf5.opened` if that fails."""
    with hdf5.opened(folder / INDEX) as file:
        group = file[CLIPS]
        columns = {
            name: hdf5.decoded(hdf5.read_column(group, name)) for name in INDEX_COLUMNS
        }
        if len({*columns["clip_id"]}) < len(columns["clip_id"]):
            raise DamagedFile(f"{INDEX} names a clip twice")
        return pd.DataFrame(columns), hdf5.read_attributes(file)


def stored_ids(clips: pd.DataFrame) -> NDArray[np.bytes_]:
    """(N,) clip ids as stored in a file."""
    return hdf5.as_stored(clips["clip_id"].to_numpy())


def refresh(
    folder: Path,
    clips: pd.DataFrame,
    settings: Mapping[str, object],
    part: slice = slice(0, 0),
) -> None:
    """Rewrite the index if clips or files changed; SOURCE_COLUMNS only in `part`."""
    attributes = {**settings, "format_version": FORMAT}
    with lock(folder, "index"):
        known, current = updated(folder, clips, settings, part)
        if current:
            return
        claim_names(folder, INDEX)
        with replaced(folder / INDEX) as draft, hdf5.created(draft) as file:
            hdf5.write_attributes(file, attributes)
            group = file.create_group(CLIPS)
            for name in INDEX_COLUMNS:
                hdf5.write_column(group, name, known[name].to_numpy())
            for name in feature_names(folder):
                file[name] = h5py.ExternalLink(f"{name}.h5", "/values")


def updated(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, object], part: slice
) -> tuple[pd.DataFrame, bool]:
    """The clip table that `refresh` would write, and whether the index has it all."""
    try:
        before, made = read_index(folder)
        known = with_sources(clips, before)
        for name in SOURCE_COLUMNS:
            known.iloc[part, known.columns.get_loc(name)] = clips[name].iloc[part]
        with hdf5.opened(folder / INDEX) as file:
            linked = set(file) == {CLIPS, *feature_names(folder)}
    except (FileNotFoundError, DamagedFile):
        return clips, False
    same = (
        linked
        and made == {**settings, "format_version": FORMAT}
        and all(np.array_equal(before[name], known[name]) for name in INDEX_COLUMNS)
    )
    return known, same
