"""The definition of every built-in feature for one clip, in librosa, numpy and scipy,
which tests and the bench compare with.

A definition is called with (y, sr, **parameters), where all parameters of the feature
are given. It returns (rows, frames), or (frames,) for one row.
"""

# mypy: allow-untyped-defs

import inspect
import itertools
import operator
import warnings
from collections.abc import Callable
from functools import partial

import librosa
import numpy as np
import scipy
from librosa.feature import melspectrogram

from featurestack.base.registry import Registry
from featurestack.features_cache.feature_names import FeatureName
from featurestack.pipeline.features import resolve_feature

DEFINITIONS: Registry[Callable[..., np.ndarray]] = Registry("definition")
definition = DEFINITIONS.register()  # decorator: the function's name is the feature's


def compute(
    name: str, y: np.ndarray, sample_rate: int, **parameters: str | float
) -> np.ndarray:
    """(rows, frames) of the feature `name`, by its definition with these parameters.

    compute("mel", y, 44100, n_mels=64)  # (64, 431)
    """
    feature = resolve_feature(FeatureName(name, tuple(parameters.items())), sample_rate)
    with warnings.catch_warnings():
        # librosa warns of very short clips, silence and many narrow bands: all legal
        warnings.simplefilter("ignore")
        values = DEFINITIONS[name](y, sample_rate, **feature.parameters)
    return np.atleast_2d(values)


# Features that are one call of librosa.
LIBROSA_CALLS = {
    "mfcc": "feature.mfcc",
    "chroma": "feature.chroma_stft",
    "chroma_cqt": "feature.chroma_cqt",
    "chroma_cens": "feature.chroma_cens",
    "tonnetz": "feature.tonnetz",
    "contrast": "feature.spectral_contrast",
    "centroid": "feature.spectral_centroid",
    "bandwidth": "feature.spectral_bandwidth",
    "rolloff": "feature.spectral_rolloff",
    "poly": "feature.poly_features",
    "onset": "onset.onset_strength",
    "tempogram": "feature.tempogram",
    "tempogram_ratio": "feature.tempogram_ratio",
    "yin": "yin",
    "flatness": "feature.spectral_flatness",
    "rms": "feature.rms",
    "zcr": "feature.zero_crossing_rate",
}

# features that are the level, in dB, of one call's result
LEVELS = ("stft", "cqt", "vqt")


def plain(call, y, sr, **more):
    """`librosa.<call>(y=y, sr=sr, …)`, without the rate if it takes none."""
    function = operator.attrgetter(call)(librosa)
    if "sr" in inspect.signature(function).parameters:
        more["sr"] = sr
    return function(y=y, **more)


def level_of(call, y, sr, **more):
    """The level (dB) of the complex spectrogram that `librosa.<call>` returns."""
    return librosa.amplitude_to_db(np.abs(plain(call, y, sr, **more)))


DEFINITIONS.update(
    {name: partial(plain, LIBROSA_CALLS[name]) for name in LIBROSA_CALLS}
)
DEFINITIONS.update({name: partial(level_of, name) for name in LEVELS})


DEFINITIONS["waveform"] = lambda y, sr: y
DEFINITIONS["chroma_vqt"] = partial(plain, "feature.chroma_vqt", intervals="ji5")


@definition
def mel(y, sr, **more):
    power = melspectrogram(y=y, sr=sr, **more)
    return librosa.power_to_db(power)


@definition
def mel_delta(y, sr, *, width, **more):
    levels = mel(y, sr, **more)
    return librosa.feature.delta(levels, width=width)


@definition
def mfcc_delta(y, sr, *, width, order=1, **more):
    coefficients = librosa.feature.mfcc(y=y, sr=sr, **more)
    return librosa.feature.delta(coefficients, width=width, order=order)


DEFINITIONS["mfcc_delta2"] = partial(mfcc_delta, order=2)


@definition
def pcen(y, sr, **more):
    names = ("gain", "bias", "power", "time_constant", "eps")
    gains = {name: more.pop(name) for name in names}
    magnitude = melspectrogram(y=y, sr=sr, power=1, **more)
    hop_length = more["hop_length"]
    return librosa.pcen(magnitude * 2**31, sr=sr, hop_length=hop_length, **gains)


def hpss_mel(part, y, sr, *, kernel_size, n_mels, fmin, fmax, **framing):
    """The level, in dB, of the harmonic part, 0, or the percussive one, 1."""
    magnitude = np.abs(librosa.stft(y=y, **framing))
    parts = librosa.decompose.hpss(magnitude, kernel_size=kernel_size)
    bank = {"n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    power = melspectrogram(S=parts[part] ** 2, sr=sr, **bank)
    return librosa.power_to_db(power)


DEFINITIONS["harmonic"] = partial(hpss_mel, 0)
DEFINITIONS["percussive"] = partial(hpss_mel, 1)


@definition
def fourier_tempogram(y, sr, **more):
    tempogram = librosa.feature.fourier_tempogram(y=y, sr=sr, **more)
    return np.abs(tempogram)


@definition
def gammatone(y, sr, *, n_bands, fmin, fmax, **framing):
    power = np.abs(librosa.stft(y=y, **framing)) ** 2
    frequency = librosa.fft_frequencies(sr=sr, n_fft=framing["n_fft"])
    lowest = 21.4 * np.log10(1 + 0.00437 * fmin)  # ERB numbers
    highest = 21.4 * np.log10(1 + 0.00437 * (fmax or sr / 2))
    erb_number = np.linspace(lowest, highest, n_bands)
    centre = (10 ** (erb_number / 21.4) - 1) / 0.00437
    width = 1.019 * 24.7 * (4.37 * centre / 1000 + 1)
    distance = 1j * (frequency - centre[:, None]) / width[:, None]
    response = np.abs((1 + distance) ** -4)
    return librosa.power_to_db(response @ power)


def cepstrum(levels, count):
    """The first coefficients of a discrete cosine transform over the bands."""
    coefficients = scipy.fft.dct(levels, axis=0, norm="ortho")
    return coefficients[:count]


@definition
def gfcc(y, sr, *, n_gfcc, **more):
    return cepstrum(gammatone(y, sr, **more), n_gfcc)


@definition
def lfcc(y, sr, *, n_lfcc, n_bands, fmin, fmax, **framing):
    power = np.abs(librosa.stft(y=y, **framing)) ** 2
    frequency = librosa.fft_frequencies(sr=sr, n_fft=framing["n_fft"])
    edges = np.linspace(fmin, fmax or sr / 2, n_bands + 2)
    bands = []
    for k in range(n_bands):
        triangle = np.interp(frequency, edges[k : k + 3], [0, 1, 0])
        bands.append(triangle @ power)
    return cepstrum(librosa.power_to_db(np.array(bands)), n_lfcc)


@definition
def shape(y, sr, **framing):
    magnitude = np.abs(librosa.stft(y=y, **framing)).astype(float)
    total = magnitude.sum(axis=0)
    norm = np.linalg.norm(magnitude, axis=0)
    silent = total < np.finfo(np.float32).tiny
    p = magnitude / np.where(silent, 1, total)
    direction = magnitude / np.where(silent, 1, norm)
    x = np.linspace(0, 1, len(p))[:, None]
    deviation = x - (x * p).sum(axis=0)
    spread = np.sqrt((deviation**2 * p).sum(axis=0))
    z = deviation / np.where(spread < 1e-6, 1, spread)
    skewness = (z**3 * p).sum(axis=0)
    kurtosis = (z**4 * p).sum(axis=0)
    entropy = scipy.stats.entropy(p + silent, axis=0) / np.log(len(p))
    crest = len(p) * p.max(axis=0)
    change = np.diff(direction, axis=1)
    flux = np.append(0, np.linalg.norm(change, axis=0))
    k = np.arange(1, len(p))[:, None]
    fall = ((p[1:] - p[0]) / k).sum(axis=0)
    above = p[1:].sum(axis=0)
    decrease = fall / np.where(above > 0, above, 1)
    numbers = [skewness, np.minimum(kurtosis, 6e4), entropy, crest, flux, decrease]
    return np.where(silent, 0, numbers)


@definition
def ifd(y, sr, *, n_mels, fmin, fmax, **framing):
    instantaneous, _, magnitude = librosa.reassigned_spectrogram(
        y=y.astype(float),
        sr=sr,
        reassign_times=False,
        ref_power=0.0,
        clip=False,
        fill_nan=True,
        **framing,
    )
    n_fft = framing["n_fft"]
    frequency = librosa.fft_frequencies(sr=sr, n_fft=n_fft)
    deviation = np.abs(instantaneous - frequency[:, None])
    bands = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    power = magnitude**2
    energy = bands @ power
    # 80 dB below the largest
    least = max(1e-8 * energy.max(), np.finfo(np.float32).tiny)
    return bands @ (power * deviation) / np.maximum(energy, least)


@definition
def modulation(y, sr, *, ranges, low, high, **more):
    levels = mel(y, sr, **more)
    hop_length = more["hop_length"]
    rate = sr / hop_length
    edges = np.geomspace(low, min(high, rate / 2), ranges + 1)
    sounding = np.trim_zeros(y, "b")  # without its padding
    frames = levels.shape[1]
    if len(sounding):
        frames = 1 + (len(sounding) - 1) // hop_length
    own = levels[:, :frames]
    centred = own - own.mean(axis=1, keepdims=True)
    points = 1
    while points < levels.shape[1] or rate / points > edges[1] - edges[0]:
        points *= 2
    frequency = np.fft.rfftfreq(points, 1 / rate)
    depth = 2 * np.abs(np.fft.rfft(centred, points)) / frames
    means = []
    for begin, end in itertools.pairwise(edges):
        inside = (frequency >= begin) & (frequency < end)
        means.append(depth[:, inside].mean(axis=1))
    return np.log(0.01 + np.stack(means, axis=1))
