"""Spectrograms: how energy lies over frequency and time.

The docstring of a feature is its card in `make show FEATURES=NAME` and in
docs/reference/features.md.
"""

import functools
from dataclasses import dataclass

import numpy as np
import scipy

from featurestack.pipeline import kernels
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import feature
from featurestack.pipeline.parameters import (
    GAMMATONES,
    MEL_64,
    Bands,
    Count,
    Framing,
    MelBank,
    Odd,
    Positive,
    Unit,
    coefficient_axis,
    erb_axis,
    frequency_axis,
    mel_axis,
    sloped_frames,
)

# decorator: a feature with a row for each mel band
mel_feature = functools.partial(feature, rows=mel_axis, row_unit="Hz", version=2)
# decorator: a feature with a row for each pitch class
chroma_feature = functools.partial(
    feature,
    units="relative",
    rows=12,
    row_unit="pitch class",
    estimated=True,
    version=2,
)
mfcc_axis = functools.partial(coefficient_axis, "n_mfcc", "n_mels")


@feature(units="amplitude")
def waveform(clip: Clip) -> np.ndarray:
    """The samples themselves, for models that learn their own features.

    Formula: x[n], the sound pressure at sample n, from -1 to 1
    Changes with: everything, also what is inaudible, such as the phase of each partial
    Ignores: nothing; two recordings of one event never agree sample by sample
    Feature map: time runs to the right; the envelope shows loudness, single
      oscillations only when zoomed in
    """
    return clip.y[None]


@feature(units="dB", rows=frequency_axis, row_unit="Hz", version=2)
def stft(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectrogram: the level of 1025 evenly spaced frequencies in each frame.

    Formula: 20 log10 |sum over n of x[n + t hop] w[n] exp(-2 pi i k n / n_fft)|, at
      most 80 dB below the peak
    Changes with: pitch, timbre, loudness, each partial and each gust of noise on its
      own
    Ignores: phase; changes faster than a frame of 46 ms; what lies 80 dB below the
      loudest bin
    Feature map: low frequencies at the bottom; horizontal lines are tones, vertical
      ones clicks, clouds noise
    """
    return kernels.spectrum.decibels(clip.power(framing))


@mel_feature(units="dB")
def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
    """Mel spectrogram: the level of bands that are narrow in the bass and wide in the
    treble, as in the ear.

    Formula: 10 log10 (M |STFT|^2), M the triangular bands evenly spaced on the mel
      scale
    Changes with: the spectral envelope, loudness, onsets; below 1 kHz also with single
      partials
    Ignores: phase; pitch in the treble, where many partials share a band
    Feature map: as a spectrogram, but the lower half ends near 3 kHz
    """
    return clip.mel_db(bank, framing)


@mel_feature(units="dB/frame", frames=sloped_frames)
def mel_delta(
    clip: Clip, *, width: Odd = 9, bank: MelBank, framing: Framing
) -> np.ndarray:
    """The slope of each mel band over nine frames.

    Formula: sum over k of k mel[t + k] / sum over k of k^2, k from -4 to 4
    Changes with: onsets and decays, trills, modulation
    Ignores: how loud a band is, and a constant filter such as a microphone's
    Feature map: bright where a band grows louder, dark where it fades, grey where
      nothing changes
    """
    return slope(clip.mel_db(bank, framing), width, order=1)


@feature(units="dB, cepstrum", rows=mfcc_axis, version=2)
def mfcc(
    clip: Clip, *, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Mel-frequency cepstral coefficients: the spectral envelope from coarse to fine.

    Formula: the orthonormal DCT-II of each column of mel, coefficients 0 to 39
    Changes with: loudness (row 0), the balance of bass and treble (row 1), resonances
      (higher rows)
    Ignores: pitch below 200 Hz or so; partials that are farther apart are resolved
    Feature map: row 0 dominates; a column is a recipe of ripples and is not read row by
      row
    """
    return clip.mfcc(n_mfcc, bank, framing)


@feature(units="dB/frame", rows=mfcc_axis, frames=sloped_frames, version=2)
def mfcc_delta(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """The slope of each MFCC over nine frames.

    Formula: sum over k of k mfcc[t + k] / sum over k of k^2, k from -4 to 4
    Changes with: the speed at which loudness and timbre change
    Ignores: the timbre itself, and a constant filter
    Feature map: stripes at onsets; a steady sound is flat
    """
    return slope(clip.mfcc(n_mfcc, bank, framing), width, order=1)


@feature(units="dB/frame²", rows=mfcc_axis, frames=sloped_frames, version=2)
def mfcc_delta2(
    clip: Clip, *, width: Odd = 9, n_mfcc: Count = 40, bank: MelBank, framing: Framing
) -> np.ndarray:
    """The curvature of each MFCC over nine frames.

    Formula: the second derivative of the parabola fitted to mfcc[t - 4] ... mfcc[t + 4]
    Changes with: sudden turns: the moment of a strike, not the swelling before it
    Ignores: whatever changes evenly
    Feature map: thin bright and dark stripes side by side at onsets
    """
    return slope(clip.mfcc(n_mfcc, bank, framing), width, order=2)


def slope(values: np.ndarray, width: int, order: int) -> np.ndarray:
    """`librosa.feature.delta`, whose ends repeat the first and the last value."""
    taps = taps_of(width, order).astype(values.dtype)
    inner = values.shape[1] - width + 1
    half = width // 2
    here = values[:, half : half + inner]
    slopes = np.zeros_like(here)
    # the taps add up to 0; with differences, a constant gives exactly 0
    for k in range(width):
        shifted = values[:, k : k + inner]
        slopes += taps[k] * (shifted - here)
    return np.pad(slopes, ((0, 0), (half, half)), mode="edge")


@functools.lru_cache(maxsize=64)
def taps_of(width: int, order: int) -> np.ndarray:
    """(width,) weights of the frames, from a least-squares fit."""
    return scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot")


@dataclass(frozen=True)
class _Compression:
    """Division of a band by its recent level (`librosa.pcen`)."""

    gain: Unit = 0.98
    bias: Positive = 2.0
    power: Positive = 0.5
    time_constant: Positive = 0.4  # seconds
    eps: Positive = 1e-6


@mel_feature(units="PCEN")
def pcen(
    clip: Clip, *, compression: _Compression, bank: MelBank, framing: Framing
) -> np.ndarray:
    """Per-channel energy normalisation: mel bands, each divided by its own recent
    level.

    Formula: (E / (eps + S)^gain + bias)^power - bias^power, E the band, S its running
      mean over 0.4 s
    Changes with: events that stand out from what their band did just before
    Ignores: stationary noise, distance, the gain of the recording
    Feature map: dark background, bright onsets; a lasting tone fades after its first
      half second
    """
    energy = clip.bands(clip.magnitude(framing), bank) * 2**31
    frames = compression.time_constant * clip.sample_rate / framing.hop_length
    # low-pass filter s[t] = (1 - b) s[t - 1] + b E[t]
    squared = frames**2
    b = (np.sqrt(1 + 4 * squared) - 1) / (2 * squared)
    numerator = [b]
    denominator = [1, b - 1]
    state = scipy.signal.lfilter_zi(numerator, denominator)[None]
    mean, _ = scipy.signal.lfilter(numerator, denominator, energy, zi=state)
    eps = compression.eps
    log_level = np.log(eps) + np.log1p(mean / eps)
    gain = np.exp(-compression.gain * log_level)
    bias = compression.bias
    power = compression.power
    # (energy gain + bias)^power - bias^power, exact for small energies
    log_rise = np.log1p(energy * gain / bias)
    return bias**power * np.expm1(power * log_rise)


@mel_feature(units="dB")
def harmonic(
    clip: Clip, *, kernel_size: Odd = 31, bank: MelBank, framing: Framing
) -> np.ndarray:
    """The harmonic part of the mel spectrogram: what lasts, such as tones.

    Formula: mel of |STFT| H^2 / (H^2 + P^2), H the median over 31 frames, P that over
      31 bins
    Changes with: tones, hums, vowels, everything that draws horizontal lines in a
      spectrogram
    Ignores: clicks, strikes, crackle
    Feature map: a mel spectrogram from which the vertical lines are gone
    """
    part, _ = clip.harmonic_percussive(framing, kernel_size)
    return kernels.spectrum.decibels(clip.bands(part, bank))


@mel_feature(units="dB")
def percussive(
    clip: Clip, *, kernel_size: Odd = 31, bank: MelBank, framing: Framing
) -> np.ndarray:
    """The percussive part of the mel spectrogram: what is short, such as clicks.

    Formula: mel of |STFT| P^2 / (H^2 + P^2), H the median over 31 frames, P that over
      31 bins
    Changes with: clicks, strikes, crackle, drops, footsteps
    Ignores: tones and hums
    Feature map: a mel spectrogram from which the horizontal lines are gone; noise stays
      in both parts
    """
    _, part = clip.harmonic_percussive(framing, kernel_size)
    return kernels.spectrum.decibels(clip.bands(part, bank))


@feature(units="dB", rows=erb_axis, row_unit="Hz")
def gammatone(clip: Clip, *, bank: Bands = GAMMATONES, framing: Framing) -> np.ndarray:
    """Gammatone spectrogram: the level of bands shaped and spaced as in the
    inner ear.

    Formula: 10 log10 (G |STFT|^2), G = (1 + ((f - c) / b)^2)^-2, b = 1.019 x 24.7 (1 +
      0.00437 c) Hz
    Changes with: the spectral envelope, loudness, onsets; in the bass it resolves more
      than mel
    Ignores: phase; weak sounds close to strong ones in frequency, because bands overlap
    Feature map: as mel, with soft edges along frequency and more room for the bass
    """
    return clip.gammatone(bank, framing)


@feature(
    units="dB, cepstrum", rows=functools.partial(coefficient_axis, "n_gfcc", "n_bands")
)
def gfcc(
    clip: Clip, *, n_gfcc: Count = 40, bank: Bands = GAMMATONES, framing: Framing
) -> np.ndarray:
    """Gammatone-frequency cepstral coefficients: as MFCC, from gammatone bands.

    Formula: the orthonormal DCT-II of each column of gammatone, coefficients 0 to 39
    Changes with: loudness (row 0), the balance of bass and treble (row 1), resonances
      (higher rows)
    Ignores: fine structure, which the soft bands have smoothed already
    Feature map: as mfcc, smoother along the rows
    """
    return kernels.spectrum.cepstrum(clip.gammatone(bank, framing), n_gfcc)


@feature(
    units="dB, cepstrum", rows=functools.partial(coefficient_axis, "n_lfcc", "n_bands")
)
def lfcc(
    clip: Clip, *, n_lfcc: Count = 40, bank: Bands, framing: Framing
) -> np.ndarray:
    """Linear-frequency cepstral coefficients: as MFCC, from bands of equal width, so
    that the treble counts.

    Formula: the orthonormal DCT-II of 10 log10 (L |STFT|^2), L 128 triangles evenly
      spaced in Hz
    Changes with: the spectral envelope, in the treble as finely as in the bass:
      machines, bats, insects
    Ignores: detail below some hundred Hz, where the bands of mel are narrower
    Feature map: row 0 dominates; a column is a recipe of ripples and is not read row by
      row
    """
    filters = kernels.spectrum.linear_filters(clip.sample_rate, framing.n_fft, bank)
    levels = kernels.spectrum.decibels(filters @ clip.power(framing))
    return kernels.spectrum.cepstrum(levels, n_lfcc)


@feature(units="Hz", rows=mel_axis, row_unit="Hz")
def ifd(clip: Clip, *, bank: MelBank = MEL_64, framing: Framing) -> np.ndarray:
    """Instantaneous-frequency deviation: how far the content of each band lies from its
    bins' frequencies.

    Formula: sum over k of M_k |X_k|^2 |f_k' - f_k| / sum over k of M_k |X_k|^2, f' from
      the phase's slope; the divisor is at least 1e-8 of the clip's largest
    Changes with: tones, glides and onsets against noise; also a recorder's coding, hum
      and filters: on clips from several sources it can learn who recorded them
    Ignores: loudness, the spectral envelope
    Feature map: dark where one tone fills a band or nothing sounds, bright at onsets
    """
    window = kernels.fourier.centred_window(framing.n_fft, framing.win_length)
    slopes = kernels.fourier.phase_slopes(clip.y, framing.hop_length, window)
    energy = clip.bands(clip.power(framing), bank)
    hertz_a_radian = np.float32(clip.sample_rate / (2 * np.pi))
    weighted = clip.bands(slopes, bank) * hertz_a_radian
    silence = np.float32(1e-8) * energy.max()
    least = max(silence, np.finfo(np.float32).tiny)
    return weighted / np.maximum(energy, least)


@chroma_feature()
def chroma(clip: Clip, *, framing: Framing) -> np.ndarray:
    """The energy of the twelve pitch classes, octaves folded together, from the
    spectrogram.

    Formula: C |STFT|^2 / its largest, C a bump at each pitch class in each octave, at
      the clip's tuning
    Changes with: melody, chords, hums; for noise all twelve are alike
    Ignores: octave, loudness, most of timbre
    Feature map: C at the bottom, B at the top; bright rows are notes, an even map is
      noise
    """
    tuning = clip.tuning(12, framing, power=2)
    filters = kernels.spectrum.chroma_filters(clip.sample_rate, framing.n_fft, tuning)
    return kernels.spectrum.normalised(filters @ clip.power(framing))
