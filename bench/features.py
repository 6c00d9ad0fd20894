"""Extraction against librosa, audioFlux and essentia, on one core: `python -m bench.features`.

Each way runs in a process of its own with its threads pinned to one; clip by clip they take turns, so that
whatever else the machine does hits all alike. A time is the median over clips of processor time, after one
round to warm up and without reading files. librosa is called as in pipeline/reference.py, its `hpss` once
for the two halves; "shared" is librosa given one spectrogram; audioFlux and essentia are called as in
bench/audioflux_calls.py and bench/essentia_calls.py, where they are installed (pip install -r
requirements-bench.txt). Writes bench/out/features.json and features.png.
"""

import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from threadpoolctl import threadpool_limits

from bench import audioflux_calls, essentia_calls
from bench.features_report import TARGETS, Measured, draw, report
from commandline.commands import Command, main
from commandline.options import DatasetOptions, option
from commandline.terminal import progress
from features_cache.names import Channel
from pipeline import audio, reference
from pipeline.datasets.load import load
from pipeline.features import FEATURES, Clip, resolve_feature
from pipeline.options import SourceOptions
from pipeline.pool import keep_freed_arrays

TRIPLE = ("mel", "mfcc", "chroma")
TRIPLES = {*TRIPLE, "+".join(TRIPLE)}
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
RATE, SAMPLES = 44100, 5 * 44100
FFT_FRAMES = 431  # of 2048 samples, what a clip's spectrogram takes


@dataclass(frozen=True, kw_only=True)
class FeaturesBenchOptions(DatasetOptions):
    """On which clips."""

    dataset: str = option("synth", "any dataset whose clips are there")
    clips: int = option(20, "how many, evenly spaced")
    features: str = option("all", "features, separated by blanks")
    rounds: int = option(7, "of one process and then two")
    out: Path = option(Path(__file__).parent / "out", "folder of the figures")
    first_clip: str = option("", "only compute every feature of this file, and say what memory that took")


# What one process is told to do. The results are seconds of processor time by name.


@cache
def _sound(path: str) -> np.ndarray:
    return audio.load_clip(path, RATE, SAMPLES)


def ours(path: str, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds of each feature in one clip that shares its intermediates."""
    clip, taken = Clip(_sound(path), RATE), {}
    for name in names:
        taken[name] = _timed(resolve_feature(Channel(name)).compute, clip)
    return taken


def plain(path: str, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds of each librosa call from the waveform; the two halves of hpss count as one call."""
    y, taken = _sound(path), {}
    for name in names:
        if name == "percussive" and "harmonic" in names:
            taken[name] = 0.0
        else:
            taken[name] = _timed(reference.compute, name, y, RATE)
    return taken


def shared(path: str, _: tuple[str, ...]) -> dict[str, float]:
    """Seconds of mel, mfcc and chroma by librosa from one spectrogram, as an experienced user writes it."""
    import librosa

    def triple(y: np.ndarray) -> None:
        power = np.abs(librosa.stft(y=y)) ** 2
        decibels = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE))
        librosa.feature.mfcc(S=decibels, n_mfcc=40)
        librosa.feature.chroma_stft(S=power, sr=RATE)

    return {"+".join(TRIPLE): _timed(triple, _sound(path))}


def audioflux(path: str, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds of each feature that audioFlux has."""
    y, calls = _sound(path), _audioflux()
    return {name: _timed(calls[name], y) for name in names if name in calls}


def essentia(path: str, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds of each feature that essentia has."""
    y, calls = _sound(path), _essentia()
    return {name: _timed(calls[name], y) for name in names if name in calls}


@cache
def _audioflux() -> dict[str, Callable[[np.ndarray], Any]]:
    return audioflux_calls.calls(RATE)


@cache
def _essentia() -> dict[str, Callable[[np.ndarray], Any]]:
    return essentia_calls.calls(RATE)


def _timed(work: Callable[..., object], *arguments: object) -> float:
    begun = time.process_time()
    work(*arguments)
    return time.process_time() - begun


def all_features(paths: list[str]) -> None:
    """Every feature of some clips: the work of an extraction worker."""
    for path in paths:
        clip = Clip(_sound(path), RATE)
        for name in FEATURES:
            resolve_feature(Channel(name)).compute(clip)


def pure_fft(paths: list[str]) -> None:
    """As long a work that is nothing but Fourier transforms of frames in the second-level cache."""
    frames = np.random.default_rng(0).normal(size=(16, 2048))
    for _ in range(len(paths) * 15 * FFT_FRAMES // len(frames)):
        scipy.fft.rfft(frames)


def _begin() -> None:
    threadpool_limits(1)
    keep_freed_arrays()


def _begin_untouched() -> None:
    threadpool_limits(1)


def process(untouched: bool = False) -> ProcessPoolExecutor:
    """One process; with `untouched`, without our setting of the C library's memory."""
    begin = _begin_untouched if untouched else _begin
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin)


def measure(paths: list[str], every: tuple[str, ...]) -> Measured:
    """Let the ways take turns at these features, clip by clip, after a round to warm up."""
    ways: dict[str, tuple[bool, Callable[..., dict[str, float]], tuple[str, ...]]] = {
        "together": (False, ours, every),
        "ours": (False, ours, TRIPLE),
        "librosa": (True, plain, every),
        "librosa, call by call": (True, plain, TRIPLE),
        "librosa, one shared spectrogram": (True, shared, TRIPLE),
        "audioflux": (True, audioflux, every),
        "audioFlux": (True, audioflux, ("+".join(TRIPLE),)),
        "essentia": (True, essentia, every),
        **{f"alone {name}": (False, ours, (name,)) for name in every},
    }
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with process() as fast, process(untouched=True) as usual:
        for path in progress([paths[0], *paths], label="clips", unit="clips"):
            for way, (untouched, work, names) in ways.items():
                found[way].append((usual if untouched else fast).submit(work, path, names).result())
    triples = {way: sum(_medians(found[way]).values()) for way in ways if set(ways[way][2]) <= TRIPLES}
    return Measured(
        _medians(found["together"]),
        {name: _medians(found[f"alone {name}"])[name] for name in every},
        _medians(found["librosa"]),
        _medians(found["audioflux"]),
        _medians(found["essentia"]),
        {way: triple for way, triple in triples.items() if triple and not way.startswith("alone")},
    )


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Milliseconds of each name, without the first round."""
    return {name: 1e3 * statistics.median(each[name] for each in rounds[1:]) for name in rounds[0]}


def two_against_one(
    paths: list[str], work: Callable[[list[str]], None], pair: list[ProcessPoolExecutor]
) -> float:
    """Throughput of two processes over twice that of one, by the clock."""
    begun = time.perf_counter()
    pair[0].submit(work, paths).result()
    alone = time.perf_counter() - begun
    begun = time.perf_counter()
    for running in [one.submit(work, paths) for one in pair]:
        running.result()
    return alone / (time.perf_counter() - begun)


def scaling(paths: list[str], rounds: int) -> tuple[float, float]:
    """Efficiency of two processes: of all thirty features, and of nothing but Fourier transforms."""
    few = paths[:4]
    with process() as one, process() as other:
        for work in (all_features, pure_fft):
            for warming in [each.submit(work, few) for each in (one, other)]:
                warming.result()
        efficiencies = [
            [two_against_one(few, work, [one, other]) for work in (all_features, pure_fft)]
            for _ in range(rounds)
        ]
    features, transforms = (statistics.median(column) for column in zip(*efficiencies, strict=True))
    return features, transforms


def first_clip(path: str) -> tuple[float, float]:
    """Processor seconds of a process up to its first clip, everything compiled on disk; and its MB."""
    command = [sys.executable, "-m", "bench.features", "--first-clip", path]
    environment = os.environ | dict.fromkeys(ONE_THREAD, "1")
    subprocess.run(command, check=True, capture_output=True, env=environment)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(told.split()[-1])


def verdicts(measured: Measured, paths: list[str], rounds: int) -> dict[str, float]:
    """What the targets are about, in their order."""
    ours, against = measured.triples["ours"], list(TARGETS)[:3]
    ratios = [measured.triples.get(what.split(" against ")[1], np.nan) / ours for what in against]
    ratios.append(sum(measured.librosa.values()) / sum(measured.together.values()))
    features, transforms = scaling(paths, rounds)
    seconds, megabytes = first_clip(paths[0])
    return dict(zip(TARGETS, [*ratios, features / transforms, megabytes, seconds], strict=True))


def features(options: FeaturesBenchOptions) -> int:
    """Compare the extraction of features with librosa, audioFlux and essentia."""
    if options.first_clip:
        all_features([options.first_clip])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        return 0
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    table = load(SourceOptions(dataset=options.dataset, data=options.data, name=options.name)).table
    paths = [str(path) for path in table.path.iloc[:: max(1, len(table) // options.clips)]][: options.clips]
    names = tuple(FEATURES) if options.features == "all" else tuple(options.features.split())
    measured = measure(paths, names)
    found = verdicts(measured, paths, options.rounds)
    options.out.mkdir(exist_ok=True)
    told = {"machine": platform.processor(), "clips": len(paths), "targets": found, **vars(measured)}
    (options.out / "features.json").write_text(json.dumps(told, indent=1))
    draw(measured, options.out / "features.png")
    print(report(measured, found))
    return 0


COMMANDS: list[Command] = [features]

if __name__ == "__main__":
    main(COMMANDS)
