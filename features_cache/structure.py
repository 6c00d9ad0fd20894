"""Writing HDF5: the structure of a feature's file, without its clips, and index.h5.

hdf5.py says which checksums the files have. writer.py writes clips into the structure.
"""

import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache.feature_file import (
    AXES,
    FORMAT,
    STATE,
    FeatureSpec,
    as_text,
    lock,
)
from featurestack.features_cache.hdf5 import (
    CHUNK,
    Attributes,
    DamagedFile,
    as_stored,
    opened,
)
from featurestack.features_cache.index import CLIPS, feature_names, read_index
from featurestack.features_cache.location import INDEX, joined_cache
from featurestack.features_cache.table import (
    INDEX_COLUMNS,
    SOURCE_COLUMNS,
    with_sources,
)
from featurestack.storage.files import replaced


class _Drafted(io.FileIO):
    """A file that keeps its first error: HDF5 crashes if one occurs on closing."""

    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        try:
            while self.failed is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failed = error
        return len(data)


@contextmanager
def created(path: Path, **options: int) -> Iterator[h5py.File]:
    """A new file of HDF5 1.10, whose indexes have checksums; OSError if full."""
    with _Drafted(path, "w+b") as draft:
        try:
            with h5py.File(draft, "w", libver=("v110", "v110"), **options) as file:
                yield file
        finally:
            if draft.failed is not None:
                raise draft.failed


def write_attributes(group: h5py.Group, attributes: Attributes) -> None:
    """Write attributes of fixed length."""
    for key, value in attributes.items():
        if isinstance(value, str):
            text = np.bytes_(value.encode())
            group.attrs.create(
                key, text, dtype=h5py.string_dtype("utf-8", max(1, len(text)))
            )
        else:
            group.attrs.create(key, np.int64(value))


def write_column(group: h5py.Group, name: str, column: NDArray) -> h5py.Dataset:
    """Write a small dataset and its CRC: fletcher32 alone accepts a page of zeros."""
    stored = as_stored(column)
    chunks = (max(1, min(len(stored), CHUNK)),)
    dataset = group.create_dataset(name, data=stored, chunks=chunks, fletcher32=True)
    write_attributes(dataset, {"crc32": zlib.crc32(stored.data)})
    return dataset


def allocated(
    file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> h5py.Dataset:
    """A contiguous dataset that HDF5 allocates at once and never fills."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    identity = h5py.h5d.create(
        file.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=creation
    )
    return h5py.Dataset(identity)


def write_structure(path: Path, spec: FeatureSpec, clip_ids: NDArray) -> None:
    """Make the file without its clips: no byte of `values` or `state` is written."""
    with created(path, alignment_threshold=1, alignment_interval=4096) as file:
        described = {key: value for key, value in vars(spec).items() if key not in AXES}
        described["format_version"] = FORMAT
        described["parameters"] = as_text(spec.parameters)
        write_attributes(file, described)
        write_column(file, "clip_id", clip_ids)
        row_axis = write_column(file, "row_axis", spec.row_axis)
        write_attributes(row_axis, {"units": spec.row_unit})
        frame_axis = write_column(file, "frame_axis", spec.frame_axis)
        write_attributes(frame_axis, {"units": spec.frame_unit})
        allocated(file, "state", (len(clip_ids),), STATE)
        shape = (len(clip_ids), spec.rows, spec.frames)
        values = allocated(file, "values", shape, np.dtype(spec.dtype))
        write_attributes(values, {"units": spec.units})


def refresh(
    folder: Path,
    clips: pd.DataFrame,
    settings: Mapping[str, object],
    part: slice = slice(0, 0),
) -> None:
    """Rewrite the index for these clips and the present files, unless nothing changed
    or the folder joins a cache; outside `part` the SOURCE_COLUMNS stay as they are.
    """
    if joined_cache(folder):
        return
    attributes = {**settings, "format_version": FORMAT}
    with lock(folder, "index"):
        known, current = updated(folder, clips, settings, part)
        if current:
            return
        with replaced(folder / INDEX) as draft, created(draft) as file:
            write_attributes(file, attributes)
            group = file.create_group(CLIPS)
            for name in INDEX_COLUMNS:
                write_column(group, name, known[name].to_numpy())
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
        with opened(folder / INDEX) as file:
            linked = set(file) == {CLIPS, *feature_names(folder)}
    except (FileNotFoundError, DamagedFile):
        return clips, False
    same = (
        linked
        and made == {**settings, "format_version": FORMAT}
        and {*before} == {*known}
        and all(np.array_equal(before[name], known[name]) for name in known)
    )
    return known, same
