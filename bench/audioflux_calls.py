"""audioFlux 0.1.9 called as its documentation does: objects are made once, and then used clip by clip.

Its values are not librosa's: other windows, norms and frame counts. Features that it lacks are not here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

RADIX2_EXP = 11  # n_fft 2048
HOP = 512
Call = Callable[[np.ndarray], Any]


def calls(sample_rate: int) -> dict[str, Call]:
    """Feature -> function of a clip; empty where audioFlux is not installed."""
    try:
        import audioflux as af
    except ImportError:
        return {}
    from audioflux.type import SpectralDataType, SpectralFilterBankScaleType

    common = {"radix2_exp": RADIX2_EXP, "samplate": sample_rate, "slide_length": HOP}
    power = {"data_type": SpectralDataType.POWER}
    linear = af.BFT(num=2**RADIX2_EXP // 2 + 1, scale_type=SpectralFilterBankScaleType.LINEAR, **common)
    mel = af.BFT(num=128, scale_type=SpectralFilterBankScaleType.MEL, **common, **power)
    coefficients = af.XXCC(num=128)
    spectral = af.Spectral(num=linear.num, fre_band_arr=linear.get_fre_band_arr())
    constant_q = {"num": 84, "samplate": sample_rate, "slide_length": HOP}
    cqt, vqt = af.CQT(**constant_q), af.CQT(beta=0.5, **constant_q)
    pitch = af.PitchYIN(
        samplate=sample_rate, low_fre=65.0, high_fre=2000.0, radix2_exp=RADIX2_EXP, slide_length=HOP
    )

    def mel_power(y: np.ndarray) -> np.ndarray:
        return mel.bft(y, result_type=1)

    def mfcc(y: np.ndarray) -> np.ndarray:
        values = mel_power(y)
        coefficients.set_time_length(time_length=values.shape[-1])
        return coefficients.xxcc(values, cc_num=40)

    def chroma(y: np.ndarray) -> np.ndarray:
        return af.chroma_linear(y, high_fre=sample_rate / 2, **common, **power)

    def of_spectrum(method: str) -> Call:
        def call(y: np.ndarray) -> Any:
            values = linear.bft(y, result_type=1)
            spectral.set_time_length(values.shape[-1])
            return getattr(spectral, method)(values)

        return call

    return {
        "stft": lambda y: linear.bft(y, result_type=1),
        "mel": mel_power,
        "mfcc": mfcc,
        "chroma": chroma,
        "mel+mfcc+chroma": lambda y: (mfcc(y), chroma(y)),  # mfcc passes by mel
        "cqt": lambda y: np.abs(cqt.cqt(y)),
        "vqt": lambda y: np.abs(vqt.cqt(y)),
        "chroma_cqt": lambda y: cqt.chroma(cqt.cqt(y)),
        "centroid": of_spectrum("centroid"),
        "bandwidth": of_spectrum("band_width"),
        "rolloff": of_spectrum("rolloff"),
        "flatness": of_spectrum("flatness"),
        "yin": pitch.pitch,
    }
