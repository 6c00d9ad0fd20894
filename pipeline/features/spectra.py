"""Spectrograms, and what is read off their shape over frequency band by band."""

import librosa
import numpy as np
import scipy.signal

from pipeline.clip import Clip, Impossible
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
    return librosa.amplitude_to_db(clip.magnitude(framing, exact=True))


@feature(units="dB", rows=axes.mel, row_unit="Hz")
def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram."""
    return clip.mel_db(bank, framing)


@feature(units="dB/frame", rows=axes.mel, row_unit="Hz")
def mel_delta(clip: Clip, *, width: Odd = 9, bank: MelBank, framing: Framing) -> np.ndarray:
    """Slope of the mel spectrogram."""
    return slope(clip.mel_db(bank, framing, exact=True), width, order=1)


@feature(units="dB")
def mfcc(clip: Clip, *, n_mfcc: Count = 40, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel-frequency cepstral coefficients."""
    return clip.mfcc(n_mfcc, bank, framing)


@feature(units="dB/frame")
def mfcc_delta(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Slope of the MFCC."""
    return slope(clip.mfcc(n_mfcc, bank, framing, exact=True), width, order=1)


@feature(units="dB/frame²")
def mfcc_delta2(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Curvature of the MFCC."""
    return slope(clip.mfcc(n_mfcc, bank, framing, exact=True), width, order=2)


def slope(values: np.ndarray, width: int, order: int) -> np.ndarray:
    """`librosa.feature.delta`: a polynomial of `order` through `width` frames, its derivative of that order.

    That derivative is the same all over the polynomial, so the ends repeat the first and the last one.
    """
    frames = values.shape[1]
    if frames < width:
        raise Impossible(f"a delta over {width} frames needs as many, these clips have {frames}")
    taps = scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot").astype(values.dtype)
    inner = frames - width + 1
    slopes = sum(tap * values[:, k : k + inner] for k, tap in enumerate(taps))
    return np.pad(slopes, ((0, 0), (width // 2, width // 2)), mode="edge")


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
        clip.bands(clip.magnitude(framing, exact=True), bank) * 2**31,
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
    return librosa.power_to_db(clip.bands(clip.halves(framing, kernel_size)[0], bank))


@feature(units="dB", rows=axes.mel, row_unit="Hz")
def percussive(clip: Clip, *, kernel_size: Odd = 31, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram of what strikes."""
    return librosa.power_to_db(clip.bands(clip.halves(framing, kernel_size)[1], bank))
