"""A fingerprint tells apart whatever could make values differ, and is never 0."""

import numpy as np
import pandas as pd
import pytest

from features_cache.fingerprint import clip_keys, feature_key, fingerprints

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
