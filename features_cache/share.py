"""A cache, or some features of it, as one compressed file; and back, bit for bit.

The file is HDF5 as well: the clip table as in an index, and a group a feature with `values` (shuffled, gzip,
with checksums), `state`, `clip_id`, the axes and the attributes of its file.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from commandline import RequestError, progress
from features_cache.checks import CRC
from features_cache.index import read_clips, read_index, refresh, write_clips
from features_cache.layout import (
    OPEN,
    STATE,
    DamagedFile,
    FeatureSpec,
    open_hdf5,
    read_attributes,
    read_column,
    read_header,
    write_attributes,
    write_column,
)
from features_cache.location import is_cache
from features_cache.storage import publish, temporary
from features_cache.writer import install

CHUNK_BYTES = 1 << 20  # a chunk holds whole clips, about this much: small enough for a laptop's cache


def export(folder: Path, features: Sequence[str], target: Path) -> int:
    """Write these features to `target`; the number of clips whose damage kept them out."""
    clips, settings = read_index(folder)
    draft, left_out = temporary(target), 0
    try:
        with h5py.File(draft, "w", **OPEN) as file:
            write_clips(file, clips, settings)
            for name in progress(features, label="export", unit="features"):
                left_out += _export_feature(file, folder / f"{name}.h5")
        publish(draft, target)
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return left_out


def import_(source: Path, folder: Path) -> list[str]:
    """Put the features of an exported file into a cache, made where it is not there; their names.

    RequestError where the cache is one of another source, or has one of the features already.
    """
    with open_hdf5(source) as file:
        clips, settings = read_clips(file), read_attributes(file)
        if is_cache(folder):
            clips, present = read_index(folder)
            if present != settings:
                raise RequestError(
                    f"{folder} is a cache of {present}, {source} one of {settings}; give NAME="
                )
        names = [name for name in file if name != "clips"]
        for name in progress(names, label="import", unit="features"):
            group = file[name]
            spec = FeatureSpec.of(
                read_attributes(group), read_column(group, "row_axis"), read_column(group, "frame_axis")
            )
            install(folder, spec, read_column(group, "clip_id"), _clips(group))
    refresh(folder, clips, settings)
    return names


def verify_export(source: Path) -> list[str]:
    """What is wrong with an exported file: `mel: 1-100032-A-0 damaged`, or why it cannot be read."""
    try:
        with open_hdf5(source) as file:
            read_clips(file)
            return [
                f"{name}: {file[name]['clip_id'][row].decode()} damaged"
                for name in file
                if name != "clips"
                for row, values, state in _clips(file[name])
                if zlib.crc32(values.data) != state & int(CRC)
            ]
    except DamagedFile as damage:
        return [str(damage)]


def _export_feature(file: h5py.File, path: Path) -> int:
    found = read_header(path)
    group = file.create_group(path.stem)
    write_attributes(group, found.attributes)
    for name, column in (
        ("clip_id", found.clip_ids),
        ("row_axis", found.row_axis),
        ("frame_axis", found.frame_axis),
    ):
        write_column(group, name, column)
    clips = max(1, min(found.shape[0], CHUNK_BYTES // found.clip_bytes))
    options = {
        "chunks": (clips, *found.shape[1:]),
        "shuffle": True,
        "compression": "gzip",
        "fletcher32": True,
    }
    target = group.create_dataset("values", found.shape, found.dtype, **options)
    values, states = found.map(), np.array(found.map(state=True))
    for start in range(0, len(values), clips):
        block = values[start : start + clips].copy()  # what is checked is what is written
        crcs = np.array([zlib.crc32(one.data) for one in block], STATE)
        stands = states[start : start + clips]
        stands[crcs != stands & CRC] *= np.uint64(0)
        block[stands == 0] = 0
        target[start : start + clips] = block
    write_column(group, "state", states)
    return int(((found.map(state=True) != 0) & (states == 0)).sum())


def _clips(group: h5py.Group) -> Iterator[tuple[int, NDArray, int]]:
    """(row, values, state word) of the clips that are done, chunk by chunk."""
    states, values = read_column(group, "state"), group["values"]
    for start in range(0, len(states), values.chunks[0]):
        block = values[start : start + values.chunks[0]]
        for row in np.flatnonzero(states[start : start + len(block)]).tolist():
            yield start + row, block[row], int(states[start + row])
