"""HDF5 with a checksum on all but feature values and their state words, which hold one.

Every small dataset is chunked with fletcher32 and has its CRC as an attribute. Texts
and attributes are of fixed length, since HDF5 stores others in its global heap, which
has no checksum. HDF5's own locking is off: no open file is ever changed in structure,
and network file systems often lack locks.
"""

import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import DamagedFile
from featurestack.storage.files import is_file

Attributes = dict[str, Any]  # a file's attributes: texts, whole numbers, parsed JSON
UNREADABLE = (  # h5py's errors for a damaged file
    OSError,
    KeyError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
)
MARK = "format_version"  # the attribute by which our files are known
CHUNK = 1 << 16  # elements in a chunk of a small dataset


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; FileNotFoundError or DamagedFile if that fails."""
    if not (path.exists() or path.is_symlink()):
        raise FileNotFoundError(path)
    if not (is_file(path) and os.access(path, os.R_OK)):
        why = "it is no regular file (remove it), or its permissions forbid it (chmod)"
        raise DamagedFile(f"{path.name} cannot be read: {why}")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except UNREADABLE as error:
        # another file, which is being written meanwhile, failed
        if getattr(error, "filename", None):
            raise
        raise DamagedFile(f"{path.name} cannot be read: {error}") from error


def read_attributes(group: h5py.Group) -> Attributes:
    """The attributes of a group, as str and int."""
    return {
        key: value.decode() if isinstance(value, bytes) else value.item()
        for key, value in group.attrs.items()
    }


def is_ours(path: Path) -> bool | None:
    """Whether this program made a file, by its attributes; None if it is no HDF5."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return MARK in file.attrs
    except UNREADABLE:
        return None


def read_column(group: h5py.Group, name: str) -> NDArray:
    """The content of a small dataset; ValueError if it does not have its CRC."""
    dataset = group[name]
    column = dataset[()]
    if zlib.crc32(np.ascontiguousarray(column).data) != dataset.attrs["crc32"]:
        raise ValueError(f"{name} is damaged")
    return column


def as_stored(column: NDArray) -> NDArray:
    """Numbers unchanged; texts as UTF-8 of the longest one's length."""
    if column.dtype.kind not in "SOUT":
        return np.ascontiguousarray(column)
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in column]
    return np.array(
        texts, h5py.string_dtype("utf-8", max(map(len, texts), default=0) or 1)
    )


def decoded(column: NDArray) -> list[str] | NDArray:
    """Numbers unchanged, texts as str; equal texts share one object in memory."""
    if column.dtype.kind != "S":
        return column
    return [sys.intern(text.decode()) for text in column.tolist()]


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
