"""The state word: eight bytes beside each clip that say whether it is done, and of what.

    0                                     not done
    fingerprint << 32 | crc32 of values   done, from what fingerprint.py says

A word never straddles two pages and is written in one call, so that a kill leaves the old one or the new one.
"""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features_cache.layout import STATE, FeatureFile
from features_cache.storage import write_at

CRC = np.uint64(0xFFFFFFFF)
FINGERPRINT = np.uint64(32)  # bits that a fingerprint is shifted by
NOT_DONE = bytes(STATE.itemsize)


def state_word(fingerprint: int, values: NDArray) -> int:
    """What says that these values are done."""
    return int(fingerprint) << int(FINGERPRINT) | zlib.crc32(values.data)


def write_clip(descriptor: int, file: FeatureFile, row: int, values: NDArray, state: int) -> None:
    """State word to 0, values, state word: killed in between, the clip counts as not done."""
    place = file.state_offset + row * STATE.itemsize
    write_at(descriptor, NOT_DONE, place)
    write_at(descriptor, values.data, file.values_offset + row * file.clip_bytes)
    write_at(descriptor, np.array(state, STATE).tobytes(), place)


def forget(file: FeatureFile, rows: NDArray[np.integer]) -> None:
    """Set the state words of these rows to 0."""
    with file.path.open("r+b", buffering=0) as opened:
        for row in rows.tolist():
            write_at(opened.fileno(), NOT_DONE, file.state_offset + row * STATE.itemsize)


def states_at(states: NDArray[np.uint64], rows: NDArray[np.intp]) -> NDArray[np.uint64]:
    """State words of clips that lie at these rows; 0 of one that lies nowhere, at -1."""
    return np.where(rows >= 0, states[rows], np.uint64(0))


def intact(values: NDArray, rows: Iterable[int], states: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether the bytes at these rows are those that their state words speak of.

    One clip after the other: together they may be more than fits into memory.
    """
    crcs = (zlib.crc32(values[row].data) for row in rows)
    return np.fromiter(crcs, np.uint64, len(states)) == states & CRC
