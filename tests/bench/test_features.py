"""The bench of features: every way is measured at every feature that it has, and the tables say so."""

import importlib.util
import re

import numpy as np
import pytest
import soundfile

from bench import audioflux_calls, essentia_calls
from bench.features import RATE, SAMPLES, measure
from bench.features_report import TARGETS, Measured, picture, report

NAMES = ("mel", "mfcc", "chroma", "rms")
LIBRARIES = {"audioflux": audioflux_calls, "essentia": essentia_calls}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("sounds")
    paths = [str(folder / f"{number}.wav") for number in range(2)]
    for path in paths:
        soundfile.write(path, rng.normal(0, 0.1, SAMPLES), RATE)
    return paths


def test_every_way_is_measured_at_every_feature_that_it_has(sounds):
    measured = measure(sounds, NAMES)
    for way in (measured.together, measured.alone, measured.librosa):
        assert tuple(way) == NAMES
        assert min(way.values()) > 0
    for library, module in LIBRARIES.items():
        assert set(getattr(measured, library)) == set(module.calls(RATE)) & set(NAMES)
    librosa = {"librosa, call by call", "librosa, one shared spectrogram"}
    assert {"ours", *librosa} <= measured.triples.keys()
    assert measured.triples["librosa, call by call"] > measured.triples["ours"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_call_of_another_library_gives_a_value_a_frame(library):
    if importlib.util.find_spec(library) is None:
        assert LIBRARIES[library].calls(RATE) == {}
        pytest.skip(f"needs {library}: pip install -r requirements-bench.txt")
    y = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    for name, call in LIBRARIES[library].calls(RATE).items():
        if "+" not in name:
            values = np.asarray(call(y)[0] if isinstance(call(y), tuple) else call(y))
            assert max(values.shape) >= RATE // 512 - 4, name
            assert np.isfinite(values).all(), name


def made(**ways):
    times = {"mel": 2.0, "rms": 1.0}
    given = {"together": times, "alone": times, "librosa": times, "audioflux": {}, "essentia": {"mel": 3.0}}
    return Measured(**{**given, "triples": {"ours": 1.0, "librosa, call by call": 7.0}, **ways})


def test_the_report_says_what_is_met_missed_and_not_installed(tmp_path):
    found = dict(zip(TARGETS, [7.0, 3.9, np.nan, 12.0, 0.9, 500.0, 3.0], strict=True))
    shown = report(made(), found)
    verdict = {line.split("  ")[0]: line.split()[-1] for line in shown.splitlines() if line.strip()}
    assert [verdict[what] for what in TARGETS] == [
        "met",
        "missed",
        "installed",
        "met",
        "missed",
        "met",
        "met",
    ]
    assert re.search(r"^mel +2\.00 +3\.00 +2\.00 +2\.00$", shown, re.MULTILINE)
    assert shown.endswith("not installed: audioflux; pip install -r requirements-bench.txt")
    picture(made(), tmp_path / "features.png")
    assert (tmp_path / "features.png").stat().st_size > 10_000
