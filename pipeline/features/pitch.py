"""Pitch: constant-Q spectra, pitch classes, the tonal plane, the fundamental."""

import math

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible
from pipeline.features.registry import constant_q_axis, feature, pitch_class_axis
from pipeline.kernels import period
from pipeline.kernels.constantq import Bank
from pipeline.kernels.spectrum import chroma_filters, decibels
from pipeline.parameters import EvenSamples, Framing, Hertz, Positive, Samples, Wavelets

SMALLEST = np.finfo(np.float32).tiny  # less in a frame, and librosa.util.normalize leaves it as it is


@feature(units="dB", rows=constant_q_axis, row_unit="Hz", version=2)
def cqt(clip: Clip, *, wavelets: Wavelets) -> np.ndarray:
    """Constant-Q transform: a spectrogram with one row a semitone, seven octaves from C1.

    Formula: 20 log10 |sum over n of x[n + t hop] w(n / L) exp(-2 pi i f n / sr)|, L = 16.8 sr / f samples
    Changes with: pitch; a transposed sound is the same feature map moved up or down
    Ignores: everything above B7 (3951 Hz); in the bass, changes within half a second
    Feature map: harmonics of a tone lie at 12, 19, 24, 28 rows above it, whatever its pitch
    """
    return decibels(clip.constant_q(Bank(wavelets)) ** 2)


@feature(units="dB", rows=constant_q_axis, row_unit="Hz", version=2)
def vqt(clip: Clip, *, gamma: Positive | None = None, wavelets: Wavelets) -> np.ndarray:
    """Variable-Q transform: as cqt, with wider bands in the bass, as in the ear, and so sharper in time.

    Formula: as cqt, with L = 16.8 sr / (f + 229 Hz): each band is 14 Hz wider
    Changes with: pitch, and onsets of low tones better than in cqt
    Ignores: everything above B7; semitones in the lowest octaves run into each other
    Feature map: as cqt, less smeared along time at the bottom
    """
    return decibels(clip.constant_q(Bank(wavelets, gamma=gamma)) ** 2)


@feature(units="relative", rows=pitch_class_axis, row_unit="pitch class", version=2)
def chroma(clip: Clip, *, framing: Framing) -> np.ndarray:
    """The energy of the twelve pitch classes, octaves folded together, from the spectrogram.

    Formula: C |STFT|^2 / its largest, C a bump at each pitch class in each octave, at the clip's tuning
    Changes with: melody, chords, hums; for noise all twelve are alike
    Ignores: octave, loudness, most of timbre
    Feature map: C at the bottom, B at the top; bright rows are notes, an even map is noise
    """
    tuning = clip.tuning(12, framing, power=2)
    raw = chroma_filters(clip.sample_rate, framing.n_fft, tuning) @ clip.power(framing)
    strongest = raw.max(axis=0)
    return raw / np.where(strongest < SMALLEST, 1, strongest)


@feature(units="relative", rows=pitch_class_axis, row_unit="pitch class", version=2)
def chroma_cqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """The strength of the twelve pitch classes, from a constant-Q transform in thirds of semitones.

    Formula: the sum over octaves of |cqt|, three bins a semitone at the clip's tuning, divided by its largest
    Changes with: melody, chords; low notes are resolved better than in chroma
    Ignores: octave, loudness, everything above B7
    Feature map: as chroma, with crisper rows
    """
    return librosa.feature.chroma_cqt(C=clip.thirds_of_semitones(hop_length))


@feature(units="relative", rows=pitch_class_axis, row_unit="pitch class", version=2)
def chroma_cens(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes in four steps of strength, smoothed over half a second: what lasts of harmony.

    Formula: chroma_cqt as parts of its sum, quantised at 5, 10, 20, 40 %, Hann window of 41 frames, norm 1
    Changes with: harmony at the pace of bars
    Ignores: articulation, ornaments, loudness, timbre
    Feature map: as chroma, soft along time
    """
    return librosa.feature.chroma_cens(C=clip.thirds_of_semitones(hop_length))


@feature(units="relative", rows=pitch_class_axis, row_unit="pitch class", version=2)
def chroma_vqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes in just intonation: intervals are ratios of the primes 2, 3 and 5.

    Formula: the sum over octaves of |vqt| at C times 1, 16/15, 9/8, 6/5, 5/4, ..., divided by its largest
    Changes with: melody, chords; pure intervals fall into the middle of a row
    Ignores: octave, loudness; it does not follow the clip's tuning
    Feature map: as chroma
    """
    magnitude = clip.constant_q(Bank(Wavelets(hop_length=hop_length), intervals="ji5"))
    return librosa.feature.chroma_vqt(V=magnitude, intervals="ji5")


@feature(units="coordinate", version=2)
def tonnetz(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Tonal centroid: where the pitch classes lie on the circles of fifths, minor and major thirds.

    Formula: sum over p of c[p] (sin, cos)(2 pi p r), r = 7/12, 3/12, 4/12, c chroma_cqt / its sum
    Changes with: chords and keys; neighbours in harmony are neighbours here
    Ignores: octave, loudness, timbre; noise lies at the centre
    Feature map: rows 0 and 1 fifths, 2 and 3 minor thirds, 4 and 5 major thirds; grey is the centre
    """
    return librosa.feature.tonnetz(chroma=chroma_cqt(clip, hop_length=hop_length))


@feature(units="Hz", version=2)
def yin(
    clip: Clip,
    *,
    fmin: Hertz = 65.0,
    fmax: Hertz = 2093.0,
    frame_length: EvenSamples = 2048,
    hop_length: Samples = 512,
) -> np.ndarray:
    """The fundamental frequency, from the lag at which a frame resembles itself most (YIN).

    Formula: sr / lag, lag the first dip below 0.1 of the difference function, divided by its running mean
    Changes with: the pitch of a voice, an animal, an engine
    Ignores: timbre, loudness; chords have no answer, and noise gives a random one
    Feature map: a smooth curve is a voice, a scattered one is noise
    """
    rate = clip.sample_rate
    if fmin <= 0 or fmin >= fmax or fmax > rate / 2:
        raise Impossible(
            f"fmin={fmin:g} and fmax={fmax:g} Hz must lie between 0 and {rate / 2:g}, in this order"
        )
    if rate / fmin >= frame_length - 1:
        raise Impossible(f"a period of {fmin:g} Hz does not fit frame_length={frame_length}")
    padded = np.pad(clip.y, frame_length // 2)
    return rate / period.yin(padded, frame_length, hop_length, int(rate / fmax), math.ceil(rate / fmin))[None]
