"""Rhythm: the onset envelope, and the intervals that recur in it."""

import itertools

import numpy as np
import scipy

from featurestack.pipeline import kernels
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import feature
from featurestack.pipeline.parameters import (
    HOP,
    MEL_32,
    EvenSamples,
    Framing,
    Hertz,
    Impossible,
    MelBank,
    ModulationHertz,
    Ranges,
    Samples,
    centred_frames,
    frequency_axis,
    mel_axis,
)

STEADY = 0.01  # dB, added to each modulation depth: smaller depths count as none
# Multiples of the estimated tempo (Prockup et al. 2015)
METRE = np.array(
    [4, 8 / 3, 3, 2, 4 / 3, 3 / 2, 1, 2 / 3, 3 / 4, 1 / 2, 1 / 3, 3 / 8, 1 / 4]
)


def lag_axis(sample_rate: int, *, win_length: int, hop_length: int) -> np.ndarray:
    """Seconds of each lag of a tempogram."""
    return np.arange(win_length) * hop_length / sample_rate


def tempo_axis(sample_rate: int, *, win_length: int, hop_length: int) -> np.ndarray:
    """Beats a minute of each bin of a Fourier tempogram."""
    return frequency_axis(sample_rate * 60 / hop_length, n_fft=win_length)


def one_frame_more(sample_rate: int, samples: int, *, hop_length: int) -> np.ndarray:
    """Times of a Fourier tempogram's frames (s), one more than its envelope's."""
    return centred_frames(sample_rate, samples + hop_length, hop_length=hop_length)


def modulation_edges(rate: float, ranges: int, low: float, high: float) -> np.ndarray:
    """(ranges + 1,) Hz in equal ratios, up to half the frame rate at most."""
    top = min(high, rate / 2)
    if low >= top:
        raise Impossible(
            f"{rate:g} frames per second have no modulation above {low:g} Hz"
        )
    return np.geomspace(low, top, ranges + 1)


def modulation_axis(
    sample_rate: int, _: int, *, hop_length: int, ranges: int, low: float, high: float
) -> np.ndarray:
    """Hz in the middle of each range of modulation frequencies."""
    edges = modulation_edges(sample_rate / hop_length, ranges, low, high)
    return np.sqrt(edges[:-1] * edges[1:])


@feature(units="dB/frame", version=2)
def onset(clip: Clip, *, hop_length: Samples = HOP) -> np.ndarray:
    """Onset strength: how much louder the mel bands have become since the frame before.

    Formula: the mean over bands of max(0, mel[t] - mel[t - 1])
    Changes with: attacks, strikes, syllables; louder ones stand out more, quiet ones
      are lost in noise
    Ignores: decays, lasting sounds, the gain of the recording
    Feature map: a curve with one peak per event
    """
    return clip.onset(hop_length)[None]


@feature(units="relative", rows=lag_axis, row_unit="s", version=2)
def tempogram(
    clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = HOP
) -> np.ndarray:
    """Autocorrelation of the onset envelope around each frame: which intervals recur.

    Formula: r[lag] = sum over t of v[t] v[t + lag], v a window of 4.5 s of onset,
      divided by its largest
    Changes with: the spacing of events: a clock, footsteps, a barking dog
    Ignores: timbre, loudness, the moment at which the pattern begins
    Feature map: horizontal lines at the interval between events and at its multiples;
      none for noise
    """
    return clip.tempogram(win_length, hop_length)


@feature(
    units="dB/frame", rows=tempo_axis, row_unit="BPM", frames=one_frame_more, version=2
)
def fourier_tempogram(
    clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = HOP
) -> np.ndarray:
    """Fourier transform of the onset envelope around each frame: which rates recur.

    Formula: |sum over t of o[t] w[t] exp(-2 pi i k t / 384)|
    Changes with: the rate of events and how sharp they are (its harmonics)
    Ignores: timbre, the moment at which the pattern begins
    Feature map: horizontal lines at the rate and its multiples; row 0 is the sum of
      onsets under the window
    """
    window = kernels.fourier.centred_window(win_length)
    return kernels.fourier.magnitudes(clip.onset(hop_length), 1, window)


@feature(
    units="relative", rows=METRE, row_unit="of the tempo", estimated=True, version=2
)
def tempogram_ratio(
    clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = HOP
) -> np.ndarray:
    """The tempogram at thirteen simple multiples of the estimated tempo.

    Formula: r at the intervals 1/4, 3/8, 1/3, 1/2, 3/4, 2/3, 1, 3/2, 4/3, 2, 3, 8/3, 4
      of the beat
    Changes with: the kind of rhythm: even, triple, dotted, none
    Ignores: the tempo itself, timbre, loudness
    Feature map: row 6 is the beat; all rows jump where the tempo estimate does
    """
    tempogram = clip.tempogram(win_length, hop_length)
    lags, frames = tempogram.shape
    # tempo by `librosa.feature.tempo(aggregate=None)`, by products
    tempo = 60 * clip.sample_rate / (hop_length * np.arange(1.0, lags))
    tempo = np.append(np.inf, tempo)
    octaves = np.log2(tempo) - np.log2(120.0)
    prior = np.exp(-0.5 * octaves**2)
    slowest = int(np.argmax(tempo < 320.0))
    strength = 1 + 1e6 * tempogram[slowest:]
    likely = np.argmax(strength * prior[slowest:, None], axis=0)
    multiples = METRE[:, None] * tempo[slowest + likely]
    rising = tempo[:0:-1]  # without lag 0, whose tempo is infinite
    right = np.searchsorted(rising, multiples)
    right = np.clip(right, 1, len(rising) - 1)
    left = right - 1
    frame = np.arange(frames)
    low = tempogram[lags - 1 - left, frame]
    high = tempogram[lags - 1 - right, frame]
    slope = (high - low) / (rising[right] - rising[left])
    between = low + slope * (multiples - rising[left])
    outside = (multiples < rising[0]) | (multiples > rising[-1])
    return np.where(outside, 0.0, between)


@feature(
    units="log(dB)",
    rows=mel_axis,
    row_unit="Hz",
    frames=modulation_axis,
    frame_unit="Hz",
)
def modulation(
    clip: Clip,
    *,
    ranges: Ranges = 12,
    low: ModulationHertz = 0.5,
    high: Hertz = 42.0,
    bank: MelBank = MEL_32,
    framing: Framing,
) -> np.ndarray:
    """Modulation spectrum: how strongly the level of each mel band beats, at rates from
    0.5 to 42 Hz.

    Formula: log(0.01 + mean over a range of 2 |sum over t of (L[t] - mean L) exp(-2 pi
      i f t)| / T), L in dB
    Changes with: rhythm, roughness, rustling: what listeners recognise rain, waves,
      engines by
    Ignores: loudness, the moment at which anything happens, padding behind the last
      sample that is not 0
    Feature map: no time: columns are rates from slow to fast; a clock is bright at its
      beat, hiss is even
    """
    levels = clip.mel_db(bank, framing)
    # number of zeros at the end; 0 if all samples are zero
    silent = int(np.argmax(clip.y[::-1] != 0))
    frames = 1 + (len(clip.y) - 1 - silent) // framing.hop_length
    sounding = levels[:, :frames]
    centred = sounding - sounding.mean(axis=1, keepdims=True)
    rate = clip.sample_rate / framing.hop_length
    edges = modulation_edges(rate, ranges, low, high)
    # at least one bin in each range
    fewest = rate / (edges[1] - edges[0])
    points = 2 ** int(np.ceil(np.log2(max(levels.shape[1], fewest))))
    spectrum = scipy.fft.rfft(centred, points, axis=1)
    depth = np.abs(spectrum) * (2 / frames)
    frequency = np.fft.rfftfreq(points, 1 / rate)
    first = np.searchsorted(frequency, edges)
    means = []
    for begin, end in itertools.pairwise(first):
        means.append(depth[:, begin:end].mean(axis=1))
    return np.log(STEADY + np.stack(means, axis=1))
