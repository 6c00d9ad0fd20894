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

from commandline.files import replaced
from commandline.registry import RequestError
from commandline.terminal import counted, progress
from features_cache import hdf5
from features_cache.cache import is_cache
from features_cache.hdf5 import DamagedFile
from features_cache.index import CLIPS, read_clips, read_index, refresh, write_clips
from features_cache.layout import AUDIO_SETTINGS, AXES, CRC, STATE, FeatureSpec, intact, is_of, read_header
from features_cache.table import validate
from features_cache.writer import install

CHUNK_BYTES = 1 << 20  # a chunk holds whole clips, about this much: small enough for a laptop's cache
DEFLATE_MOST = 1032  # times smaller at the most: what claims more is not in the file
SETTINGS = ("dataset", "source", "synthetic", *AUDIO_SETTINGS, "format_version")


def export_features(folder: Path, features: Sequence[str], target: Path) -> int:
    """Write these features to `target`; the number of clips whose damage kept them out."""
    clips, settings = read_index(folder)
    with replaced(target) as draft, hdf5.created(draft) as file:
        write_clips(file, clips, settings)
        bar = progress(features, label="export", unit="features")
        return sum(_export_feature(file, folder / f"{name}.h5") for name in bar)


def import_features(source: Path, folder: Path) -> list[str]:
    """Put the features of an exported file into a cache, made where it is not there; their names.

    RequestError where the cache is one of another source or has one of the features already, and where
    `verify_export` finds something wrong: nothing is imported then.
    """
    if wrong := verify_export(source):
        raise RequestError(f"{source}: {wrong[0]}; nothing was imported, export the features again")
    with hdf5.opened(source) as file:
        clips, settings = read_clips(file), hdf5.read_attributes(file)
        if is_cache(folder):
            clips, present = read_index(folder)
            if present != settings:
                raise RequestError(
                    f"{folder} is a cache of {present}, {source} one of {settings}; give NAME="
                )
        names = _features(file)
        for name in progress(names, label="import", unit="features"):
            group = file[name]
            install(folder, _spec(group, name), hdf5.read_column(group, "clip_id"), _clips(group))
    refresh(folder, clips, settings)
    return names


def verify_export(source: Path) -> list[str]:
    """What is wrong with an exported file: `mel: 1-100032-A-0 damaged`, or why it cannot be read."""
    if not source.exists():
        raise RequestError(f"{source}: there is no such file")
    try:
        with hdf5.opened(source) as file:
            validate(read_clips(file))
            if lacking := set(SETTINGS) - set(file.attrs):
                raise ValueError(f"it was not exported from a cache, it lacks {', '.join(sorted(lacking))}")
            names = _features(file)
            for name in names:
                _spec(hdf5.read_member(file, name), name)
            return [
                f"{name}: {file[name]['clip_id'][row].decode()} damaged"
                for name in progress(names, label="verify", unit="features")
                for row, values, state in _clips(file[name])
                if zlib.crc32(values.data) != state & int(CRC)
            ]
    except DamagedFile as damage:
        return [damage.reason]
    except RequestError as wrong:
        return [str(wrong)]


def _spec(group: h5py.Group, name: str) -> FeatureSpec:
    """What an exported feature says of itself; ValueError where its name or its parts are of another one."""
    attributes = hdf5.read_attributes(group)
    if not is_of(attributes, name):
        raise ValueError(f"{name} holds {attributes['stored']}")
    spec = FeatureSpec.of(attributes, *(hdf5.read_column(group, axis) for axis in AXES))
    ids, states = (hdf5.read_column(group, column) for column in ("clip_id", "state"))
    values, dtype = hdf5.read_member(group, "values"), np.dtype(spec.dtype)
    fits = values.shape == (len(ids), *spec.shape) and states.shape == ids.shape and states.dtype == STATE
    if not fits or values.dtype != dtype or dtype.kind != "f" or not values.chunks:
        raise ValueError(
            f"{name} holds {values.dtype} values of {values.shape} for {counted(len(ids), 'clip')}"
        )
    if values.nbytes > DEFLATE_MOST * values.id.get_storage_size() + CHUNK_BYTES:
        raise ValueError(f"{name} lacks values")
    return spec


def _export_feature(file: h5py.File, path: Path) -> int:
    """One feature; its number of damaged clips, which go without values and state."""
    found = read_header(path)
    group = file.create_group(path.stem)
    hdf5.write_attributes(group, found.attributes)
    hdf5.write_column(group, "clip_id", found.clip_ids)
    for axis in AXES:
        hdf5.write_column(group, axis, getattr(found, axis))
    clips = max(1, min(found.shape[0], CHUNK_BYTES // found.clip_bytes))
    chunks = (clips, *found.shape[1:])
    target = group.create_dataset(
        "values", found.shape, found.dtype, chunks=chunks, shuffle=True, compression="gzip", fletcher32=True
    )
    values, states = found.map(), np.array(found.map(state=True))
    damaged = 0
    for start in range(0, len(values), clips):
        block, words = values[start : start + clips].copy(), states[start : start + clips]
        wrong = (words != 0) & ~intact(block, range(len(block)), words)  # what is checked is what is written
        damaged += int(wrong.sum())
        words[wrong] = 0
        block[words == 0] = 0
        target[start : start + clips] = block
    hdf5.write_column(group, "state", states)
    return damaged


def _features(file: h5py.File) -> list[str]:
    return [name for name in file if name != CLIPS]


def _clips(group: h5py.Group) -> Iterator[tuple[int, NDArray, int]]:
    """(row, values, state word) of the clips that are done, chunk by chunk."""
    states, values = hdf5.read_column(group, "state"), group["values"]
    for start in range(0, len(states), values.chunks[0]):
        block = values[start : start + values.chunks[0]]
        for row in np.flatnonzero(states[start : start + len(block)]).tolist():
            yield start + row, block[row], int(states[start + row])
