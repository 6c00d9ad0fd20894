"""What each compiled kernel saves: `python -m bench.kernels`.

Each kernel and the plain call that it replaces take turns on the same clips, in processor time with one
thread; a figure is the median over clips of the milliseconds that one clip costs. A kernel that saves less
than 2 ms of all features needs another reason to be there.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.ndimage
from threadpoolctl import threadpool_limits

from commandline.commands import Command, main
from commandline.options import DatasetOptions, option
from commandline.terminal import text_table
from features_cache.names import Channel
from pipeline import audio
from pipeline.datasets.load import load
from pipeline.features import FEATURES, Clip
from pipeline.features.registry import resolve_feature
from pipeline.kernels import constantq, fourier, half, hpss, period, spectrum
from pipeline.options import SourceOptions
from pipeline.parameters import Framing, Wavelets
from pipeline.pool import keep_freed_arrays

RATE, SAMPLES = 44100, 5 * 44100
FRAMING = Framing()
Pair = tuple[Callable[[], Any], Callable[[], Any]]


@dataclass(frozen=True, kw_only=True)
class KernelsOptions(DatasetOptions):
    """On which clips."""

    dataset: str = option("../shared/esc10", "any dataset whose clips are there")
    clips: int = option(10, "how many, evenly spaced")


def transform_pairs(y: np.ndarray, clip: Clip) -> dict[str, Pair]:
    """The kernels of the Fourier transform."""
    padded, hann = np.pad(y, 1024), fourier.centred_window(2048, 2048)
    slower = [clip.octave(1, halvings) for halvings in range(7)]
    onset = np.pad(clip.onset(512), 192)[:-1]
    return {
        "spectrogram": (
            lambda: fourier.magnitudes(y, 512, hann),
            lambda: np.abs(librosa.stft(y=y)),
        ),
        "frames of the constant-Q octaves, of 1024 once and of 256 three times": (
            lambda: [
                fourier.transforms(octave, 256 >> k, np.ones(n_fft), slice(n_fft // 16, n_fft // 4))
                for n_fft in (1024, 256, 256, 256)
                for k, octave in enumerate(slower)
            ],
            lambda: [
                librosa.stft(octave, n_fft=n_fft, hop_length=256 >> k, window="ones")
                for n_fft in (1024, 256, 256, 256)
                for k, octave in enumerate(slower)
            ],
        ),
        "autocorrelation, of YIN and of the tempogram": (
            lambda: [
                fourier.autocorrelation(padded, 512, np.ones(2048, np.float32), 680),
                fourier.autocorrelation(onset, 1, fourier.centred_window(384, 384), 384),
            ],
            lambda: [
                librosa.autocorrelate(librosa.util.frame(padded, frame_length=2048, hop_length=512), axis=0),
                librosa.autocorrelate(librosa.util.frame(onset, frame_length=384, hop_length=1), axis=0),
            ],
        ),
    }


def other_pairs(y: np.ndarray, clip: Clip) -> dict[str, Pair]:
    """All other kernels."""
    magnitude, power = clip.magnitude(FRAMING), clip.power(FRAMING)
    stored = [resolve_feature(Channel(name)).compute(clip) for name in FEATURES]
    padded, longest, shortest = np.pad(y, 1024), int(np.ceil(RATE / 65)), int(RATE / 2093)
    weights = np.vander(librosa.fft_frequencies(sr=RATE), 3, increasing=True).T.copy()
    return {
        "running median, both directions": (
            lambda: [hpss.running_median(magnitude, 31), hpss.running_median(magnitude.T.copy(), 31)],
            lambda: [
                scipy.ndimage.median_filter(magnitude, size=(31, 1), mode="reflect"),
                scipy.ndimage.median_filter(magnitude, size=(1, 31), mode="reflect"),
            ],
        ),
        "round to float16 and check": (
            lambda: [half.to_float16(values) for values in stored],
            lambda: [
                (np.isfinite(values).all(), np.abs(values).max(), np.ascontiguousarray(values, np.float16))
                for values in stored
            ],
        ),
        "period of YIN": (
            lambda: period.yin(padded, 2048, 512, shortest, longest),
            lambda: librosa.yin(y, fmin=65, fmax=2093, sr=RATE),
        ),
        "peaks of the tuning": (
            lambda: constantq.estimate_tuning(power, RATE, 2048, 12),
            lambda: librosa.estimate_tuning(S=power, sr=RATE, bins_per_octave=12),
        ),
        "constant-Q bank": (
            lambda: Clip(y, RATE).constant_q(constantq.Bank(Wavelets())),
            lambda: np.abs(librosa.cqt(y=y, sr=RATE)),
        ),
        "weighted sums, four times": (
            lambda: [spectrum.weighted_sums(weights, magnitude) for _ in range(4)],
            lambda: [weights @ magnitude.astype(float) for _ in range(4)],
        ),
        "first bin of rolloff": (
            lambda: spectrum.first_bin_reaching(magnitude, 0.85),
            lambda: librosa.feature.spectral_rolloff(S=magnitude, sr=RATE),
        ),
    }


def pairs(y: np.ndarray) -> dict[str, Pair]:
    """Kernel -> (with it, the plain call), as often as the thirty features call it for one clip."""
    clip = Clip(y, RATE)
    return transform_pairs(y, clip) | other_pairs(y, clip)


def _milliseconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return 1e3 * (time.process_time() - begun)


def kernels(options: KernelsOptions) -> int:
    """Show what each compiled kernel costs beside the plain call that it replaces."""
    table = load(SourceOptions(dataset=options.dataset, data=options.data, name=options.name)).table
    chosen = [Path(path) for path in table.path.iloc[:: max(1, len(table) // options.clips)]][: options.clips]
    taken: dict[str, list[tuple[float, float]]] = {}
    with threadpool_limits(1):
        keep_freed_arrays()
        for path in [chosen[0], *chosen]:  # the first compiles and warms up
            for name, (ours, plain) in pairs(audio.load_clip(path, RATE, SAMPLES)).items():
                taken.setdefault(name, []).append((_milliseconds(ours), _milliseconds(plain)))
    rows = []
    for name, times in taken.items():
        ours, plain = (statistics.median(column) for column in zip(*times[1:], strict=True))
        rows.append([name, f"{plain:.2f}", f"{ours:.2f}", f"{plain - ours:.2f}"])
    print(text_table(rows, ["kernel", "plain, ms a clip", "ours", "saved"]))
    return 0


COMMANDS: list[Command] = [kernels]

if __name__ == "__main__":
    main(COMMANDS)
