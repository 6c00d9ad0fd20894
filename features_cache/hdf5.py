"""HDF5 with checksums; each clip's feature values have theirs in its state word.

Every small dataset is chunked with fletcher32 and has its CRC as an attribute. Texts
and attributes are of fixed length, since HDF5 stores others in its global heap, which
has no checksum. HDF5's own locking is off: no open file is ever changed in structure,
and network file systems often lack locks.

docs/reference/formats.md has the datasets of a feature's file. The state word of a clip
is 0 if it is not done, else fingerprint << 32 | crc32 of its values. No word straddles
two pages: one call writes it, and a kill leaves the old word or the new one.

The fingerprint covers the clip's id, its file's content, a window's place in the file,
the alteration, the audio settings, the feature with all parameters and its code's
version, and the type of the stored values. The cache holds all of these: a reader
needs no pipeline, and values made from anything else do not count as done.

After creation, clips are written at their offsets, not through HDF5; see writer.py.
"""

import errno
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from featurestack.base.errors import DamagedFile, RequestError, refuse_newer
from featurestack.base.files import Lock, is_file
from featurestack.base.quantities import counted

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
MARK = "format_version"  # the attribute that all of our files have
CHUNK_ELEMENTS = 1 << 16  # elements in a chunk of a small dataset
BLOCK_BYTES = 1 << 20  # bytes
NO_ALLOCATION_HERE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def without_locking(path: Path) -> h5py.File:
    """The file, open for reading; with locks if this process opened it with locks. A
    named pipe is never waited for.
    """
    if not is_file(path):
        raise FileNotFoundError(path)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking" not in str(error):
            raise
        return h5py.File(path, "r", locking="best-effort")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; FileNotFoundError or DamagedFile if that fails."""
    if not (path.exists() or path.is_symlink()):
        raise FileNotFoundError(path)
    if not (is_file(path) and os.access(path, os.R_OK)):
        why = "not a regular file (remove it), or no permission to read it (chmod)"
        raise DamagedFile(f"{path.name} cannot be read: {why}")
    try:
        with without_locking(path) as file:
            yield file
    except UNREADABLE as error:
        # the file is newer, or the caller was writing another one, and that failed
        if type(error) is RequestError or getattr(error, "filename", None):
            raise
        raise DamagedFile(f"{path.name} cannot be read: {error}") from error


def read_attributes(group: h5py.Group) -> Attributes:
    """The attributes of a group, as str and int."""
    return {
        key: value.decode() if isinstance(value, bytes) else value.item()
        for key, value in group.attrs.items()
    }


def is_ours(path: Path) -> bool | None:
    """Whether this program made a file, by its attributes; None if it is not HDF5."""
    try:
        with without_locking(path) as file:
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
    """A column as HDF5 stores it: numbers unchanged, texts as UTF-8 of one length."""
    if column.dtype.kind not in "SOUT":
        return np.ascontiguousarray(column)
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in column]
    return np.array(
        texts, h5py.string_dtype("utf-8", max(map(len, texts), default=0) or 1)
    )


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
    """A new HDF5 1.10 file, whose indexes have checksums; OSError on a full disk."""
    with _Drafted(path, "w+b") as draft:
        try:
            with h5py.File(draft, "w", libver=("v110", "v110"), **options) as file:
                yield file
        finally:
            if draft.failed is not None:
                raise draft.failed


def write_attributes(group: h5py.Group, attributes: Attributes) -> None:
    for key, value in attributes.items():
        if isinstance(value, str):
            text = np.bytes_(value.encode())
            group.attrs.create(
                key, text, dtype=h5py.string_dtype("utf-8", max(1, len(text)))
            )
        else:
            group.attrs.create(key, np.int64(value))


def write_column(group: h5py.Group, name: str, column: NDArray) -> h5py.Dataset:
    """Write a small dataset and its CRC: fletcher32 accepts a page of zeros."""
    stored = as_stored(column)
    chunks = (max(1, min(len(stored), CHUNK_ELEMENTS)),)
    dataset = group.create_dataset(name, data=stored, chunks=chunks, fletcher32=True)
    write_attributes(dataset, {"crc32": zlib.crc32(stored.data)})
    return dataset


def allocated(
    file: h5py.File, name: str, shape: tuple[int, ...], dtype: DTypeLike
) -> h5py.Dataset:
    """A contiguous dataset that HDF5 allocates at once and never fills."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return file.create_dataset(name, shape, dtype, dcpl=creation)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def reserve_space(path: Path) -> None:
    """Reserve a file's disk space, so that a full disk fails now."""
    with path.open("r+b", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except (AttributeError, OSError) as error:
            # macOS and some file systems lack the call
            if isinstance(error, OSError) and error.errno not in NO_ALLOCATION_HERE:
                raise
            # rewriting the content fills the holes
            for start in range(0, length, BLOCK_BYTES):
                file.seek(start)
                write_at(file.fileno(), file.read(BLOCK_BYTES), start)


FORMAT_VERSION = 1
LOCKS = "locks"
AXES = ("row_axis", "frame_axis")
STATE = np.dtype("<u8")
NOT_DONE = bytes(STATE.itemsize)
CRC = np.uint64(0xFFFFFFFF)
FINGERPRINT = np.uint64(32)  # bits by which a fingerprint is shifted
FINGERPRINTED = (
    "feature",
    "parameters",
    "code_version",
    "dtype",
    "sample_rate",
    "samples",
)


def lock(folder: Path, name: str) -> Lock:
    """The lock of this name in a cache folder.

    `<feature>`    shared by writers of its clips, exclusive for replacing its file
    `preparing`    held by the one run that examines the cache and creates files
    `index`        held while index.h5 and the CSV files are replaced
    `runs`         held for the moment in which a run is admitted, see reservations.py
    """
    return Lock(folder / LOCKS / f"{name}.lock")


def clip_keys(clips: pd.DataFrame) -> NDArray[np.uint64]:
    """(N,) a hash of each clip's id, source content and window."""
    columns = (clips[name].tolist() for name in ("clip_id", "start", "end"))
    hashes = []
    for clip, start, end, content in zip(*columns, clips["source_hash"].tolist()):
        window = [repr(start), repr(end)] if end else []
        hashes.append(_hash("\0".join([clip, *window, content])))
    return np.array(hashes, np.uint64)


def as_text(parameters: Mapping[str, object]) -> str:
    """Parameters as they are stored, sorted by name."""
    return json.dumps(dict(sorted(parameters.items())))


def fingerprints(clips: NDArray[np.uint64], feature: np.uint64) -> NDArray[np.uint64]:
    """(N,) each clip's fingerprint: splitmix64's upper 32 bits, never 0."""
    mixed = clips ^ feature
    mixed = mixed ^ (mixed >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed = mixed ^ (mixed >> np.uint64(27))
    mixed = mixed * np.uint64(0x94D049BB133111EB)
    upper = mixed >> np.uint64(32)
    return np.maximum(upper, np.uint64(1))


def _hash(text: str) -> int:
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def to_stored(values: NDArray, dtype: DTypeLike) -> NDArray:
    """The values in the stored type; ValueError if one is not finite or too big."""
    if wrong := int((~np.isfinite(values)).sum()):
        raise ValueError(f"{counted(wrong, 'value')} NaN or infinite")
    largest = np.abs(values).max(initial=0)
    if largest > np.finfo(dtype).max:
        raise ValueError(f"{largest:g} overflows {dtype}; DTYPE=float32 holds it")
    return np.ascontiguousarray(values, dtype)


def state_word(fingerprint: int, values: NDArray) -> int:
    """The state word of a clip that is done with these values."""
    return fingerprint << int(FINGERPRINT) | zlib.crc32(values.data)


def intact(
    values: NDArray, rows: Iterable[int], states: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Whether the values at these rows have the CRCs in their state words."""
    crcs = (zlib.crc32(values[row].data) for row in rows)
    return np.fromiter(crcs, np.uint64, len(states)) == states & CRC


def difference(was: Mapping[str, object], here: Mapping[str, object]) -> str:
    """The first fact that differs, such as `hop_length 512, here 256`; '' if none."""
    for name in {**here, **was}:
        if here.get(name) != was.get(name):
            return f"{name} {was.get(name)}, here {here.get(name)}"
    return ""


@dataclass(frozen=True)
class ClipStatus:
    """The status of B clips in a feature's file; all arrays are (B,)."""

    states: NDArray[np.uint64]  # state words, 0 for a clip without a row
    outdated: NDArray[np.bool_]  # made from something else, or its word is damaged
    damaged: NDArray[np.bool_]  # the checked values have another CRC than the word
    done: NDArray[np.bool_]

    @property
    def absent(self) -> NDArray[np.bool_]:
        """The clip has no row, or its state word is 0."""
        return self.states == 0


def now() -> str:
    return datetime.now().astimezone().isoformat(" ", "seconds")


@dataclass(frozen=True, kw_only=True)
class CachedFeature:
    """A feature's file: its attributes and axes, of which `key` goes into every
    fingerprint, and where its values and state words are.
    """

    path: Path
    stored: str
    feature: str
    parameters: Attributes = field(default_factory=dict)  # all, with the defaults
    code_version: int | str = 0  # with the digest of a user's own code
    units: str = ""  # "dB" for a level, "dB/frame" for its slope
    row_axis: NDArray[np.float64]  # (rows,) each row's position, in `row_unit`
    row_unit: str = "index"
    frame_axis: NDArray[np.float64]  # (frames,) each one's position, in `frame_unit`
    frame_unit: str = "index"
    sample_rate: int
    samples: int
    hop_length: int = 0  # samples; 0 if that is unknown or frames are not time
    dtype: str = "float16"
    libraries: str = ""
    created: str = field(default_factory=now)

    # ---- by read_header

    clips: int = 0
    values_offset: int = 0
    state_offset: int = 0

    @property
    def rows(self) -> int:
        return len(self.row_axis)

    @property
    def frames(self) -> int:
        return len(self.frame_axis)

    @property
    def clip_bytes(self) -> int:
        return self.rows * self.frames * np.dtype(self.dtype).itemsize

    @property
    def key(self) -> np.uint64:
        """A hash of the FINGERPRINTED fields, part of every fingerprint."""
        covered = {name: getattr(self, name) for name in FINGERPRINTED}
        covered["parameters"] = as_text(self.parameters)
        return np.uint64(_hash(json.dumps(covered, sort_keys=True)))

    @property
    def facts(self) -> dict[str, object]:
        """What the values depend on besides the clips, by name."""
        audio = ("dtype", "sample_rate", "samples")
        return {
            "version": self.code_version,
            **self.parameters,
            **{name: getattr(self, name) for name in audio},
        }

    @cached_property
    def clip_ids(self) -> NDArray[np.bytes_]:
        """(N,) UTF-8, in the file's order; read when first used."""
        with opened(self.path) as file:
            return read_column(file, "clip_id")

    def status(
        self,
        rows: NDArray[np.intp],
        keys: NDArray[np.uint64],
        check: bool | NDArray[np.bool_] = False,
    ) -> ClipStatus:
        """The status of clips; `check` also compares their CRCs.

        rows   (B,) the clips' rows in the file, -1 for none
        keys   (B,) the clips' hashes by the present index, see `clip_keys`
        check  (B,) or one for all: whether to compare values with their CRCs
        """
        words = self.map(state=True)[rows]
        states = np.where(rows >= 0, words, np.uint64(0))
        done = states >> FINGERPRINT == fingerprints(keys, self.key)
        outdated = (states != 0) & ~done
        damaged = np.zeros(len(rows), bool)
        checked = np.flatnonzero(done & check)
        if len(checked):
            damaged[checked] = ~intact(self.map(), rows[checked], states[checked])
        return ClipStatus(states, outdated, damaged, done & ~damaged)

    def write_clip(
        self, descriptor: int, row: int, values: NDArray, state: int
    ) -> None:
        """Write 0, the values, then the state word; only then is the clip done."""
        place = self.state_offset + row * STATE.itemsize
        write_at(descriptor, NOT_DONE, place)
        write_at(descriptor, values.data, self.values_offset + row * values.nbytes)
        write_at(descriptor, np.array(state, STATE).tobytes(), place)

    def forget(self, rows: NDArray[np.integer]) -> None:
        """Set the state words of these rows to 0."""
        with self.path.open("r+b", buffering=0) as opened:
            for row in rows.tolist():
                place = self.state_offset + row * STATE.itemsize
                write_at(opened.fileno(), NOT_DONE, place)

    def map(self, *, state: bool = False) -> NDArray:
        """`values` or `state` as a read-only memory map."""
        dtype: np.dtype | str = self.dtype
        offset = self.values_offset
        shape: tuple[int, ...] = (self.clips, self.rows, self.frames)
        if state:
            dtype = STATE
            offset = self.state_offset
            shape = (self.clips,)
        mapped = np.memmap(self.path, dtype, "r", offset, shape)
        return mapped.view(np.ndarray)  # indexing np.memmap is slower


# fields of CachedFeature that are not attributes of its file
NOT_ATTRIBUTES = ("path", *AXES, "clips", "values_offset", "state_offset")
ATTRIBUTES = [f.name for f in fields(CachedFeature) if f.name not in NOT_ATTRIBUTES]


def read_header(path: Path, stored: str = "") -> CachedFeature:
    """The header of a feature's file; FileNotFoundError or DamagedFile without one."""
    stored = stored or path.stem
    with opened(path) as file:
        described = read_attributes(file)
        version = described.pop(MARK, None)
        refuse_newer(path, version, FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise DamagedFile(
                f"{path.name} has format {version}, expected {FORMAT_VERSION}"
            )
        described["parameters"] = json.loads(described["parameters"])
        for name in AXES:
            described[name] = read_column(file, name)
        for name in ("values", "state"):
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise DamagedFile(f"{path.name} has a link for {name}")
        values = file["values"]
        state = file["state"]
        if None in (values.id.get_offset(), state.id.get_offset()):
            raise DamagedFile(
                f"{path.name} was compressed or chunked, but values are read at fixed"
                " offsets"
            )
        header = CachedFeature(
            **described,
            path=path,
            clips=len(file["clip_id"]),
            values_offset=values.id.get_offset(),
            state_offset=state.id.get_offset(),
        )
        if header.stored != stored:
            raise DamagedFile(f"{path.name} holds {header.stored}, expected {stored}")
        shape = (header.clips, header.rows, header.frames)
        layout = values.shape, values.dtype, state.shape, state.dtype
        if layout != (shape, header.dtype, shape[:1], STATE):
            raise DamagedFile(f"{path.name} holds {layout}, expected values {shape}")
    return header


def write_structure(path: Path, feature: CachedFeature, clip_ids: NDArray) -> None:
    """Make the file without its clips: no byte of `values` or `state` is written."""
    with created(path, alignment_threshold=1, alignment_interval=4096) as file:
        described = {name: getattr(feature, name) for name in ATTRIBUTES}
        described[MARK] = FORMAT_VERSION
        described["parameters"] = as_text(feature.parameters)
        write_attributes(file, described)
        write_column(file, "clip_id", clip_ids)
        for axis, unit in zip(AXES, (feature.row_unit, feature.frame_unit)):
            positions = write_column(file, axis, getattr(feature, axis))
            write_attributes(positions, {"units": unit})
        allocated(file, "state", (len(clip_ids),), STATE)
        shape = (len(clip_ids), feature.rows, feature.frames)
        values = allocated(file, "values", shape, feature.dtype)
        write_attributes(values, {"units": feature.units})
