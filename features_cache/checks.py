"""What of a feature's file holds for the clips of a table: matched by id, by fingerprint, by CRC."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features_cache.fingerprint import AUDIO_SETTINGS, FINGERPRINTED, feature_key, fingerprints
from features_cache.hdf5 import DamagedFile
from features_cache.layout import FeatureFile, FeatureSpec, read_header
from features_cache.state import FINGERPRINT, intact, states_at


@dataclass(frozen=True)
class Standing:
    """What is there for the clips of a table, (N,) each."""

    file: FeatureFile | None
    row_of: NDArray[np.intp]
    """Where a clip lies in the file, -1 where it does not."""
    done: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    """The state word says done and the bytes say otherwise."""
    fits: bool = False
    """The file has these clips in this order, and this shape, dtype and these parameters."""
    note: str = ""
    """Why a file that is there is no use."""


def standing(
    folder: Path,
    spec: FeatureSpec,
    clip_ids: NDArray[np.bytes_],
    keys: NDArray[np.uint64],
    part: slice = slice(0, 0),
    *,
    check: bool = False,
) -> Standing:
    """What the file of `spec` holds for these clips; with `check` the bytes of `part` are read as well."""
    none = np.zeros(len(clip_ids), bool)
    nothing = Standing(None, none - 1, none, none)
    try:
        file = read_header(folder / f"{spec.stored}.h5")
        row_of = file.rows_of(clip_ids)
    except FileNotFoundError:
        return nothing
    except DamagedFile as damage:
        return replace(nothing, note=str(damage))
    if file.shape[1:] != spec.shape or feature_key(file.attributes, file.attributes) != spec.key:
        return replace(nothing, file=file, row_of=row_of, note=_difference(file, spec))
    states = states_at(file.map(state=True), row_of)
    done, damaged = states >> FINGERPRINT == fingerprints(keys, spec.key), none.copy()
    if check:
        chosen = np.flatnonzero(done[part]) + part.start
        damaged[chosen] = ~intact(file.map(), row_of[chosen], states[chosen])
    return Standing(file, row_of, done & ~damaged, damaged, np.array_equal(file.clip_ids, clip_ids))


def _difference(file: FeatureFile, spec: FeatureSpec) -> str:
    """`mel.h5 has dtype float16, asked for is float32`."""
    told, wanted = file.attributes, spec.attributes()
    names = [name for name in (*FINGERPRINTED, *AUDIO_SETTINGS) if told.get(name) != wanted[name]]
    has, asked = (", ".join(f"{name} {one.get(name)}" for name in names) for one in (told, wanted))
    return f"{file.path.name} has {has}, asked for is {asked}"
