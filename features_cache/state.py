"""Whether a clip is done and intact: its state word, the fingerprint in it, and the CRC of its bytes.

    0                                     not done
    fingerprint << 32 | crc32 of values   done, made from what the fingerprint covers

The fingerprint covers the clip's id, its audio's content, its alteration, the audio settings, the feature
with all parameters and the version of its code, and the type of the stored values. All of it is also written
in the cache, so that a reader computes the same number without the pipeline: values that were made from
anything else do not count as done, whoever put them there.

A word never straddles two pages and is written in one call, so that a kill leaves the old one or the new one.
Pure functions of arrays; layout.py knows where words and values lie in a file.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

STATE = np.dtype("<u8")
CRC = np.uint64(0xFFFFFFFF)
FINGERPRINT = np.uint64(32)  # bits that a fingerprint is shifted by
FINGERPRINTED = ("feature", "parameters", "code_version", "dtype")  # attributes of a feature's file
AUDIO_SETTINGS = ("sample_rate", "samples")  # attributes of the index


def clip_keys(clips: pd.DataFrame) -> NDArray[np.uint64]:
    """(N,) of what a clip is: id, alteration, hash of its source."""
    columns = (clips["clip_id"], clips["alteration"], clips["source_hash"])
    hashes = (_hash("\0".join(words)) for words in zip(*columns, strict=True))
    return np.fromiter(hashes, np.uint64, len(clips))


def feature_key(attributes: Mapping[str, Any], audio: Mapping[str, Any]) -> np.uint64:
    """Of what a feature is: attributes of its file, audio settings of the dataset."""
    covered = {name: attributes[name] for name in FINGERPRINTED} | {
        name: audio[name] for name in AUDIO_SETTINGS
    }
    return np.uint64(_hash(json.dumps(covered, sort_keys=True)))


def fingerprints(clips: NDArray[np.uint64], feature: np.uint64) -> NDArray[np.uint64]:
    """(N,) of 32 bits each, never 0: the finaliser of splitmix64 spreads every bit of either key."""
    mixed = clips ^ feature
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(mixed >> np.uint64(32), np.uint64(1))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def state_word(fingerprint: int, values: NDArray) -> int:
    """The word that says that these values are done."""
    return int(fingerprint) << int(FINGERPRINT) | zlib.crc32(values.data)


def intact(values: NDArray, rows: Iterable[int], states: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether the CRCs of the values at these rows are those in their state words.

    One clip after the other: together they may be more than fits into memory.
    """
    crcs = (zlib.crc32(values[row].data) for row in rows)
    return np.fromiter(crcs, np.uint64, len(states)) == states & CRC


@dataclass(frozen=True)
class ClipStatus:
    """What one feature's file holds of some clips, (B,) each: one of missing, outdated, damaged, done."""

    states: NDArray[np.uint64]
    """State words, 0 of a clip that has no row."""
    outdated: NDArray[np.bool_]
    """Made from other audio, settings, parameters or code, or the word itself is damaged."""
    damaged: NDArray[np.bool_]
    """The word is right and the CRC of the values is another; known only of clips that were checked."""
    done: NDArray[np.bool_]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Never written."""
        return self.states == 0


def clip_status(
    states: NDArray[np.uint64],
    rows: NDArray[np.intp],
    expected: NDArray[np.uint64],
    values: NDArray | None = None,
    check: NDArray[np.bool_] | None = None,
) -> ClipStatus:
    """Whether clips are done, and where `values` are given, whether these are intact.

    `states` and `values` are a whole file's; `rows` (B,) says where the clips lie in it, -1 for nowhere;
    `expected` (B,) are their fingerprints now; `check` (B,) leaves clips out of the comparison of CRCs.
    """
    found = np.where(rows >= 0, states[rows], np.uint64(0))
    current = found >> FINGERPRINT == expected
    damaged = np.zeros(len(rows), bool)
    if values is not None:
        chosen = np.flatnonzero(current if check is None else current & check)
        damaged[chosen] = ~intact(values, rows[chosen], found[chosen])
    return ClipStatus(found, (found != 0) & ~current, damaged, current & ~damaged)
