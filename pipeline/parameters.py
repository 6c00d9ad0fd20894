"""Parameters of features, typed, range-checked, read from a function's signature; and
formulas for axes, whose lengths are a feature's shape.

A feature declares a parameter as a keyword-only argument with an annotated type,
`n_mels: Count = 128`, or several as a group: an argument `framing: Framing` gives it
`n_fft`, `hop_length` and `win_length`, with the defaults of the group, or those of an
instance, as in `bank: MelBank = MEL_64`. Parameters that librosa has too keep its names
and meanings.

Row axes take (sample_rate, *, parameters), frame axes (sample_rate, samples, *,
parameters), of which they name those that they need; both raise Impossible if the
feature cannot exist at this rate or length.
The formulas are copied from librosa 0.11 and 1.0, because importing librosa compiles
for ten seconds in a new environment. Axes of pitch, rhythm and the shape of spectra are
next to their features.
"""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any

import numpy as np

from featurestack.base.errors import RequestError

Value = str | int | float | bool | None
HOP = 512  # samples from one frame to the next, by default
C1 = 440 * 2 ** ((24 - 69) / 12)  # Hz, the lowest note of every constant-Q filter bank
HANN_BANDWIDTH = 1.50018310546875  # bins, the bandwidth of a wavelet's window
# Hz; bands are wider by alpha times this if gamma is None, as in the ear
AUDITORY = 24.7 / 0.108
# exponents of 3 and of 5 in the twelve intervals of just intonation, up to octaves
JUST = np.array(
    [[0, -1, 2, 1, 0, -1, 2, 1, 0, -1, 2, 1], [0, -1, 0, -1, 1, 0, 1, 0, -1, 1, -1, 1]]
)
VALUE_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a word",
}


class Impossible(RequestError):
    """A feature that cannot exist for clips of this rate or duration."""


@dataclass(frozen=True)
class _Within:
    """The range of a number, including both ends; steps count from `low`."""

    low: float
    high: float
    step: int = 0

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self.step else ""
        return f"from {self.low:g} to {self.high:g}{steps}"

    def __contains__(self, value: float) -> bool:
        between = self.step and (value - self.low) % self.step
        return self.low <= value <= self.high and not between


Milliseconds = Annotated[float, _Within(1, 1000)]
Samples = Annotated[int, _Within(2, 65536)]
EvenSamples = Annotated[int, _Within(16, 65536, 2)]
Count = Annotated[int, _Within(1, 2048)]
Several = Annotated[int, _Within(2, 2048)]
Odd = Annotated[int, _Within(3, 255, 2)]
Hertz = Annotated[float, _Within(0, 96000)]
ModulationHertz = Annotated[float, _Within(0.01, 1000)]
Positive = Annotated[float, _Within(1e-12, 1e6)]
Unit = Annotated[float, _Within(0, 1)]
Quantile = Annotated[float, _Within(0.001, 0.5)]
Fraction = Annotated[float, _Within(0.01, 0.99)]
Degree = Annotated[int, _Within(1, 8)]
Ranges = Annotated[int, _Within(1, 64)]


@dataclass(frozen=True)
class Framing:
    """Length and hop of a clip's windowed frames (`librosa.stft`)."""

    n_fft: EvenSamples = 2048
    hop_length: Samples = HOP
    win_length: Samples | None = None  # None: n_fft

    def __post_init__(self) -> None:
        if self.win_length is not None and self.win_length > self.n_fft:
            raise RequestError(
                f"win_length={self.win_length} is longer than n_fft={self.n_fft}; raise"
                " n_fft"
            )


@dataclass(frozen=True)
class MelBank:
    """Triangular bands, evenly spaced on the mel scale (`librosa.filters.mel`)."""

    n_mels: Count = 128
    fmin: Hertz = 0.0
    fmax: Hertz | None = None  # half the sample rate


MEL_64, MEL_32 = MelBank(n_mels=64), MelBank(n_mels=32)


@dataclass(frozen=True)
class Bands:
    """Bands evenly spaced in Hz, or of gammatones in ERB-rate."""

    n_bands: Count = 128
    fmin: Hertz = 0.0
    fmax: Hertz | None = None  # half the sample rate


GAMMATONES = Bands(fmin=50.0)


@dataclass(frozen=True)
class Wavelets:
    """A constant-Q filter bank from C1 up (`librosa.cqt`)."""

    n_bins: Several = 84
    bins_per_octave: Count = 12
    filter_scale: Annotated[float, _Within(0.05, 4)] = 1.0
    hop_length: Samples = HOP


@dataclass(frozen=True)
class Parameter:
    """One parameter of a feature: its name, type, range and default."""

    name: str
    kind: type
    within: _Within | None
    default: Value

    def read(self, value: Value, feature: str) -> Value:
        """A feature's `value` in this parameter's type; RequestError if it has none."""
        if value in (None, "none") and self.default is None:
            return None
        try:
            read = self.kind(value)
            fits = isinstance(value, bool) == (self.kind is bool) and (
                self.kind is str or read == value
            )
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits or (self.within and read not in self.within):
            expected = VALUE_WORDS[self.kind] + (
                f" {self.within}" if self.within else ""
            )
            raise RequestError(f"{feature}@{self.name}={value}: expected {expected}")
        return read


# every feature with frames takes it in place of parameters that count samples
FRAME = Parameter("frame", float, _Within(1, 1000), None)
SHORTEST = 16  # samples of a frame
OVERLAP = 4  # frames begin a quarter of their length apart
# lengths from 512 samples on are multiples of it: cqt's octaves need 64 to divide a hop
STEP = 256


def samples_of_frame(milliseconds: float, sample_rate: int) -> dict[str, int]:
    """The values of the parameters that count samples, for frames of this duration.

    >>> [samples_of_frame(46, rate)["n_fft"] for rate in (8000, 16000, 44100, 48000)]
    [384, 768, 2048, 2304]
    """
    samples = max(SHORTEST, milliseconds / 1000 * sample_rate)
    half = 2 ** int(math.log2(samples)) // 2
    step = min(STEP, half)
    length = step * round(samples / step)
    return {"n_fft": length, "frame_length": length, "hop_length": length // OVERLAP}


# name, group or None, fields
Argument = tuple[str, Callable[..., object] | None, Mapping[str, inspect.Parameter]]


@functools.cache
def arguments(function: Callable[..., object]) -> list[Argument]:
    argument_list: list[Argument] = []
    for name, argument in inspect.signature(function, eval_str=True).parameters.items():
        if argument.kind is inspect.Parameter.KEYWORD_ONLY:
            group = argument.annotation
            grouped = is_dataclass(group)
            fields = {name: argument}
            if grouped:
                fields = dict(inspect.signature(group).parameters)
            if grouped and argument.default is not argument.empty:
                defaults = vars(argument.default)
                fields = {n: f.replace(default=defaults[n]) for n, f in fields.items()}
            argument_list.append((name, group if grouped else None, fields))
    return argument_list


def taken_by(
    function: Callable[..., object], values: Mapping[str, Value]
) -> dict[str, Any]:
    """The values that a function, or a group of parameters, names as arguments."""
    named = inspect.signature(function).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in named.values())
    return {name: value for name, value in values.items() if takes_all or name in named}


def frequency_axis(sample_rate: float, *, n_fft: int) -> np.ndarray:
    """Hz of each bin of a spectrum."""
    return np.fft.rfftfreq(n_fft, 1 / sample_rate)


def upper_end(sample_rate: int, fmin: float, fmax: float | None) -> float:
    """The upper end (Hz) of bands; Impossible if it is not above `fmin`."""
    top = sample_rate / 2 if fmax is None else fmax
    if fmin >= top:
        raise Impossible(f"its lowest band lies at {fmin:g} Hz, its highest at {top:g}")
    return top


def mel_edges(
    sample_rate: int, *, n_mels: int, fmin: float, fmax: float | None
) -> np.ndarray:
    """(n_mels + 2,) Hz, evenly spaced in mel: band k spans edges k to k + 2."""
    linear = 200 / 3  # Hz of a mel below 1 kHz
    top = upper_end(sample_rate, fmin, fmax)
    step = np.log(6.4) / 27  # logarithm of the ratio of mels above 1 kHz
    bend = 1000 / linear
    low, high = (
        hertz / linear if hertz < 1000 else bend + np.log(hertz / 1000) / step
        for hertz in (fmin, top)
    )
    mels = np.linspace(low, high, n_mels + 2)
    return np.where(mels < bend, linear * mels, 1000 * np.exp(step * (mels - bend)))


def mel_axis(
    sample_rate: int, *, n_mels: int, fmin: float, fmax: float | None
) -> np.ndarray:
    """Hz of the centre of each mel band."""
    return mel_edges(sample_rate, n_mels=n_mels, fmin=fmin, fmax=fmax)[1:-1]


def linear_edges(
    sample_rate: int, *, n_bands: int, fmin: float, fmax: float | None
) -> np.ndarray:
    """(n_bands + 2,) Hz, evenly spaced; band k spans edges k to k + 2."""
    return np.linspace(fmin, upper_end(sample_rate, fmin, fmax), n_bands + 2)


def erb_axis(
    sample_rate: int, *, n_bands: int, fmin: float, fmax: float | None
) -> np.ndarray:
    """Hz of gammatone bands' centres, evenly spaced in 21.4 log10(1 + 0.00437 f)."""
    top = upper_end(sample_rate, fmin, fmax)
    rates = np.linspace(np.log1p(0.00437 * fmin), np.log1p(0.00437 * top), n_bands)
    return np.expm1(rates) / 0.00437


def coefficient_axis(
    coefficients: str, bands: str, sample_rate: int, **parameters: Any
) -> np.ndarray:
    """The index of each cepstral coefficient; there are at most as many as bands. The
    names of the parameters that count both come first.
    """
    upper_end(sample_rate, parameters["fmin"], parameters["fmax"])
    return np.arange(float(min(parameters[coefficients], parameters[bands])))


def centred_frames(
    sample_rate: int, samples: int, *, hop_length: int = 0
) -> np.ndarray:
    """Times of frame centres (s), or of all samples if hop_length is 0."""
    count = 1 + samples // hop_length if hop_length else samples
    return np.arange(count) * ((hop_length or 1) / sample_rate)


def sloped_frames(
    sample_rate: int, samples: int, *, width: int, hop_length: int
) -> np.ndarray:
    """Times of frame centres (s); Impossible if there are too few for a slope."""
    seconds = centred_frames(sample_rate, samples, hop_length=hop_length)
    if len(seconds) < width:
        raise Impossible(
            f"slopes need {width} frames; clips of this duration have {len(seconds)}"
        )
    return seconds


@dataclass(frozen=True)
class Bank(Wavelets):
    """A constant-Q filter bank.

    just    whether octaves are divided in just intonation
    gamma   Hz added to each bandwidth; None: as in the ear
    tuning  deviation from A440, in bins
    """

    just: bool = False
    gamma: float | None = 0.0
    tuning: float = 0.0

    def frequencies(self) -> np.ndarray:
        """(n_bins,) Hz: `librosa.interval_frequencies`."""
        steps = self.bins_per_octave
        ratios = 2.0 ** (np.arange(steps) / steps)
        if self.just:
            ratios = np.power(2, np.sort(np.log2([3, 5]) @ JUST % 1))
        powers = 2.0 ** np.arange(-(-self.n_bins // steps))
        octaves = np.multiply.outer(powers, ratios).flatten()
        return np.sort(octaves[: self.n_bins]) * (C1 * 2.0 ** (self.tuning / steps))

    def bandwidths(self, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n_bins,) librosa's `_relative_bandwidth`, and Hz that widen each band."""
        # bins per octave near each frequency
        steps = 1 / np.gradient(np.log2(frequency))
        alpha = (2.0 ** (2 / steps) - 1) / (2.0 ** (2 / steps) + 1)
        return alpha, (
            alpha * AUDITORY if self.gamma is None else np.full_like(alpha, self.gamma)
        )

    def halvings_beforehand(self, sample_rate: int) -> int:
        """How often librosa halves the rate before the first octave."""
        frequency = self.frequencies()
        alpha, widening = self.bandwidths(frequency)
        half = 1 + 0.5 * HANN_BANDWIDTH * alpha / self.filter_scale
        top = np.max(frequency * half + 0.5 * widening)
        if top > sample_rate / 2:
            raise Impossible(
                f"its highest band reaches {top:.0f} Hz, above half the sample rate,"
                f" {sample_rate / 2:g} Hz"
            )
        by_frequency = max(0, int(np.ceil(np.log2(sample_rate / 2 / top)) - 1) - 1)
        twos = (self.hop_length & -self.hop_length).bit_length() - 1
        octaves = -(-self.n_bins // self.bins_per_octave)
        return min(by_frequency, max(0, twos - octaves + 1))
