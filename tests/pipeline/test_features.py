"""Every feature against its definition, on every kind of sound, and by known answers;
its axes; the intermediates of a clip.
"""

import pickle
import re
from contextlib import suppress

import cloudpickle
import librosa
import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.base.errors import Failed, RequestError
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.pipeline.clip_spectra import Clip, shared
from featurestack.pipeline.features import (
    FEATURES,
    feature,
    features_of_all,
    resolve_feature,
)
from featurestack.pipeline.parameters import Impossible
from featurestack.pipeline.show_features import MEASURED
from tests import reference
from tests.cases import cases, data
from tests.refusal import refused

RATE = 44100
LARGEST_FLOAT16 = 65504


def feature_of(name):
    return resolve_feature(parse_feature_name(name))


def compute(name, y, rate=RATE):
    return feature_of(name).compute(Clip.decoded(y.astype(np.float32), rate))


def tone(frequency, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(RATE) / rate)


def beats():
    """Decaying tones at 120 BPM over faint noise."""
    time = np.arange(RATE) / RATE
    strike = np.exp(-20 * (time % 0.5)) * np.sin(2 * np.pi * 330 * time)
    return 0.4 * strike + 1e-4 * np.random.default_rng(2).normal(size=RATE)


NOISE = np.random.default_rng(1).normal(0, 0.2, RATE)
KINDS = {  # all of as many samples, so of as many frames
    "beats": (beats(), RATE),
    "silence": (np.zeros(RATE), RATE),
    "one sample": (np.pad([0.7], (0, RATE - 1)), RATE),
    "clipped square": (np.sign(tone(440)), RATE),
    "white noise": (NOISE, RATE),
    "pure tone": (tone(1000), RATE),
    "noise at 8 kHz": (NOISE, 8000),
    "tone at 96 kHz": (tone(700, 96000), 96000),
}
VARIANTS = data(__file__)["VARIANTS"]

EVERY = FEATURES.complete()
# a user's feature may have none
DEFINED = [name for name in EVERY if name in reference.DEFINITIONS]
TWICE = 20 * np.log10(2)  # dB


# share of the largest |value| of a row on the clips compared, which is at least
# SMALLEST_SCALE of the feature's
TOLERANCE, SMALLEST_SCALE = 1e-4, 1e-3
# features that choose among many bins: share of values that must agree
PICK_A_BIN = {"rolloff": 0.999, "yin": 0.999}
# features of an estimated tuning or tempo: share of clips that must agree in all values
BY_ESTIMATE = 0.995


def agrees(name, sounds):
    """Compare a feature with its definition; at 8 kHz it may be impossible. float16
    holds every value.
    """
    chosen = feature_of(name)
    ours = []
    theirs = []
    for samples, rate in sounds:
        y = samples.astype(np.float32)
        try:
            ours.append(chosen.compute(Clip(y, rate)))
        except Impossible:
            assert rate == 8000
            continue
        kind = chosen.name
        theirs.append(reference.compute(kind, y, rate, **chosen.parameters))
    assert np.isfinite(ours).all() and np.abs(ours).max() <= LARGEST_FLOAT16
    kind = chosen.name
    largest = np.abs(theirs).max(axis=(0, 2)).astype(float)
    scale = np.maximum(largest, SMALLEST_SCALE * largest.max())[:, None]
    difference = np.abs(np.array(ours, float) - theirs)
    right = difference <= TOLERANCE * scale
    least = PICK_A_BIN.get(kind, 1)
    if chosen.estimated:
        right = right.all(axis=(1, 2))
        least = BY_ESTIMATE
    assert right.mean() >= least, f"{name}: {(difference / scale).max():.2g} of a row"


@pytest.mark.parametrize("name", DEFINED)
def test_agrees_with_its_definition_on_every_kind_of_sound(name):
    agrees(name, KINDS.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_agree_with_their_definition(name):
    agrees(name, [KINDS["beats"], KINDS["white noise"]])


def test_every_feature_has_its_definition_and_its_measurement_and_no_other_has():
    measured = pd.read_csv(MEASURED)["feature"]
    assert {*reference.DEFINITIONS} == {*measured} == {*EVERY}


def other_values(parameter):
    """Values of a parameter near its default, in its range."""
    default = parameter.default
    if parameter.kind is bool:
        return [not default]
    if default is None:
        return [parameter.kind(value) for value in (30, 4000)]
    near = [default * 2, default // 2 or default / 2, default + 2, default / 3]
    return [value for value in near if value in parameter.within]


def changes(name, parameter, y, rate):
    """Whether some value of a parameter, of those that can exist, changes the values of
    a feature.
    """
    before = compute(name, y, rate)
    for value in other_values(FEATURES[name].declared[parameter]):
        with suppress(Impossible, RequestError):
            after = compute(f"{name}@{parameter}={value}", y, rate)
            if not np.array_equal(before, after):
                return True
    return False


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name in EVERY for parameter in FEATURES[name].declared],
)
def test_every_parameter_changes_the_values(name, parameter):
    """The values of beats, because a tempo may be estimated."""
    assert changes(name, parameter, *KINDS["beats"]), f"{name} ignores {parameter}"


@pytest.mark.parametrize(
    "name",
    [name for name in FEATURES.complete() if FEATURES[name].units.startswith("dB")],
)
def test_a_level_and_no_other_decibels_rise_by_6_dB_when_the_waveform_is_doubled(name):
    """AUGMENT=gain depends on the units; row 0 of a cepstrum is the sum over the
    bands.
    """
    risen = compute(name, 2 * NOISE) - compute(name, NOISE)
    if FEATURES[name].units == "dB, cepstrum":
        assert risen[0] == pytest.approx(np.sqrt(128) * TWICE, rel=1e-3)
        risen = risen[1:]
    expected = TWICE if FEATURES[name].units == "dB" else 0
    assert risen == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ["stft", "mel", "gammatone", "cqt", "vqt"])
def test_a_pure_tone_is_loudest_in_the_row_of_its_frequency(name):
    loudest = compute(name, tone(1000)).mean(axis=1).argmax()
    assert feature_of(name).row_axis(RATE)[loudest] == pytest.approx(1000, rel=0.03)


def test_a_beat_is_found_at_its_rate_and_padding_does_not_change_it():
    """Amplitude modulation of noise at 8 Hz; a second of padding behind it."""
    time = np.arange(2 * RATE) / RATE
    noise = np.random.default_rng(3).normal(0, 0.1, time.size)
    sound = (1 + np.sin(2 * np.pi * 8 * time)) * noise
    depth = compute("modulation", sound)
    rates = feature_of("modulation").frame_axis(RATE, 2 * RATE)
    assert rates[depth.mean(axis=0).argmax()] == pytest.approx(8, rel=0.25)
    narrow = 84 ** (1 / 24)  # half of one of twelve equal ratios from 0.5 to 42 Hz
    assert (rates[0], rates[-1]) == pytest.approx((0.5 * narrow, 42 / narrow))
    padded = compute("modulation", np.pad(sound, (0, RATE)))
    assert padded == pytest.approx(depth, abs=0.05)


def test_the_frequency_of_a_tone_deviates_by_its_distance_from_the_bins():
    """A Hann window spreads a tone in the middle of a bin over three, of which two lie
    a bin away.
    """
    distance = RATE / 2048
    band = np.abs(feature_of("ifd").row_axis(RATE) - 100 * distance).argmin()
    deviation = compute("ifd", tone(100 * distance))[band, 5:-5]
    assert deviation == pytest.approx(distance / 3, rel=0.1)


@cases("given", "stored")
def test_names_are_canonical(given, stored):
    assert feature_of(given).stored == stored and feature_of(stored) == feature_of(
        given
    )


@cases("name", "message")
def test_a_wrong_value_or_parameter_is_refused_with_what_is_expected(name, message):
    with refused(message):
        feature_of(name)


LIBROSAS = {
    "stft@n_fft=600": lambda rate: librosa.fft_frequencies(sr=rate, n_fft=600),
    "mel": lambda rate: librosa.mel_frequencies(130, fmax=rate / 2)[1:-1],
    "mel@n_mels=7,fmin=50,fmax=500": lambda rate: librosa.mel_frequencies(
        9, fmin=50, fmax=500
    )[1:-1],
    "cqt": lambda rate: librosa.cqt_frequencies(84, fmin=librosa.note_to_hz("C1")),
    "tempogram": lambda rate: librosa.frames_to_time(np.arange(384), sr=rate),
    "fourier_tempogram": lambda rate: librosa.fourier_tempo_frequencies(
        sr=rate, win_length=384
    ),
}


@pytest.mark.parametrize("name", LIBROSAS)
def test_rows_stand_for_what_librosa_says(name):
    rows = feature_of(name).row_axis(44100)
    np.testing.assert_allclose(rows, LIBROSAS[name](44100), rtol=1e-12)


@pytest.mark.parametrize(
    "name", [*EVERY, "fourier_tempogram@hop_length=300", "cqt@hop_length=192,n_bins=30"]
)
def test_a_pickled_feature_has_the_shape_of_its_axes_for_any_number_of_samples(name):
    samples = 37 * 512 - 1
    chosen = pickle.loads(cloudpickle.dumps(feature_of(name)))  # as a worker gets it
    # `compute` refuses another shape
    chosen.compute(Clip(NOISE[:samples].astype(np.float32), RATE))
    if chosen.frame_unit == "s":
        first, *_, last = chosen.frame_axis(RATE, samples)
        assert first == 0 and last == pytest.approx(samples / RATE, abs=0.1)


@cases("name", "rate", "samples")
def test_what_cannot_exist_says_why(name, rate, samples):
    with pytest.raises(Impossible, match=r"\d"):
        feature_of(name).shape(rate, samples)


def test_clips_of_nine_frames_have_a_delta():
    assert feature_of("mel_delta").shape(44100, 8 * 512) == (128, 9)


def test_an_intermediate_is_computed_once_for_its_arguments():
    computed = []

    @shared
    def spectrum(clip, n_fft):
        computed.append(n_fft)
        return n_fft

    clip = Clip(np.zeros(1), 8000)
    assert [spectrum(clip, n_fft) for n_fft in (600, 50, 600)] == [600, 50, 600]
    assert computed == [600, 50]


def test_a_feature_of_a_users_own_has_plain_keywords_a_digest_and_no_frames(
    monkeypatch,
):
    for name in ("mine", "framed", "five"):
        monkeypatch.setitem(FEATURES, name, FEATURES["mel"])  # gone after the test
        del FEATURES[name]

    @feature(units="", rows=2, frames=None)
    def mine(clip, *, q=0.5):
        return np.full((2, 1), q)

    @feature(units="")
    def framed(clip):
        return np.zeros((1, 3))

    @feature(units="")
    def five(clip):
        return np.zeros((5, 800))

    clip = Clip(np.zeros(800, np.float32), 8000)
    assert feature_of("mine@q=0.25").compute(clip).tolist() == [[0.25], [0.25]]
    assert re.fullmatch("1, [0-9a-f]{12}", FEATURES["mine"].code_version)
    assert FEATURES["mel"].code == ""
    with pytest.raises(ValueError, match=r"shape \(1, 3\), expected .* \(1, 800\)"):
        feature_of("framed").compute(clip)
    with pytest.raises(ValueError, match=r"\(1, 800\), from .*or a parameter hop"):
        feature_of("five").compute(clip)
    with refused("its keyword q needs a default"):
        feature(units="")(lambda clip, *, q: None)
    with refused(r"an option follows \*: def .*\(…, \*, q=0.5\)"):
        feature(units="")(lambda clip, q=0.5: None)
    with refused("unknown argument of fs.feature 'row'; did you mean 'row_unit'"):
        feature(units="", row=3)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (np.full((1, 87), 1j), "^rms: returned complex128 .*, expected real numbers"),
        (None, r"returned object .*, expected real numbers of the shape \(1, 87\)"),
        (np.full((1, 87), np.nan), "^rms: 87 values NaN"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(monkeypatch, returned, said):
    monkeypatch.setitem(vars(FEATURES["rms"]), "function", lambda *_, **__: returned)
    with pytest.raises(Failed, match=said):
        fs.compute(fs.tone(440), "rms")


def test_the_rows_of_a_users_own_feature_follow_its_parameters(monkeypatch):
    for name in ("bands", "turned"):
        monkeypatch.setitem(FEATURES, name, FEATURES["mel"])  # gone after the test
        del FEATURES[name]

    @feature(units="", rows=lambda sample_rate, *, n_bands: n_bands + 1)
    def bands(clip, *, n_bands=4, extra=1, hop_length=400):
        return np.zeros((n_bands + extra, 3))

    @feature(units="", rows=2)
    def turned(clip, *, hop_length=400):
        return np.zeros((3, 2))

    clip = Clip(np.zeros(800, np.float32), 8000)
    assert feature_of("bands").compute(clip).shape == (5, 3)
    assert feature_of("bands@n_bands=7").row_axis(8000).tolist() == [*range(8)]
    with pytest.raises(ValueError, match=r"\(7, 3\), expected .* \(5, 3\).*rows="):
        feature_of("bands@extra=3").compute(clip)
    with pytest.raises(ValueError, match=r"\(3, 2\), expected .* \(2, 3\), from"):
        feature_of("turned").compute(clip)


def test_an_experiment_is_a_feature_that_all_does_not_name(monkeypatch):
    before = features_of_all()
    monkeypatch.setitem(vars(FEATURES["rms"]), "experiment", True)
    assert [name for name in before if name not in features_of_all()] == ["rms"]
