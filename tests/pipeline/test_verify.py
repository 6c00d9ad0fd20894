"""`verify`: damage by CRC, and what a cache says by plain librosa."""

import random
from dataclasses import replace

import numpy as np
import pytest

from features_cache import Cache
from pipeline import extract, verify
from pipeline.features import FEATURES
from pipeline.options import FeaturesCommand, VerifyCommand
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset


@pytest.fixture
def made(tmp_path):
    """Makes the cache, then gives the options of `verify`."""
    sounds = ChangingDataset(tmp_path / "sounds", random.Random(0), clips=4)
    where = {"dataset": str(sounds.csv), "data": tmp_path / "data"}

    def make(**given):
        options = {"features": "mel rms", "sample_rate": SAMPLE_RATE, "duration": 1.0, "jobs": 1}
        extract.run(FeaturesCommand(**where, **options | given))
        return VerifyCommand(**where, recompute=3)

    return make


def test_a_cache_agrees_with_plain_librosa(made, capsys):
    options = made(copies=2, alter="pitch,noise")
    assert verify.run(replace(options, recompute=12)) == 0
    shown = capsys.readouterr().out
    assert "mel: 12 clips intact" in shown and "12 clips computed again" in shown
    assert "mel agrees: 0 of " in shown
    assert "rms agrees" in shown


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_that_differ_by_more_than_tolerance_and_rounding_are_found(made, capsys, monkeypatch, dtype):
    def louder(clip, **parameters):
        return right(clip, **parameters) * np.float32(1.01)

    right = FEATURES["rms"].function
    monkeypatch.setitem(vars(FEATURES["rms"]), "function", louder)
    options = made(dtype=dtype)
    assert verify.run(options) == 1
    shown = capsys.readouterr().out
    assert "rms DIFFERS" in shown
    assert "mel agrees" in shown


def test_damage_is_named_and_the_rest_still_compared(made, capsys):
    options = made()
    cache = Cache(options.data / "sounds" / "features")
    file = cache["rms"]
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset + file.clip_bytes)
        opened.write(b"\x12\x34")
    assert verify.run(options) == 1
    shown = capsys.readouterr().out
    assert "rms: clip00002 damaged" in shown
    assert "mel agrees" in shown
