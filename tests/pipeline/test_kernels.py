"""Compiled loops in the cases that other tests do not reach: medians, rounding."""

import numpy as np
import pytest
import scipy.ndimage

from featurestack.pipeline import kernels
from featurestack.pipeline.kernels import hpss, spectrum
from tests.refusal import refused

RANDOM = np.random.default_rng(0)
# (150, 130) magnitudes with ties, zeros and a wide range
SPECTROGRAM = np.exp(RANDOM.normal(0, 3, (150, 130))).round(2).astype(np.float32)
SPECTROGRAM[:, 40:80] = 0


@pytest.mark.parametrize("rows", [1, 15, 16, 150])
def test_running_median_is_scipys_bit_by_bit(rows):
    x = SPECTROGRAM[:rows]
    expected = scipy.ndimage.median_filter(x, size=(31, 1), mode="reflect")
    assert np.array_equal(hpss.running_median(x, 31), expected)


HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)
HALVES = HALVES[np.isfinite(HALVES)].astype(float)
BETWEEN = (HALVES[:-1] + HALVES[1:]) / 2  # halfway between two float16


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("off", [0, 1e-12, -1e-12, 1e-3])
def test_rounding_to_float16_is_numpys_bit_by_bit(dtype, off):
    tiny = [5e-324, -1e-300, 1e-40, -0.0]
    values = np.concatenate([HALVES, BETWEEN, BETWEEN * (1 + off), tiny])
    values = values[np.abs(values) <= 65504].astype(dtype)
    assert spectrum.to_float16(values).tobytes() == values.astype(np.float16).tobytes()


@pytest.mark.parametrize("value", [np.nan, -np.inf, 65505])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_float16_cannot_hold_is_not_rounded(value, dtype):
    assert spectrum.to_float16(np.array([[1, value]], dtype)) is None


def test_no_folder_for_compiled_code_is_reported_with_what_to_set(monkeypatch):
    def refuses(**options):
        raise RuntimeError(
            "cannot cache function 'kernel': no locator available for file 'kernel.py'"
        )

    monkeypatch.setattr("numba.njit", refuses)
    with refused("NUMBA_CACHE_DIR"):
        kernels.compiled(abs)
