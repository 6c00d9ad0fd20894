"""One clip and its intermediates, each computed the first time that a feature asks for
it.

Spectra are (rows, frames), as in librosa. Intermediates are shared: callers must not
change them.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import scipy  # loads its modules on first use

from featurestack.pipeline import kernels
from featurestack.pipeline.audio import resample
from featurestack.pipeline.axes import Bank, frequency_axis
from featurestack.pipeline.parameters import ErbBank, Framing, MelBank

# a smaller divisor of a frame becomes 1, as in librosa
TINY = np.finfo(np.float32).tiny
THIRDS = 252, 36  # bins in all and in an octave: three for each semitone

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
Method = Callable[Concatenate["Clip", Arguments], Value]


def shared(method: Method[Arguments, Value]) -> Method[Arguments, Value]:
    """Decorator: a method that computes once for each clip and call, then returns the
    same object.

    Equal arguments count as another call if they are given by name instead of by
    position.
    """

    @functools.wraps(method)
    def once(clip: "Clip", *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        key = method.__name__, args, tuple(kwargs.items())
        if key not in clip.made:
            clip.made[key] = clip.timed(
                key, functools.partial(method, clip, *args, **kwargs)
            )
        clip.used.append(key)
        return clip.made[key]

    return once


class Clip:
    """The samples of a clip, and the intermediates that its features share.

    y            (samples,) float32, mono
    sample_rate  Hz

        Clip(y, 44100).mel_db(MelBank(), Framing())  # (128, 431)
    """

    def __init__(self, y: np.ndarray, sample_rate: int) -> None:
        self.y = y
        self.sample_rate = sample_rate
        self.made: dict[object, Any] = {}  # intermediate, with its arguments -> value
        # intermediates that the computation in progress has used
        self.used: list[object] = []
        # computation -> intermediates that it used directly
        self.parts: dict[object, list[object]] = {}
        # computation -> its own time, without intermediates
        self.nanoseconds: Counter[object] = Counter()
        self.accounted = 0  # sum of these times

    def timed(self, key: object, compute: Callable[[], Value]) -> Value:
        """The value of `compute`; its own time and the intermediates that it used are
        noted under `key`.
        """
        outer, self.used = self.used, []
        before = self.accounted
        begun = time.perf_counter_ns()
        try:
            return compute()
        finally:
            spent = time.perf_counter_ns() - begun
            self.nanoseconds[key] += spent - (self.accounted - before)
            self.accounted = before + spent
            self.parts[key], self.used = self.used, outer

    def costs(self, features: Iterable[str]) -> Counter[str]:
        """feature -> nanoseconds; features divide the time of intermediates that they
        share.
        """
        needed: dict[str, set[object]] = {}
        for feature in features:
            needed[feature] = set()
            waiting: list[object] = [feature]
            while waiting:
                key = waiting.pop()
                if key not in needed[feature]:
                    needed[feature].add(key)
                    waiting += self.parts[key]
        users = Counter(key for keys in needed.values() for key in keys)
        return Counter(
            {
                name: sum(self.nanoseconds[key] // users[key] for key in keys)
                for name, keys in needed.items()
            }
        )

    @shared
    def magnitude(self, framing: Framing) -> np.ndarray:
        """(1 + n_fft/2, frames): `abs(librosa.stft(y))`."""
        window = kernels.fourier.centred_window(
            framing.win_length or framing.n_fft, framing.n_fft
        )
        return kernels.fourier.magnitudes(self.y, framing.hop_length, window)

    @shared
    def power(self, framing: Framing) -> np.ndarray:
        """(1 + n_fft/2, frames): the square of the magnitude."""
        return self.magnitude(framing) ** 2

    @shared
    def mel_db(self, bank: MelBank, framing: Framing) -> np.ndarray:
        """(n_mels, frames) dB: `power_to_db(librosa.feature.melspectrogram(y))`."""
        return kernels.spectrum.decibels(self.bands(self.power(framing), bank))

    def bands(self, spectrogram: np.ndarray, bank: MelBank) -> np.ndarray:
        """(n_mels, frames): `librosa.feature.melspectrogram(S=spectrogram)`, as a
        sparse product.
        """
        n_fft = 2 * (len(spectrogram) - 1)
        return kernels.spectrum.mel_filters(self.sample_rate, n_fft, bank) @ spectrogram

    @shared
    def mfcc(self, n_mfcc: int, bank: MelBank, framing: Framing) -> np.ndarray:
        """(n_mfcc, frames): `librosa.feature.mfcc(y)`."""
        return scipy.fft.dct(self.mel_db(bank, framing), axis=0, norm="ortho")[:n_mfcc]

    @shared
    def gammatone(self, bank: ErbBank, framing: Framing) -> np.ndarray:
        """(n_bands, frames) dB of gammatone bands."""
        filters = kernels.spectrum.gammatone_filters(
            self.sample_rate, framing.n_fft, bank
        )
        return kernels.spectrum.decibels(filters @ self.power(framing))

    @shared
    def mean_and_spread(self, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
        """Mean frequency of the spectrum and standard deviation about it, in Hz,
        (frames,) each.
        """
        frequency = frequency_axis(self.sample_rate, n_fft=framing.n_fft)
        total, first, second = kernels.spectrum.weighted_sums(
            np.vander(frequency, 3, increasing=True).T.copy(), self.magnitude(framing)
        )
        total[total < TINY] = 1.0
        mean = first / total
        return mean, np.sqrt(np.maximum(0, second / total - mean**2))

    @shared
    def harmonic_percussive(
        self, framing: Framing, kernel_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Energies of both parts, (1 + n_fft/2, frames) each: the squares of
        `librosa.decompose.hpss`.
        """
        return kernels.hpss.harmonic_percussive(self.magnitude(framing), kernel_size)

    @shared
    def tuning(self, bins_per_octave: int, framing: Framing, power: int) -> float:
        """Deviation from A440 in bins: `librosa.estimate_tuning` of the magnitude or of
        the power.
        """
        spectrogram = self.power(framing) if power == 2 else self.magnitude(framing)
        return kernels.constantq.estimate_tuning(
            spectrogram, self.sample_rate, framing.n_fft, bins_per_octave
        )

    @shared
    def octave(self, beforehand: int, halvings: int) -> np.ndarray:
        """The samples at a lower rate, for one octave of a constant-Q transform.

        The first step lowers the rate by 2**beforehand, each of `halvings` further
        steps by 2. A step equals `librosa.resample(y, orig_sr=factor, target_sr=1,
        scale=True)` to the last bit, because far below a clip's strongest partials the
        level is rounding error alone.
        """
        factor = 2 if halvings else 2**beforehand
        slower = resample(
            self.octave(beforehand, halvings - 1) if halvings else self.y, factor, 1
        )
        if factor > 1:
            slower /= np.sqrt(1 / factor)
        return slower

    @shared
    def constant_q(self, bank: Bank) -> np.ndarray:
        """(n_bins, frames) magnitudes: `abs(librosa.vqt(y))`; cqt is the case
        gamma=0.
        """
        beforehand, octaves = kernels.constantq.octaves(bank, self.sample_rate)
        responses = [
            octave.response(self.octave(beforehand, octave.halvings))
            for octave in octaves
        ]
        frames = min(response.shape[1] for response in responses)
        return np.vstack([response[:, :frames] for response in reversed(responses)])

    @shared
    def pitch_classes(self, hop_length: int) -> np.ndarray:
        """(12, frames) magnitudes summed over octaves, from three bins a semitone, at
        the clip's tuning.
        """
        bank = Bank(
            *THIRDS, hop_length=hop_length, tuning=self.tuning(36, Framing(), power=1)
        )
        return kernels.spectrum.fold_octaves(self.constant_q(bank), 3)

    @shared
    def onset(self, hop_length: int) -> np.ndarray:
        """(frames,) mean rise of the mel bands in dB:
        `librosa.onset.onset_strength(y)`.
        """
        framing = Framing(hop_length=hop_length)
        decibels = self.mel_db(MelBank(), framing)
        rise = np.maximum(0, np.diff(decibels, axis=1)).mean(axis=0)
        # frames of delay by the difference and the window
        late = 1 + framing.n_fft // (2 * hop_length)
        return np.pad(rise, (late, 0))[: decibels.shape[1]]

    @shared
    def tempogram(self, win_length: int, hop_length: int) -> np.ndarray:
        """(win_length, frames): `librosa.feature.tempogram(y)`."""
        envelope = np.pad(self.onset(hop_length), win_length // 2, mode="linear_ramp")[
            :-1
        ]
        window = kernels.fourier.centred_window(win_length, win_length)
        correlation = kernels.fourier.autocorrelation(envelope, 1, window, win_length)
        return correlation / np.where(correlation[0] < TINY, 1, correlation[0])
