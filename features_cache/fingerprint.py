"""The 32 bits in a clip's state word that say what its values were made from.

Covered are the clip's id, its audio's content, its alteration, the audio settings, the feature with all
parameters and the version of its code, and the type of the stored values. All of it is also written in the
cache, so that a reader computes the same number without the pipeline: values that were made from anything
else do not count as done, whoever put them there.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
