"""One feature's HDF5 file: what it says of itself, how it is created, where its bytes lie.

    /values (N, rows, frames)   contiguous, allocated at creation, at a multiple of 4096
    /state  (N,) uint64         0, or fingerprint << 32 | crc32 of the clip's bytes, at a multiple of 4096,
                                so that no word straddles two pages
    /clip_id (N,) · /row_axis (rows,) · /frame_axis (frames,)   chunked, with checksums
    attributes                  fixed-length: a flipped bit in them is an error, not another value

After creation nothing writes through HDF5: clips go to their offsets, see writer.py. HDF5's own locking is
off, since no open file is ever changed in structure and network file systems often lack it.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from features_cache.fingerprint import feature_key
from features_cache.storage import write_at

FORMAT = 1
STATE = np.dtype("<u8")
CHUNK = 1 << 16  # elements of a chunk of the small datasets
OPEN = {"libver": ("v110", "v110"), "locking": False}


class DamagedFile(Exception):
    """A file of the cache that cannot be read; the message names it and the reason."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a feature's file says of itself; `key` of it goes into every clip's fingerprint."""

    stored: str
    feature: str
    parameters: Mapping[str, Any]
    """All of them, defaults filled in."""
    version: int
    """Of the code that computes it."""
    units: str
    row_axis: NDArray[np.float64]
    row_unit: str
    frame_axis: NDArray[np.float64]
    frame_unit: str = "s"
    sample_rate: int
    samples: int
    hop_length: int = 0
    """Samples from frame to frame; 0 where frames are none of time."""
    dtype: str = "float16"
    libraries: str = ""
    created: str = ""
    """When and by which versions; no part of what is compared."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, frames) of a clip."""
        return len(self.row_axis), len(self.frame_axis)

    @property
    def clip_bytes(self) -> int:
        """Bytes of one clip's values."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @property
    def key(self) -> np.uint64:
        """Of all that makes one feature's values differ from another's."""
        return feature_key(self.attributes(), self.attributes())

    @classmethod
    def of(cls, attributes: Mapping[str, Any], row_axis: NDArray, frame_axis: NDArray) -> "FeatureSpec":
        """The spec that a file with these attributes and axes was made from."""
        given = dict(attributes)
        if (format_ := given.pop("format_version", None)) != FORMAT:
            raise DamagedFile(f"format {format_}, expected {FORMAT}")
        parameters, version = json.loads(given.pop("parameters")), given.pop("code_version")
        return cls(parameters=parameters, version=version, row_axis=row_axis, frame_axis=frame_axis, **given)

    def attributes(self) -> dict[str, Any]:
        """As written to the file's root."""
        return {
            "format_version": FORMAT,
            "stored": self.stored,
            "feature": self.feature,
            "parameters": json.dumps(dict(sorted(self.parameters.items()))),
            "code_version": self.version,
            "units": self.units,
            "row_unit": self.row_unit,
            "frame_unit": self.frame_unit,
            "sample_rate": self.sample_rate,
            "samples": self.samples,
            "hop_length": self.hop_length,
            "dtype": self.dtype,
            "libraries": self.libraries,
            "created": self.created,
        }


@dataclass(frozen=True)
class FeatureFile:
    """The header of a feature's file, read once; the bytes are reached by the offsets."""

    path: Path
    attributes: dict[str, Any]
    shape: tuple[int, int, int]
    dtype: np.dtype
    values_offset: int
    state_offset: int

    @property
    def clip_bytes(self) -> int:
        """Bytes of one clip's values."""
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    @cached_property
    def clip_ids(self) -> NDArray[np.bytes_]:
        """(N,) UTF-8, in the file's own order."""
        return self._small("clip_id")

    @property
    def row_axis(self) -> NDArray[np.float64]:
        """(rows,) what each row stands for."""
        return self._small("row_axis")

    @property
    def frame_axis(self) -> NDArray[np.float64]:
        """(frames,) what each frame stands for."""
        return self._small("frame_axis")

    def _small(self, name: str) -> NDArray[Any]:
        with open_hdf5(self.path) as file:
            return read_column(file, name)

    def map(self, *, state: bool = False) -> NDArray[Any]:
        """`values` or `state` as a read-only memory map."""
        if state:
            return self._map(STATE, self.state_offset, self.shape[:1])
        return self._map(self.dtype, self.values_offset, self.shape)

    def _map(self, dtype: np.dtype, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
        if not shape[0]:
            return np.empty(shape, dtype)
        mapped = np.memmap(self.path, dtype, mode="r", offset=offset, shape=shape)
        return mapped.view(np.ndarray)  # the subclass makes every small indexing slower


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """The file for reading; whatever HDF5 finds wrong inside becomes DamagedFile."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise DamagedFile(f"{path.name} cannot be read: {error}") from error


def read_header(path: Path) -> FeatureFile:
    """What the file says of itself; DamagedFile where it is unreadable, cut short or of another format."""
    with open_hdf5(path) as file:
        values, state = file["values"], file["state"]
        header = FeatureFile(
            path,
            read_attributes(file),
            values.shape,
            values.dtype,
            values.id.get_offset() or 0,
            state.id.get_offset() or 0,
        )
    end = max(
        header.values_offset + header.shape[0] * header.clip_bytes,
        header.state_offset + header.shape[0] * STATE.itemsize,
    )
    if header.attributes.get("format_version") != FORMAT:
        raise DamagedFile(
            f"{path.name} has format {header.attributes.get('format_version')}, expected {FORMAT}"
        )
    if path.stat().st_size < end:
        raise DamagedFile(f"{path.name} is cut short: {path.stat().st_size} bytes, expected {end}")
    return header


def read_attributes(group: h5py.Group) -> dict[str, Any]:
    """Attributes as str and int."""
    return {
        key: value.decode() if isinstance(value, bytes) else value.item() if hasattr(value, "item") else value
        for key, value in group.attrs.items()
    }


def write_attributes(group: h5py.Group, attributes: Mapping[str, Any]) -> None:
    """Attributes of fixed length: the others lie in HDF5's global heap, which has no checksum."""
    for key, value in attributes.items():
        if isinstance(value, str):
            text = np.bytes_(value.encode())
            group.attrs.create(key, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))
        else:
            group.attrs.create(key, np.int64(value))


def write_column(group: h5py.Group, name: str, column: NDArray[Any]) -> h5py.Dataset:
    """A small dataset, chunked, with checksums; text as fixed-length UTF-8.

    Its CRC is an attribute as well, since fletcher32 takes a page of zeros for a good one.
    """
    if column.dtype.kind in "SOUT":
        column = encoded(column)
    chunks = (max(1, min(len(column), CHUNK)),)
    dataset = group.create_dataset(name, data=column, chunks=chunks, fletcher32=True)
    write_attributes(dataset, {"crc32": zlib.crc32(np.ascontiguousarray(column).data)})
    return dataset


def encoded(texts: NDArray[Any] | Sequence[str]) -> NDArray[np.bytes_]:
    """Texts, such as clip ids, as they stand in a file: UTF-8, all of the longest one's length.

    One after the other: a million at once are 100 MB more.
    """

    def each() -> Iterator[bytes]:
        return (one if isinstance(one, bytes) else str(one).encode() for one in texts)

    width = max(map(len, each()), default=0) or 1
    return np.fromiter(each(), h5py.string_dtype("utf-8", width), len(texts))


def read_column(group: h5py.Group, name: str) -> NDArray[Any]:
    """A small dataset whose content has been checked."""
    column = group[name][()]
    if zlib.crc32(np.ascontiguousarray(column).data) != group[name].attrs["crc32"]:
        raise ValueError(f"{name} is damaged")
    return column


def write_structure(path: Path, spec: FeatureSpec, clip_ids: NDArray[Any]) -> None:
    """The file with everything but its clips: no byte of `values` or `state` is written."""
    with h5py.File(path, "w", alignment_threshold=1, alignment_interval=4096, **OPEN) as file:
        write_attributes(file, spec.attributes())
        write_column(file, "clip_id", clip_ids)
        write_attributes(write_column(file, "row_axis", spec.row_axis), {"units": spec.row_unit})
        write_attributes(write_column(file, "frame_axis", spec.frame_axis), {"units": spec.frame_unit})
        _allocated(file, "state", (len(clip_ids),), STATE)
        values = _allocated(
            file, "values", (len(clip_ids), *spec.shape), np.dtype(spec.dtype).newbyteorder("<")
        )
        write_attributes(values, {"units": spec.units})


def forget(file: FeatureFile, rows: NDArray[np.integer]) -> None:
    """Set the state words of these rows to 0."""
    with file.path.open("r+b", buffering=0) as opened:
        for row in rows.tolist():
            write_at(opened.fileno(), bytes(STATE.itemsize), file.state_offset + row * STATE.itemsize)


def _allocated(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """A contiguous dataset that has its place in the file at once and is never filled by HDF5."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    identity = h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=creation)
    return h5py.Dataset(identity)
