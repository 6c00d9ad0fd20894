"""What of a feature's file holds for the clips of a table: matched by id, by fingerprint, by CRC."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache.fingerprint import AUDIO_SETTINGS, FINGERPRINTED, feature_key, fingerprints
from features_cache.layout import DamagedFile, FeatureFile, FeatureSpec, read_header

CRC = np.uint64(0xFFFFFFFF)
FINGERPRINT = np.uint64(32)  # bits that a fingerprint is shifted by in a state word


@dataclass(frozen=True)
class Standing:
    """What is there for the clips of a table, (N,) each."""

    file: FeatureFile | None
    row_of: NDArray[np.intp]
    """Where a clip lies in the file, -1 where it does not."""
    done: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    """The state word says done and the bytes say otherwise."""
    fits: bool
    """The file has these clips in this order, and this shape, dtype and these parameters."""
    note: str = ""
    """Why a file that is there is no use."""


def crc_matches(file: FeatureFile, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether the bytes of these rows have the CRC that their state words say."""
    values, states = file.map(), file.map(state=True)
    crcs = np.fromiter((zlib.crc32(values[row].data) for row in rows), np.uint64, len(rows))
    return crcs == states[rows] & CRC


def rows_of(file: FeatureFile, clip_ids: NDArray[np.bytes_]) -> NDArray[np.intp]:
    """(N,) where these clips lie in the file, -1 where they do not."""
    own = file.clip_ids
    if np.array_equal(own, clip_ids):
        return np.arange(len(own))
    return pd.Index(own).get_indexer(pd.Index(clip_ids)).astype(np.intp)


def states_of(states: NDArray[np.uint64], row_of: NDArray[np.intp]) -> NDArray[np.uint64]:
    """State words of clips that lie at these rows; 0 of one that lies nowhere, at -1."""
    return np.append(states, np.uint64(0))[row_of]


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
    nothing = np.zeros(len(clip_ids), bool)
    try:
        file = read_header(folder / f"{spec.stored}.h5")
        row_of = rows_of(file, clip_ids)
    except FileNotFoundError:
        return Standing(None, nothing.astype(np.intp) - 1, nothing, nothing, fits=False)
    except DamagedFile as damage:
        return Standing(None, nothing.astype(np.intp) - 1, nothing, nothing, fits=False, note=str(damage))
    alike = file.shape[1:] == spec.shape and feature_key(file.attributes, file.attributes) == spec.key
    if not alike:
        return Standing(file, row_of, nothing, nothing, fits=False, note=_difference(file, spec))
    done = states_of(file.map(state=True), row_of) >> FINGERPRINT == fingerprints(keys, spec.key)
    damaged = nothing.copy()
    if check:
        chosen = np.flatnonzero(done[part]) + part.start
        damaged[chosen] = ~crc_matches(file, row_of[chosen])
    fits = len(file.clip_ids) == len(row_of) and np.array_equal(row_of, np.arange(len(row_of)))
    return Standing(file, row_of, done & ~damaged, damaged, fits)


def _difference(file: FeatureFile, spec: FeatureSpec) -> str:
    """`mel.h5 has dtype float16, asked for is float32`."""
    wanted = spec.attributes()
    differing = [
        name for name in (*FINGERPRINTED, *AUDIO_SETTINGS) if file.attributes.get(name) != wanted[name]
    ]
    has, asked = (
        ", ".join(f"{name} {told.get(name)}" for name in differing) for told in (file.attributes, wanted)
    )
    return f"{file.path.name} has {has}, asked for is {asked}"
