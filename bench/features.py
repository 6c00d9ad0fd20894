"""Extraction against librosa and audioFlux, on one core: `python -m bench.features`.

The ways take turns clip by clip, so that a busy machine slows all alike. This project
runs in one process and the libraries in another, both with one thread. A time is the
median over clips of processor time, after one round to warm up and without reading
files. librosa is called as in pipeline/reference.py, its `hpss` once for both halves;
"shared" is librosa given one spectrogram. audioFlux is timed if it is installed (pip
install -e '.[bench]').
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from featurestack.commandline.commands import main
from featurestack.commandline.options import DatasetOptions, option
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import Channel
from featurestack.pipeline import audio, reference
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.features import FEATURES, Clip, resolve_feature
from featurestack.pipeline.options import SourceOptions
from featurestack.pipeline.pool import keep_freed_arrays

TRIPLE = ("mel", "mfcc", "chroma")
TOGETHER = "+".join(TRIPLE)
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
OTHERS = ["librosa, call by call", "librosa, one shared spectrogram", "audioFlux"]
RATE, SAMPLES = 44100, 5 * 44100
Times = dict[str, float]  # feature -> time


class FeaturesBenchOptions(DatasetOptions):
    """The clips and features to time."""

    dataset: str = option("synth", "any dataset whose clips are there")
    clips: int = option(20, "number of clips, evenly spaced")
    features: str = option("all", "features, separated by blanks")


@cache
def _sound(path: str) -> np.ndarray:
    return audio.load_clip(path, RATE, SAMPLES)


def ours(path: str, names: tuple[str, ...]) -> Times:
    """Seconds of each feature of one clip; the features share intermediate results."""
    clip = Clip(_sound(path), RATE)
    return {
        name: _timed(resolve_feature(Channel(name)).compute, clip) for name in names
    }


def plain(path: str, names: tuple[str, ...]) -> Times:
    """Seconds of each librosa call from the waveform; the two halves of hpss count as
    one call.
    """
    twice = {"percussive"} if "harmonic" in names else set()
    y = _sound(path)
    return {
        name: 0.0 if name in twice else _timed(reference.compute, name, y, RATE)
        for name in names
    }


def shared(path: str, _: tuple[str, ...]) -> Times:
    """Seconds of mel, mfcc and chroma by librosa from one spectrogram, as an
    experienced user writes it.
    """
    import librosa

    def triple(y: np.ndarray) -> None:
        power = np.abs(librosa.stft(y=y)) ** 2
        decibels = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE))
        librosa.feature.mfcc(S=decibels, n_mfcc=40)
        librosa.feature.chroma_stft(S=power, sr=RATE)

    return {TOGETHER: _timed(triple, _sound(path))}


@cache
def _audioflux() -> Callable[[np.ndarray], object]:
    """mel, mfcc and chroma by audioFlux 0.1.9, as in its documentation.

    Its values are not librosa's: windows, norms and frame counts differ.
    """
    import audioflux as af
    from audioflux.type import SpectralDataType, SpectralFilterBankScaleType

    common = {
        "radix2_exp": 11,
        "samplate": RATE,
        "slide_length": 512,
        "data_type": SpectralDataType.POWER,
    }
    mel = af.BFT(num=128, scale_type=SpectralFilterBankScaleType.MEL, **common)
    coefficients = af.XXCC(num=128)

    def triple(y: np.ndarray) -> None:
        values = mel.bft(y, result_type=1)
        coefficients.set_time_length(time_length=values.shape[-1])
        coefficients.xxcc(values, cc_num=40)
        af.chroma_linear(y, high_fre=RATE / 2, **common)

    return triple


def audioflux(path: str, _: tuple[str, ...]) -> Times:
    """Seconds of mel, mfcc and chroma by audioFlux."""
    return {TOGETHER: _timed(_audioflux(), _sound(path))}


def _timed(work: Callable[..., object], *arguments: object) -> float:
    begun = time.process_time()
    work(*arguments)
    return time.process_time() - begun


def measure(paths: list[str], every: tuple[str, ...]) -> dict[str, Times]:
    """way -> feature -> milliseconds a clip."""
    ways: dict[str, tuple[Callable[..., Times], tuple[str, ...]]] = {
        "ours together": (ours, every),
        "ours, the three": (ours, TRIPLE),
        "librosa": (plain, every),
        "librosa, call by call": (plain, TRIPLE),
        "librosa, one shared spectrogram": (shared, TRIPLE),
        **{f"alone {name}": (ours, (name,)) for name in every},
    }
    if find_spec("audioflux"):
        ways["audioFlux"] = audioflux, TRIPLE
    rounds: dict[str, list[Times]] = {way: [] for way in ways}
    alone = partial(
        ProcessPoolExecutor, 1, multiprocessing.get_context("spawn"), threadpool_limits
    )
    with alone((1,)) as fast, alone((1,)) as usual:
        # this project's setting of the C library
        fast.submit(keep_freed_arrays).result()
        for path in progress([paths[0], *paths], label="clips", unit="clips"):
            for way, (work, names) in ways.items():
                rounds[way].append(
                    (fast if work is ours else usual).submit(work, path, names).result()
                )
    return {
        way: {
            name: 1e3 * statistics.median(each[name] for each in times[1:])
            for name in times[0]
        }
        for way, times in rounds.items()
    }


def features(options: FeaturesBenchOptions) -> int:
    """Compare the extraction of features with librosa and audioFlux."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    table = load(
        SourceOptions(dataset=options.dataset, data=options.data, name=options.name)
    ).table
    paths = [
        str(path) for path in table.path.iloc[:: max(1, len(table) // options.clips)]
    ][: options.clips]
    names = (
        tuple(FEATURES)
        if options.features == "all"
        else tuple(options.features.split())
    )
    measured = measure(paths, names)
    milliseconds = pd.DataFrame(
        {
            "librosa": measured["librosa"],
            "ours alone": {name: measured[f"alone {name}"][name] for name in names},
            "ours together": measured["ours together"],
        }
    )
    milliseconds.loc["all"] = milliseconds.sum()
    print(f"ms a clip\n\n{milliseconds.round(2).to_string()}\n")
    whole = pd.DataFrame(measured).sum()
    print(
        "all against librosa, call by call:"
        f" {whole['librosa'] / whole['ours together']:.2f} times faster"
    )
    for other in whole.index.intersection(OTHERS):
        print(
            f"{TOGETHER} against {other}: {whole[other] / whole['ours, the three']:.2f}"
            " times faster"
        )
    return 0


if __name__ == "__main__":
    main([features])
