"""Row and frame axes of features by formula, whose lengths are the feature's shape.
Axes of pitch, rhythm and the shape of spectra are next to their features.

Row axes take (sample_rate, **parameters), frame axes (sample_rate, samples,
**parameters); both raise Impossible if the feature cannot exist at this rate or length.
Formulas are those of librosa 0.11 and 1.0, copied because importing librosa compiles
for ten seconds in a new environment.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.pipeline.parameters import Wavelets

C1 = 440 * 2 ** ((24 - 69) / 12)  # Hz, the lowest note of every constant-Q filter bank
HANN_BANDWIDTH = 1.50018310546875  # bins; the bandwidth of a wavelet's window
# Hz; bands are wider by alpha times this if gamma is None, as in the ear
AUDITORY = 24.7 / 0.108
# exponents of 3 and 5 in the twelve intervals of just intonation, up to octaves
JUST = np.array(
    [
        (0, 0),
        (-1, -1),
        (2, 0),
        (1, -1),
        (0, 1),
        (-1, 0),
        (2, 1),
        (1, 0),
        (0, -1),
        (-1, 1),
        (2, -1),
        (1, 1),
    ]
)


class Impossible(RequestError):
    """A feature that cannot exist for clips of this rate or duration."""


# Rows


def frequency_axis(sample_rate: float, *, n_fft: int, **_: object) -> np.ndarray:
    """Hz of each bin of a spectrum."""
    return np.fft.rfftfreq(n_fft, 1 / sample_rate)


def upper_end(sample_rate: int, fmin: float, fmax: float | None) -> float:
    """The upper end (Hz) of bands; Impossible if it is not above `fmin`."""
    top = sample_rate / 2 if fmax is None else fmax
    if fmin >= top:
        raise Impossible(f"its lowest band lies at {fmin:g} Hz, its highest at {top:g}")
    return top


def mel_edges(
    sample_rate: int, *, n_mels: int, fmin: float, fmax: float | None, **_: object
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


def mel_axis(sample_rate: int, **parameters: Any) -> np.ndarray:
    """Hz of the centre of each mel band."""
    return mel_edges(sample_rate, **parameters)[1:-1]


def linear_edges(
    sample_rate: int, *, n_bands: int, fmin: float, fmax: float | None, **_: object
) -> np.ndarray:
    """(n_bands + 2,) Hz, evenly spaced; band k spans edges k to k + 2."""
    return np.linspace(fmin, upper_end(sample_rate, fmin, fmax), n_bands + 2)


def erb_axis(
    sample_rate: int, *, n_bands: int, fmin: float, fmax: float | None, **_: object
) -> np.ndarray:
    """Hz of each gammatone band's centre, even in 21.4 log10(1 + 0.00437 f)."""
    top = upper_end(sample_rate, fmin, fmax)
    rates = np.linspace(np.log1p(0.00437 * fmin), np.log1p(0.00437 * top), n_bands)
    return np.expm1(rates) / 0.00437


def coefficient_axis(
    sample_rate: int,
    *,
    fmin: float,
    fmax: float | None,
    n_fft: int,
    **parameters: float,
) -> np.ndarray:
    """The number of each cepstral coefficient; there are at most as many as bands."""
    upper_end(sample_rate, fmin, fmax)
    return np.arange(
        float(min(count for name, count in parameters.items() if name.startswith("n_")))
    )


# Frames


def centred_frames(
    sample_rate: int, samples: int, *, hop_length: int = 0, **_: object
) -> np.ndarray:
    """Times of frame centres (s); with a hop_length of 0 the times of all samples."""
    count = 1 + samples // hop_length if hop_length else samples
    return np.arange(count) * ((hop_length or 1) / sample_rate)


def sloped_frames(
    sample_rate: int, samples: int, *, width: int, hop_length: int, **_: object
) -> np.ndarray:
    """Times of frame centres (s); Impossible if too few for a slope."""
    seconds = centred_frames(sample_rate, samples, hop_length=hop_length)
    if len(seconds) < width:
        raise Impossible(
            f"slopes need {width} frames; clips of this duration have {len(seconds)}"
        )
    return seconds


# Constant-Q filter banks


@dataclass(frozen=True)
class Bank(Wavelets):
    """A constant-Q filter bank.

    just    whether octaves are divided by just intonation
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
            ratios = np.power(2, np.sort(JUST @ np.log2([3, 5]) % 1))
        octaves = np.multiply.outer(
            2.0 ** np.arange(-(-self.n_bins // steps)), ratios
        ).flatten()
        return np.sort(octaves[: self.n_bins]) * (C1 * 2.0 ** (self.tuning / steps))

    def bandwidths(self, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n_bins,) `_relative_bandwidth` of librosa, and Hz that widen each band."""
        # bins an octave near each frequency
        steps = 1 / np.gradient(np.log2(frequency))
        alpha = (2.0 ** (2 / steps) - 1) / (2.0 ** (2 / steps) + 1)
        return alpha, (
            alpha * AUDITORY if self.gamma is None else np.full_like(alpha, self.gamma)
        )

    def halvings_beforehand(self, sample_rate: int) -> int:
        """The times that librosa halves the rate before the first octave."""
        frequency = self.frequencies()
        alpha, widening = self.bandwidths(frequency)
        top = np.max(
            frequency * (1 + 0.5 * HANN_BANDWIDTH * alpha / self.filter_scale)
            + 0.5 * widening
        )
        if top > sample_rate / 2:
            raise Impossible(
                f"its highest band reaches to {top:.0f} Hz, half the sample rate is"
                f" {sample_rate / 2:g} Hz"
            )
        by_frequency = max(0, int(np.ceil(np.log2(sample_rate / 2 / top)) - 1) - 1)
        twos = (self.hop_length & -self.hop_length).bit_length() - 1
        return min(
            by_frequency, max(0, twos - -(-self.n_bins // self.bins_per_octave) + 1)
        )
