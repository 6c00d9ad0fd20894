"""Agreement with audioFlux and spafe, if they are installed: pip install -e
'.[bench]'.
"""

import numpy as np
import pytest
import scipy

from featurestack.pipeline.features import Clip
from featurestack.pipeline.parameters import Framing
from tests.pipeline.test_features import NOISE, RATE, compute

SOUND = np.concatenate([NOISE, 0.1 * NOISE])
CLIP = Clip(SOUND.astype(np.float32), RATE)


def test_shape_is_that_of_audioflux():
    audioflux = pytest.importorskip("audioflux")
    magnitude = np.ascontiguousarray(CLIP.magnitude(Framing()))
    spectral = audioflux.Spectral(
        len(magnitude), np.linspace(0, RATE / 2, len(magnitude), dtype=np.float32)
    )
    spectral.set_time_length(magnitude.shape[1])
    theirs = [
        spectral.skewness(magnitude),
        spectral.kurtosis(magnitude),
        spectral.entropy(magnitude, is_norm=True),
        spectral.crest(magnitude),
        spectral.flux(magnitude / np.linalg.norm(magnitude, axis=0), p=2, is_exp=True),
        spectral.decrease(magnitude),
    ]
    assert compute("shape", SOUND) == pytest.approx(
        np.array(theirs), rel=1e-4, abs=1e-4
    )


def test_gammatone_and_gfcc_are_those_of_audioflux():
    audioflux = pytest.importorskip("audioflux")
    bank = audioflux.BFT(
        num=128,
        radix2_exp=11,
        samplate=RATE,
        low_fre=50,
        high_fre=RATE / 2,
        slide_length=512,
        scale_type=audioflux.type.SpectralFilterBankScaleType.ERB,
        style_type=audioflux.type.SpectralFilterBankStyleType.GAMMATONE,
        data_type=audioflux.type.SpectralDataType.POWER,
    )
    theirs = 10 * np.log10(bank.bft(CLIP.y, result_type=1))
    # its first frame begins with the clip, ours is centred there
    frames = slice(2, 2 + theirs.shape[1])
    theirs -= 10 * np.log10(2)  # its bands are twice as high
    cepstrum = scipy.fft.dct(theirs, axis=0, norm="ortho")[:40]
    for name, other in {"gammatone": theirs, "gfcc": cepstrum}.items():
        deviation = np.sqrt(
            ((compute(name, SOUND)[:, frames] - other) ** 2).mean(axis=1)
        )
        # dB; audioFlux rounds the centres of the lowest and the highest bands otherwise
        assert np.median(deviation) < 0.05 and deviation.max() < 0.6


def test_lfcc_is_that_of_the_filters_of_spafe():
    banks = pytest.importorskip("spafe.fbanks.linear_fbanks")
    filters, _ = banks.linear_filter_banks(nfilts=128, nfft=2048, fs=RATE)
    levels = 10 * np.log10(filters @ CLIP.power(Framing()))
    cepstrum = scipy.fft.dct(
        np.maximum(levels, levels.max() - 80), axis=0, norm="ortho"
    )[:40]
    assert compute("lfcc", SOUND) == pytest.approx(cepstrum, abs=1e-3)
