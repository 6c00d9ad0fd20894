"""Fingerprint, state word and CRC: whether a clip is done and intact."""

import numpy as np
import pandas as pd
import pytest

from features_cache.state import (
    CRC,
    FINGERPRINT,
    clip_keys,
    clip_status,
    feature_key,
    fingerprints,
    state_word,
)

CLIP = {"clip_id": "a", "alteration": "", "source_hash": "00ff"}
FEATURE = {"feature": "mel", "parameters": '{"n_mels": 128}', "code_version": 1, "dtype": "float16"}
KNOWN = 3235863038  # of these: a cache made today is read tomorrow
AUDIO = {"sample_rate": 44100, "samples": 220500}


def fingerprint(**change):
    clip = pd.DataFrame([CLIP | {key: value for key, value in change.items() if key in CLIP}])
    feature = FEATURE | {key: value for key, value in change.items() if key in FEATURE}
    audio = AUDIO | {key: value for key, value in change.items() if key in AUDIO}
    return int(fingerprints(clip_keys(clip), feature_key(feature, audio))[0])


@pytest.mark.parametrize("name", [*CLIP, *FEATURE, *AUDIO])
def test_everything_that_values_depend_on_is_covered(name):
    given = (CLIP | FEATURE | AUDIO)[name]
    assert fingerprint(**{name: given + 1 if isinstance(given, int) else given + "x"}) != fingerprint()


def test_neighbouring_columns_do_not_run_together():
    assert fingerprint(clip_id="ab", alteration="") != fingerprint(clip_id="a", alteration="b")


def test_it_is_never_zero_and_spreads_evenly():
    keys = np.arange(1 << 16, dtype=np.uint64)
    told = fingerprints(np.append(keys, np.uint64(7)), np.uint64(7))
    assert told.min() >= 1
    assert told.max() < 1 << 32
    assert len(np.unique(told)) > 0.9999 * len(keys)


def test_it_stays_the_same_from_version_to_version():
    assert fingerprint() == KNOWN


def test_a_word_is_the_fingerprint_above_the_crc():
    word = np.uint64(state_word(0xABCD1234, np.frombuffer(b"123456789", np.uint8)))
    assert word >> FINGERPRINT == 0xABCD1234
    assert word & CRC == 0xCBF43926  # the CRC-32 of these digits in every textbook


def test_a_clip_is_missing_outdated_damaged_or_done():
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    states = np.array([0, *(state_word(7, values[row]) for row in (1, 2, 3))], np.uint64)
    values[3] += 1
    rows, expected = np.array([0, 1, 2, 3, -1]), np.array([7, 7, 8, 7, 7], np.uint64)
    status = clip_status(states, rows, expected, values)
    assert status.states.tolist() == [*states.tolist(), 0]
    assert status.missing.tolist() == [True, False, False, False, True]
    assert status.done.tolist() == [False, True, False, False, False]
    assert status.outdated.tolist() == [False, False, True, False, False]
    assert status.damaged.tolist() == [False, False, False, True, False]
    assert clip_status(states, rows, expected).done.tolist() == [False, True, False, True, False]
    unchecked = clip_status(states, rows, expected, values, np.zeros(5, bool))
    assert unchecked.done.tolist() == [False, True, False, True, False]
