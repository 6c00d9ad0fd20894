"""Each compiled loop equals the library's call that its docstring names."""

import importlib
import pkgutil

import librosa
import numpy as np
import pytest
import scipy.ndimage
from numba.core.dispatcher import Dispatcher

from commandline.registry import RequestError
from features_cache.names import Channel
from pipeline import kernels
from pipeline.features import FEATURES, Clip, resolve_feature
from pipeline.kernels import constantq, fourier, half, hpss, period, spectrum
from pipeline.parameters import MelBank, Wavelets


@pytest.fixture
def spectrogram() -> np.ndarray:
    """(150, 130) magnitudes with ties, zeros and a wide range."""
    generator = np.random.default_rng(0)
    values = np.exp(generator.normal(0, 3, (150, 130))).round(2).astype(np.float32)
    values[:, 40:80] = 0
    return values


@pytest.fixture
def sound() -> np.ndarray:
    generator = np.random.default_rng(3)
    time = np.arange(22050) / 22050
    return (np.sin(2 * np.pi * 440 * time) + 0.1 * generator.normal(size=time.size)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 15, 16, 31, 46, 150])
def test_running_median_is_scipys_bit_by_bit(spectrogram: np.ndarray, rows: int) -> None:
    for size in (31, 9):
        expected = scipy.ndimage.median_filter(spectrogram[:rows], size=(size, 1), mode="reflect")
        assert np.array_equal(hpss.running_median(spectrogram[:rows], size), expected)


def test_running_median_of_two_rows_is_by_hand(spectrogram: np.ndarray) -> None:
    two = spectrogram[:2]
    reflected = np.tile(np.concatenate([two[::-1], two]), (9, 1))  # b a a b b a a b ..., 36 rows
    expected = [np.median(reflected[first : first + 31], axis=0) for first in (3, 4)]
    assert np.array_equal(hpss.running_median(two, 31), expected)


def test_halves_are_hpss(spectrogram: np.ndarray) -> None:
    harmonic, percussive = librosa.decompose.hpss(spectrogram)
    ours = hpss.harmonic_percussive(spectrogram, 31)
    np.testing.assert_allclose(ours[0], harmonic**2, rtol=1e-5)
    np.testing.assert_allclose(ours[1], percussive**2, rtol=1e-5)


FRAMINGS = [
    (2048, 512, None),  # compiled, as all powers of two are
    (4096, 512, None),
    (1024, 441, 800),
    (128, 128, None),
    (64, 7, None),
    (32, 1, 20),
    (1000, 250, None),  # by scipy, as other lengths
    (2048, 2000, None),  # and few frames
]


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), FRAMINGS)
def test_magnitudes_are_stft(sound: np.ndarray, n_fft: int, hop_length: int, win_length: int | None) -> None:
    theirs = np.abs(librosa.stft(sound, n_fft=n_fft, hop_length=hop_length, win_length=win_length))
    ours = fourier.magnitudes(sound, hop_length, fourier.centred_window(win_length or n_fft, n_fft))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_magnitudes_keep_their_digits_whatever_the_level(sound: np.ndarray) -> None:
    window = fourier.centred_window(256, 256)
    plain = fourier.magnitudes(sound, 128, window)
    for level in (2.0**-60, 2.0**30):
        np.testing.assert_allclose(
            fourier.magnitudes(np.float32(level) * sound, 128, window), level * plain, rtol=1e-6
        )


@pytest.mark.parametrize(("n_fft", "hop_length", "_"), FRAMINGS)
def test_transforms_are_stft_without_a_window(
    sound: np.ndarray, n_fft: int, hop_length: int, _: int | None
) -> None:
    bins = slice(n_fft // 16, n_fft // 2 + 1)
    theirs = librosa.stft(sound, n_fft=n_fft, hop_length=hop_length, window="ones")[bins]
    ours = fourier.transforms(sound, hop_length, np.ones(n_fft), bins)
    np.testing.assert_allclose(ours, [theirs.real, theirs.imag], rtol=1e-6, atol=1e-6)


def test_decibels_are_librosas(spectrogram: np.ndarray) -> None:
    for power in (spectrogram, np.float32(1e-6) * spectrogram, 0 * spectrogram):
        np.testing.assert_allclose(spectrum.decibels(power), librosa.power_to_db(power), rtol=1e-6, atol=1e-5)


def test_mel_bands_are_librosas(spectrogram: np.ndarray) -> None:
    for bank in (MelBank(), MelBank(n_mels=40, fmin=100.0, fmax=5000.0)):
        values = np.resize(spectrogram, (1025, 20))
        filters = librosa.filters.mel(
            sr=22050, n_fft=2048, n_mels=bank.n_mels, fmin=bank.fmin, fmax=bank.fmax
        )
        np.testing.assert_allclose(spectrum.mel_bands(values, 22050, bank), filters @ values, rtol=1e-5)


def test_weighted_sums_of_columns(spectrogram: np.ndarray) -> None:
    weights = np.random.default_rng(1).normal(size=(3, 150))
    np.testing.assert_allclose(
        spectrum.weighted_sums(weights, spectrogram), weights @ spectrogram.astype(float)
    )


def test_first_bin_reaching_is_rolloff(spectrogram: np.ndarray) -> None:
    theirs = librosa.feature.spectral_rolloff(S=spectrogram, freq=np.arange(150.0), roll_percent=0.7)
    assert np.array_equal(spectrum.first_bin_reaching(spectrogram, 0.7), theirs[0])


@pytest.mark.parametrize("shift", [0.0, 0.3, -0.2])
def test_tuning_is_librosas(shift: float) -> None:
    time = np.arange(44100) / 44100
    notes = [220 * 2 ** ((n + shift) / 12) for n in (0, 4, 7, 12, 19)]
    y = np.sum([np.sin(2 * np.pi * note * time) for note in notes], axis=0).astype(np.float32)
    magnitude = np.abs(librosa.stft(y))
    for power, bins_per_octave in ((1, 36), (2, 12)):
        theirs = librosa.estimate_tuning(S=magnitude**power, sr=44100, bins_per_octave=bins_per_octave)
        ours = constantq.estimate_tuning(magnitude**power, 44100, 2048, bins_per_octave)
        assert ours == pytest.approx(theirs)
    assert constantq.estimate_tuning(np.zeros((1025, 5), np.float32), 44100, 2048, 12) == 0


@pytest.mark.parametrize(("length", "lags"), [(384, 384), (2048, 680), (100, 50), (20, 5), (4000, 1000)])
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_autocorrelation_is_librosas(
    sound: np.ndarray, length: int, lags: int, dtype: type, error: float
) -> None:
    window = fourier.centred_window(length, length).astype(dtype)
    for y in (sound.astype(dtype), sound[: length + 3000].astype(dtype)):  # the second has few frames
        frames = np.lib.stride_tricks.sliding_window_view(y, length)[::512].astype(float)
        theirs = librosa.autocorrelate(frames * window, max_size=lags, axis=1).T
        ours = fourier.autocorrelation(y, 512, window, lags)
        np.testing.assert_allclose(ours, theirs, atol=error * theirs.max())


def test_tempogram_at_multiples_is_tempogram_ratio() -> None:
    envelope = np.abs(np.random.default_rng(5).normal(size=300))
    tempogram = librosa.feature.tempogram(onset_envelope=envelope, sr=22050)  # (lags, frames)
    factors = np.array([2.0, 1.0, 0.5, 1 / 3])
    theirs = librosa.feature.tempogram_ratio(tg=tempogram, sr=22050, factors=factors)
    ours = period.at_multiples_of_tempo(tempogram, 22050, 512, factors)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)
HALVES = HALVES[np.isfinite(HALVES)].astype(float)
BETWEEN = (HALVES[:-1] + HALVES[1:]) / 2  # where two float16 are equally near


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("off", [0, 1e-17, 1e-12, -1e-12, 1e-8, -1e-8, 1e-3])
def test_rounding_to_float16_is_numpys_bit_by_bit(dtype: type, off: float) -> None:
    values = np.concatenate([HALVES, BETWEEN, BETWEEN * (1 + off), [5e-324, -1e-300, 1e-40, -0.0]])
    values = values[np.abs(values) <= 65504].astype(dtype)
    stored = half.to_float16(values)
    assert stored is not None
    np.testing.assert_array_equal(stored.view(np.uint16), values.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65505, -1e5, 1e300])
def test_what_float16_cannot_hold_is_not_rounded(value: float) -> None:
    for dtype in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            assert half.to_float16(np.array([[1, value]]).astype(dtype)) is None


def test_rounding_gives_rows_in_order_whatever_order_the_values_have(spectrogram: np.ndarray) -> None:
    for values in (spectrogram, spectrogram.T, spectrogram[::2, ::3], np.asfortranarray(spectrogram)):
        stored = half.to_float16(values)
        assert stored is not None and stored.flags.c_contiguous
        np.testing.assert_array_equal(stored, values.astype(np.float16))


def test_octaves_of_a_constant_q_bank_share_their_filters() -> None:
    beforehand, octaves = constantq.octaves(constantq.Bank(Wavelets()), 44100)
    assert (beforehand, len(octaves)) == (1, 7)
    built = constantq._filters.cache_info().misses
    constantq.octaves(constantq.Bank(Wavelets(), tuning=0.123), 44100)
    assert constantq._filters.cache_info().misses == built + 1
    with pytest.raises(constantq.TooHigh):
        constantq.octaves(constantq.Bank(Wavelets()), 8000)


def test_a_silent_clip_compiles_all_that_other_clips_need(sound: np.ndarray) -> None:
    """So the parent, which asks for shapes, compiles once for all its workers."""
    for name in FEATURES:
        resolve_feature(Channel(name)).shape(22050, 22050)
    before = {kernel: len(kernel.signatures) for kernel in _kernels()}
    clip = Clip(sound, 22050)
    for name in FEATURES:
        half.to_float16(resolve_feature(Channel(name)).compute(clip))
    assert before == {kernel: len(kernel.signatures) for kernel in _kernels()}
    assert len(before) > 20


def _kernels() -> list[Dispatcher]:
    modules = [
        importlib.import_module(f"{kernels.__name__}.{m.name}")
        for m in pkgutil.iter_modules(kernels.__path__)
    ]
    return [found for module in modules for found in vars(module).values() if isinstance(found, Dispatcher)]


def test_compiled_code_divides_by_zero_as_numpy_does() -> None:
    divided = kernels.compiled(lambda x: 1.0 / x)
    assert divided(0.0) == np.inf


def test_no_folder_for_compiled_code_is_reported_with_what_to_set(monkeypatch):
    def refuses(**options):
        raise RuntimeError("cannot cache function 'kernel': no locator available for file 'kernel.py'")

    monkeypatch.setattr(kernels, "njit", refuses)
    with pytest.raises(RequestError, match="NUMBA_CACHE_DIR"):
        kernels.compiled(abs)
