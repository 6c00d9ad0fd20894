"""Compiled loops that other tests do not reach in every case: medians, transforms, rounding."""

import librosa
import numpy as np
import pytest
import scipy.ndimage

from commandline.registry import RequestError
from pipeline import kernels
from pipeline.kernels import fourier, half, hpss

RANDOM = np.random.default_rng(0)
# (150, 130) magnitudes with ties, zeros and a wide range
SPECTROGRAM = np.exp(RANDOM.normal(0, 3, (150, 130))).round(2).astype(np.float32)
SPECTROGRAM[:, 40:80] = 0
SOUND = (np.sin(np.arange(22050) / 8) + RANDOM.normal(0, 0.1, 22050)).astype(np.float32)


@pytest.mark.parametrize("size", [31, 9])
@pytest.mark.parametrize("rows", [1, 7, 15, 16, 31, 46, 150])
def test_running_median_is_scipys_bit_by_bit(rows, size):
    expected = scipy.ndimage.median_filter(SPECTROGRAM[:rows], size=(size, 1), mode="reflect")
    assert np.array_equal(hpss.running_median(SPECTROGRAM[:rows], size), expected)


@pytest.mark.parametrize(
    ("n_fft", "hop_length", "win_length"),
    [
        (2048, 512, None),  # compiled, as all powers of two are
        (4096, 512, None),
        (1024, 441, 800),
        (128, 128, None),
        (64, 7, None),
        (32, 1, 20),
        (1000, 250, None),  # by scipy, as other lengths
        (2048, 2000, None),  # and few frames
    ],
)
def test_magnitudes_and_transforms_are_stft(n_fft, hop_length, win_length):
    framing = {"n_fft": n_fft, "hop_length": hop_length}
    window = fourier.centred_window(win_length or n_fft, n_fft)
    theirs = np.abs(librosa.stft(SOUND, win_length=win_length, **framing))
    np.testing.assert_allclose(fourier.magnitudes(SOUND, hop_length, window), theirs, rtol=1e-6, atol=1e-7)
    bins = slice(n_fft // 16, n_fft // 2 + 1)
    plain = librosa.stft(SOUND, window="ones", **framing)[bins]
    parts = fourier.transforms(SOUND, hop_length, np.ones(n_fft), bins)
    np.testing.assert_allclose(parts, [plain.real, plain.imag], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("length", "lags"), [(384, 384), (2048, 680), (100, 50), (20, 5), (4000, 1000)])
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_autocorrelation_is_librosas(length, lags, dtype, error):
    window = fourier.centred_window(length, length).astype(dtype)
    for y in (SOUND.astype(dtype), SOUND[: length + 3000].astype(dtype)):  # the second has few frames
        frames = np.lib.stride_tricks.sliding_window_view(y, length)[::512].astype(float)
        theirs = librosa.autocorrelate(frames * window, max_size=lags, axis=1).T
        ours = fourier.autocorrelation(y, 512, window, lags)
        np.testing.assert_allclose(ours, theirs, atol=error * theirs.max())


HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)
HALVES = HALVES[np.isfinite(HALVES)].astype(float)
BETWEEN = (HALVES[:-1] + HALVES[1:]) / 2  # where two float16 are equally near


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("off", [0, 1e-17, 1e-12, -1e-12, 1e-8, -1e-8, 1e-3])
def test_rounding_to_float16_is_numpys_bit_by_bit(dtype, off):
    values = np.concatenate([HALVES, BETWEEN, BETWEEN * (1 + off), [5e-324, -1e-300, 1e-40, -0.0]])
    values = values[np.abs(values) <= 65504].astype(dtype)
    assert half.to_float16(values).tobytes() == values.astype(np.float16).tobytes()


def test_rounding_gives_rows_in_order_whatever_order_the_values_have():
    for values in (SPECTROGRAM, SPECTROGRAM.T, SPECTROGRAM[::2, ::3], np.asfortranarray(SPECTROGRAM)):
        stored = half.to_float16(values)
        assert stored.flags.c_contiguous
        np.testing.assert_array_equal(stored, values.astype(np.float16))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65505, -1e5, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_float16_cannot_hold_is_not_rounded(value, dtype):
    assert half.to_float16(np.array([[1, value]], dtype)) is None


def test_no_folder_for_compiled_code_is_reported_with_what_to_set(monkeypatch):
    def refuses(**options):
        raise RuntimeError("cannot cache function 'kernel': no locator available for file 'kernel.py'")

    monkeypatch.setattr("numba.njit", refuses)
    with pytest.raises(RequestError, match="NUMBA_CACHE_DIR"):
        kernels.compiled(abs)
