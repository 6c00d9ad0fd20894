"""Pitch: constant-Q spectra, pitch classes, tonal centroids, fundamental frequency."""

import functools
import math
from typing import Any

import numpy as np
import scipy

from featurestack.pipeline import kernels
from featurestack.pipeline.clip_spectra import THIRDS, Clip
from featurestack.pipeline.features import feature
from featurestack.pipeline.features.spectra import chroma_feature
from featurestack.pipeline.parameters import (
    C1,
    HOP,
    Bank,
    EvenSamples,
    Hertz,
    Impossible,
    Positive,
    Samples,
    Wavelets,
    centred_frames,
    taken_by,
)

# shares of a frame's sum; a pitch class gets 0.25 for each that it exceeds
QUANTILES = (0.4, 0.2, 0.1, 0.05)
SMOOTHED = 41  # frames
# half turns a semitone
FIFTHS_AND_THIRDS = np.array([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3])
RADIUS = np.array([1, 1, 1, 1, 0.5, 0.5])


def constant_q_axis(_: int, *, n_bins: int, bins_per_octave: int) -> np.ndarray:
    """Hz of each bin, from the note C1 upwards."""
    return C1 * 2.0 ** (np.arange(n_bins, dtype=float) / bins_per_octave)


def wavelet_frames(sample_rate: int, samples: int, **parameters: Any) -> np.ndarray:
    """Seconds of each frame of a bank; halving rounds the number of samples up."""
    bank = Bank(**taken_by(Bank, parameters))
    halves = 2 ** bank.halvings_beforehand(sample_rate)
    whole = -(-samples // halves) * halves
    return centred_frames(sample_rate, whole, hop_length=bank.hop_length)


chroma_frames = functools.partial(
    wavelet_frames, n_bins=THIRDS[0], bins_per_octave=THIRDS[1]
)


@feature(
    units="dB", rows=constant_q_axis, row_unit="Hz", frames=wavelet_frames, version=2
)
def cqt(clip: Clip, *, wavelets: Wavelets) -> np.ndarray:
    """Constant-Q transform: a spectrogram with one row per semitone, seven octaves
    from C1.

    Formula: 20 log10 |sum over n of x[n + t hop] w(n / L) exp(-2 pi i f n / sr)|, L =
      17.3 sr / f samples
    Changes with: pitch; a transposed sound is the same feature map moved up or down
    Ignores: everything above B7 (3951 Hz); in the bass, changes within half a second
    Feature map: harmonics of a tone lie at 12, 19, 24, 28 rows above it, whatever its
      pitch
    """
    return kernels.spectrum.decibels(clip.constant_q(Bank(**vars(wavelets))) ** 2)


@feature(
    units="dB", rows=constant_q_axis, row_unit="Hz", frames=wavelet_frames, version=2
)
def vqt(clip: Clip, *, gamma: Positive | None = None, wavelets: Wavelets) -> np.ndarray:
    """Variable-Q transform: as cqt, with wider bands in the bass, as in the ear, and so
    sharper in time.

    Formula: as cqt, with L = 17.3 sr / (f + 229 Hz): each band is 13.2 Hz wider
    Changes with: pitch; onsets of low tones, which are sharper than in cqt
    Ignores: everything above B7; semitones in the lowest octaves run into each other
    Feature map: as cqt, less smeared along time at the bottom
    """
    magnitude = clip.constant_q(Bank(**vars(wavelets), gamma=gamma))
    return kernels.spectrum.decibels(magnitude**2)


@chroma_feature(frames=chroma_frames)
def chroma_cqt(clip: Clip, *, hop_length: Samples = HOP) -> np.ndarray:
    """The strength of the twelve pitch classes, from a constant-Q transform in thirds
    of semitones.

    Formula: the sum over octaves of |cqt|, three bins a semitone at the clip's tuning,
      divided by its largest
    Changes with: melody, chords; low notes are resolved better than in chroma
    Ignores: octave, loudness, everything above B7
    Feature map: as chroma, with crisper rows
    """
    return kernels.spectrum.normalised(clip.pitch_classes(hop_length))


@chroma_feature(frames=chroma_frames)
def chroma_cens(clip: Clip, *, hop_length: Samples = HOP) -> np.ndarray:
    """Pitch classes in four steps of strength, smoothed over half a second: the harmony
    that lasts.

    Formula: chroma_cqt as parts of its sum, quantised at 5, 10, 20, 40 %, Hann window
      of 41 frames, norm 1
    Changes with: harmony at the pace of bars
    Ignores: articulation, ornaments, loudness, timbre
    Feature map: as chroma, soft along time
    """
    part = kernels.spectrum.normalised(clip.pitch_classes(hop_length), 1)
    steps = np.zeros_like(part)
    for quantile in QUANTILES:
        steps += (part > quantile) * 0.25
    window = scipy.signal.get_window("hann", SMOOTHED + 2, fftbins=False)
    weights = (window / window.sum())[None]
    smoothed = scipy.ndimage.convolve(steps, weights, mode="constant")
    return kernels.spectrum.normalised(smoothed, 2)


@chroma_feature(frames=functools.partial(wavelet_frames, just=True))
def chroma_vqt(clip: Clip, *, hop_length: Samples = HOP) -> np.ndarray:
    """Pitch classes in just intonation: intervals are ratios of powers of 2, 3 and 5.

    Formula: the sum over octaves of |vqt| at C times 1, 16/15, 9/8, 6/5, 5/4, ...,
      divided by its largest
    Changes with: melody, chords; pure intervals fall into the middle of a row
    Ignores: octave, loudness; it does not follow the clip's tuning
    Feature map: as chroma
    """
    magnitude = clip.constant_q(Bank(hop_length=hop_length, just=True))
    return kernels.spectrum.normalised(kernels.spectrum.fold_octaves(magnitude, 1))


@feature(units="coordinate", rows=6, frames=chroma_frames, estimated=True, version=2)
def tonnetz(clip: Clip, *, hop_length: Samples = HOP) -> np.ndarray:
    """Tonal centroid: where the pitch classes lie on the circles of fifths, minor and
    major thirds.

    Formula: sum over p of c[p] (sin, cos)(2 pi p r), r = 7/12, 9/12, 4/12 (halved), c
      chroma_cqt / its sum
    Changes with: chords and keys; neighbours in harmony are neighbours here
    Ignores: octave, loudness, timbre; noise lies at the centre
    Feature map: rows 0 and 1 fifths, 2 and 3 minor thirds, 4 and 5 major thirds; grey
      is the centre
    """
    angle = np.multiply.outer(FIFTHS_AND_THIRDS, np.arange(12.0))
    angle[::2] -= 0.5  # a sine
    circles = RADIUS[:, None] * np.cos(np.pi * angle)
    chroma = chroma_cqt(clip, hop_length=hop_length)
    part = kernels.spectrum.normalised(chroma, 1)
    return np.einsum("pc,ct->pt", circles, part, optimize=True)


def periodic_frames(
    sample_rate: int,
    samples: int,
    *,
    fmin: float,
    fmax: float,
    frame_length: int,
    hop_length: int,
) -> np.ndarray:
    """Times of the frames (s); Impossible if a period of `fmin` exceeds a frame."""
    if not 0 < fmin < fmax <= sample_rate / 2:
        raise Impossible(
            f"fmin={fmin:g} and fmax={fmax:g} Hz must lie between 0 and"
            f" {sample_rate / 2:g}, in this order"
        )
    if sample_rate / fmin >= frame_length - 1:
        raise Impossible(
            f"a period of {fmin:g} Hz does not fit frame_length={frame_length}"
        )
    return centred_frames(sample_rate, samples, hop_length=hop_length)


@feature(units="Hz", frames=periodic_frames, version=2)
def yin(
    clip: Clip,
    *,
    fmin: Hertz = 65.0,
    fmax: Hertz = 2093.0,
    frame_length: EvenSamples = 2048,
    hop_length: Samples = HOP,
) -> np.ndarray:
    """The fundamental frequency, from the lag at which a frame resembles itself most
    (YIN).

    Formula: sr / lag, lag the first dip below 0.1 of the difference function, divided
      by its running mean
    Changes with: the pitch of a voice, an animal, an engine
    Ignores: timbre, loudness; chords have no answer, and noise gives a random one
    Feature map: a smooth curve is a voice, a scattered one is noise
    """
    rate = clip.sample_rate
    padded = np.pad(clip.y, frame_length // 2)
    shortest = int(rate / fmax)
    longest = math.ceil(rate / fmin)
    period = kernels.pitch.yin(padded, frame_length, hop_length, shortest, longest)
    return rate / period[None]
