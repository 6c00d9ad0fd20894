"""One clip and its intermediates, which are computed when a feature first needs them.

Spectra are (rows, frames), as in librosa; callers must not change what they share.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from featurestack.base.errors import RequestError
from featurestack.features_cache.hdf5 import to_stored
from featurestack.pipeline import audio, kernels
from featurestack.pipeline.audio import (
    LEAST_RATE,
    MOST_AUDIO_CHANNELS,
    Samples,
    checked_rate,
    checked_samples,
    resample,
)
from featurestack.pipeline.parameters import (
    Bands,
    Bank,
    Framing,
    MelBank,
    frequency_axis,
)

# a frame's divisor below this becomes 1, as in librosa
TINY = np.finfo(np.float32).tiny
THIRDS = 252, 36  # bins in all and per octave: three per semitone

Arguments = ParamSpec("Arguments")
Computed = TypeVar("Computed")
Method = Callable[Concatenate["Clip", Arguments], Computed]


def shared(method: Method[Arguments, Computed]) -> Method[Arguments, Computed]:
    """Decorator: compute a method's value once per clip and set of arguments."""

    @functools.wraps(method)
    def once(
        clip: "Clip", *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Computed:
        key = method.__name__, args, tuple(kwargs.items())
        if key not in clip.made:
            clip.made[key] = method(clip, *args, **kwargs)
        return clip.made[key]

    return once


class Clip:
    """The samples of a clip, and the intermediates that its features share.

    Parameters
    ----------
    y : array (samples,), or with an axis of channels, whose mean is taken
        Floats of full scale 1, int16, int32 or uint8.
    sample_rate : int
        Hz.

    Attributes
    ----------
    y : array (samples,) of float32, mono
    sample_rate : int

    Examples
    --------
    >>> import numpy as np
    >>> fs.compute(fs.Clip(np.ones(44_100, np.float32), 44_100), "rms").values.max()
    np.float32(1.0)
    """

    def __init__(self, y: "ArrayLike", sample_rate: float) -> None:
        """RequestError if the samples are not audio, as in `Model.predict`."""
        self.y = checked_samples(y)  # (samples,) float32, mono
        self.sample_rate = checked_rate(sample_rate)  # Hz
        # feature -> its map as stored, for features that are computed from it
        self.maps: dict[str, tuple[np.ndarray, str, float]] = {}
        self.made: dict[object, Any] = {}  # intermediate, with its arguments -> value

    @classmethod
    def decoded(cls, y: Samples, sample_rate: int) -> Self:
        """A clip from samples that need no check, because they were decoded from a file
        or made by the program. They may exceed full scale or be empty.
        """
        clip = cls(np.zeros(1, np.float32), LEAST_RATE)
        clip.y, clip.sample_rate = y, sample_rate
        return clip

    def fitted(self, sample_rate: int, seconds: float | None) -> "Clip":
        """The clip at this rate, cut or padded to `seconds` as in a cache."""
        y = resample(self.y, self.sample_rate, sample_rate)
        samples = round(seconds * sample_rate) if seconds else len(y)
        y = np.pad(y[:samples], (0, max(0, samples - len(y))))
        return Clip.decoded(y, sample_rate)

    def __repr__(self) -> str:
        seconds = len(self.y) / self.sample_rate
        return f"Clip({seconds:.2f} s at {self.sample_rate:,} Hz)"

    def keep_map(
        self, name: str, values: np.ndarray, units: str, axis: np.ndarray, unit: str
    ) -> None:
        """Keep a feature's map (rows, frames) in float16, its units, and the seconds
        from one frame to the next, 0 if columns are not time.

        axis, unit  the frame axis (frames,) and its unit
        """
        timed = unit == "s" and len(axis) > 1
        hop = float(axis[-1] - axis[0]) / (len(axis) - 1) if timed else 0.0
        self.maps[name] = to_stored(values, "float16"), units, hop

    @shared
    def magnitude(self, framing: Framing) -> np.ndarray:
        """(1 + n_fft/2, frames): `abs(librosa.stft(y))`."""
        window = kernels.fourier.centred_window(framing.n_fft, framing.win_length)
        return kernels.fourier.magnitudes(self.y, framing.hop_length, window)

    @shared
    def power(self, framing: Framing) -> np.ndarray:
        """(1 + n_fft/2, frames): the square of the magnitude."""
        return self.magnitude(framing) ** 2

    @shared
    def mel_db(self, bank: MelBank, framing: Framing) -> np.ndarray:
        """(n_mels, frames) dB: `power_to_db(librosa.feature.melspectrogram(y))`."""
        bands = self.bands(self.power(framing), bank)
        return kernels.spectrum.decibels(bands)

    def bands(self, spectrogram: np.ndarray, bank: MelBank) -> np.ndarray:
        """(n_mels, frames): `melspectrogram(S=spectrogram)`, a sparse product."""
        n_fft = 2 * (len(spectrogram) - 1)
        filters = kernels.spectrum.mel_filters(self.sample_rate, n_fft, bank)
        return filters @ spectrogram

    @shared
    def mfcc(self, n_mfcc: int, bank: MelBank, framing: Framing) -> np.ndarray:
        """(n_mfcc, frames): `librosa.feature.mfcc(y)`."""
        return kernels.spectrum.cepstrum(self.mel_db(bank, framing), n_mfcc)

    @shared
    def gammatone(self, bank: Bands, framing: Framing) -> np.ndarray:
        """(n_bands, frames) dB of gammatone bands."""
        rate, n_fft = self.sample_rate, framing.n_fft
        filters = kernels.spectrum.gammatone_filters(rate, n_fft, bank)
        return kernels.spectrum.decibels(filters @ self.power(framing))

    @shared
    def mean_and_spread(self, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the spectrum in Hz, (frames,) each."""
        frequency = frequency_axis(self.sample_rate, n_fft=framing.n_fft)
        powers = np.vander(frequency, 3, increasing=True).T.copy()
        moments = kernels.spectrum.weighted_sums(powers, self.magnitude(framing))
        total, first, second = moments
        total[total < TINY] = 1.0
        mean = first / total
        variance = np.maximum(0, second / total - mean**2)
        return mean, np.sqrt(variance)

    @shared
    def harmonic_percussive(
        self, framing: Framing, kernel_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(bins, frames) each: the squares of `librosa.decompose.hpss`."""
        return kernels.hpss.harmonic_percussive(self.magnitude(framing), kernel_size)

    @shared
    def tuning(self, bins_per_octave: int, framing: Framing, power: int) -> float:
        """Deviation from A440 in bins: `librosa.estimate_tuning`."""
        spectrogram = self.power(framing) if power == 2 else self.magnitude(framing)
        bins = self.sample_rate, framing.n_fft, bins_per_octave
        return kernels.pitch.estimate_tuning(spectrogram, *bins)

    @shared
    def octave(self, beforehand: int, halvings: int) -> np.ndarray:
        """The samples at a lower rate, for one octave of a constant-Q transform:
        `librosa.resample(y, orig_sr=factor, target_sr=1, scale=True)` to the last bit,
        since levels far below a clip's strongest partials are rounding errors.
        """
        if halvings:
            faster = self.octave(beforehand, halvings - 1)
            factor = 2
        else:
            faster = self.y
            factor = 2**beforehand
        slower = resample(faster, factor, 1)
        if factor > 1:
            slower /= np.sqrt(1 / factor)
        return slower

    @shared
    def constant_q(self, bank: Bank) -> np.ndarray:
        """(n_bins, frames): `abs(librosa.vqt(y))`; cqt is the case gamma=0."""
        beforehand, octaves = kernels.pitch.octaves(bank, self.sample_rate)
        responses = []
        for octave in octaves:
            y = self.octave(beforehand, octave.halvings)
            responses.append(octave.response(y))
        frames = min(response.shape[1] for response in responses)
        lowest_first = reversed(responses)
        return np.vstack([response[:, :frames] for response in lowest_first])

    @shared
    def pitch_classes(self, hop_length: int) -> np.ndarray:
        """(12, frames) magnitudes over octaves, at the clip's tuning."""
        tuning = self.tuning(36, Framing(), power=1)
        bank = Bank(*THIRDS, hop_length=hop_length, tuning=tuning)
        return kernels.spectrum.fold_octaves(self.constant_q(bank), 3)

    @shared
    def onset(self, hop_length: int) -> np.ndarray:
        """(frames,) the mean rise of mel bands: `librosa.onset.onset_strength(y)`."""
        framing = Framing(hop_length=hop_length)
        decibels = self.mel_db(MelBank(), framing)
        rise = np.maximum(0, np.diff(decibels, axis=1))
        strength = rise.mean(axis=0)
        # delay in frames due to the difference and the window
        late = 1 + framing.n_fft // (2 * hop_length)
        frames = decibels.shape[1]
        return np.pad(strength, (late, 0))[:frames]

    @shared
    def tempogram(self, win_length: int, hop_length: int) -> np.ndarray:
        """(win_length, frames): `librosa.feature.tempogram(y)`."""
        onset = self.onset(hop_length)
        envelope = np.pad(onset, win_length // 2, mode="linear_ramp")
        envelope = envelope[:-1]
        window = kernels.fourier.centred_window(win_length)
        correlation = kernels.fourier.autocorrelation(envelope, 1, window, win_length)
        power = correlation[0]
        return correlation / np.where(power < TINY, 1, power)


# ---- what a caller gives as audio

ClipLike = Clip | Path | str | ArrayLike


@dataclass(frozen=True)
class FeatureMap:
    """A feature of one clip: `values` (rows, frames), both axes, and the units that the
    cache records.

    `seconds` has the time of each frame, or its position in `frame_unit` if columns are
    not time.
    """

    name: str
    values: np.ndarray
    rows: np.ndarray
    row_unit: str
    seconds: np.ndarray
    units: str = ""
    frame_unit: str = "s"

    def __repr__(self) -> str:
        rows, frames = self.values.shape
        return (
            f"FeatureMap({self.name}, {rows} rows x {frames} frames,"
            f" {self.units or 'no unit'})"
        )


def clip_of(
    given: ClipLike,
    sample_rate: float | None = None,
    *,
    file_rate: int | None = None,
    seconds: float | None = None,
) -> Clip:
    """The clip of an audio file's path, of a Clip, or of samples with their rate;
    RequestError for anything else.

    sample_rate  Hz of samples, to which a file is resampled
    file_rate    the rate of a file without it; by default its own
    seconds      a file is cut or padded to them
    """
    rate = None if sample_rate is None else checked_rate(sample_rate)
    if isinstance(given, Clip):
        if rate not in (None, given.sample_rate):
            raise RequestError(f"{given} has a rate of its own: leave sample_rate= out")
        return given
    if isinstance(given, str | os.PathLike):
        try:
            rate = rate or file_rate or audio.file_info(given).sample_rate
            if seconds is None:
                return Clip.decoded(audio.decode(given, rate), rate)
            samples = round(seconds * rate)
            return Clip.decoded(audio.load_clip(given, rate, samples), rate)
        except audio.AudioError as error:
            raise RequestError(f"{given}: {error}") from None
    if rate is None:
        raise RequestError(
            f"expected the path of an audio file, a Clip, or samples with sample_rate=,"
            f" not {type(given).__name__} alone"
        )
    return Clip(given, rate)


def is_one(given: object) -> bool:
    """Whether this is the audio of one clip, not a list of clips."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "iuf":
        return given.ndim == 1 or (
            given.ndim == 2 and given.shape[1] <= MOST_AUDIO_CHANNELS
        )
    return isinstance(given, Clip | str | os.PathLike)
