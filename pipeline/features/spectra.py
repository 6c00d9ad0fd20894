"""Spectrograms, and what is read off their shape over frequency band by band."""

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible, melspectrogram
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.parameters import Count, Framing, MelBank, Odd, Positive, Unit


@feature(units="amplitude")
def waveform(clip: Clip) -> np.ndarray:
    """The samples themselves."""
    return clip.y[None]


@feature(units="dB", rows=axes.fft, row_unit="Hz")
def stft(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectrogram."""
    return librosa.amplitude_to_db(clip.magnitude(framing))


@feature(units="dB", rows=axes.mel, row_unit="Hz")
def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram."""
    return clip.mel_db(bank, framing)


@feature(units="dB/frame", rows=axes.mel, row_unit="Hz")
def mel_delta(clip: Clip, *, width: Odd = 9, bank: MelBank, framing: Framing) -> np.ndarray:
    """Slope of the mel spectrogram."""
    return slope(mel(clip, bank=bank, framing=framing), width, order=1)


@feature(units="dB")
def mfcc(clip: Clip, *, n_mfcc: Count = 40, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel-frequency cepstral coefficients."""
    return clip.mfcc(n_mfcc, bank, framing)


@feature(units="dB/frame")
def mfcc_delta(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Slope of the MFCC."""
    return slope(clip.mfcc(n_mfcc, bank, framing), width, order=1)


@feature(units="dB/frame²")
def mfcc_delta2(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Curvature of the MFCC."""
    return slope(clip.mfcc(n_mfcc, bank, framing), width, order=2)


def slope(values: np.ndarray, width: int, order: int) -> np.ndarray:
    """`librosa.feature.delta`."""
    frames = values.shape[1]
    if frames < width:
        raise Impossible(f"a delta over {width} frames needs as many, these clips have {frames}")
    return librosa.feature.delta(values, width=width, order=order)


@feature(units="PCEN", rows=axes.mel, row_unit="Hz")
def pcen(
    clip: Clip,
    *,
    gain: Unit = 0.98,
    bias: Positive = 2.0,
    power: Positive = 0.5,
    time_constant: Positive = 0.4,
    eps: Positive = 1e-6,
    bank: MelBank,
    framing: Framing,
) -> np.ndarray:
    """Per-channel energy normalisation."""
    return librosa.pcen(
        clip.mel(bank, framing, power=1) * 2**31,
        sr=clip.sample_rate,
        hop_length=framing.hop_length,
        gain=gain,
        bias=bias,
        power=power,
        time_constant=time_constant,
        eps=eps,
    )


@feature(units="dB", rows=axes.mel, row_unit="Hz")
def harmonic(clip: Clip, *, kernel_size: Odd = 31, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram of what lasts."""
    half = clip.halves(framing, kernel_size)[0]
    return librosa.power_to_db(melspectrogram(half**2, clip.sample_rate, bank))


@feature(units="dB", rows=axes.mel, row_unit="Hz")
def percussive(clip: Clip, *, kernel_size: Odd = 31, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram of what strikes."""
    half = clip.halves(framing, kernel_size)[1]
    return librosa.power_to_db(melspectrogram(half**2, clip.sample_rate, bank))
