"""`make bench`: extraction against librosa and audioFlux, on one core.

The ways take turns clip by clip, so that a busy machine slows all alike. This project
runs in one process and the libraries in another, both with one thread. A time is the
median over clips of processor time, after one round to warm up. "Features alone" begins
at the samples; "with files" also decodes the clip and writes the values as float16.
librosa is called as in tests/reference.py, its `hpss` once for both halves; "one
shared spectrogram" is librosa as an experienced user writes it. audioFlux is timed if
it is installed (pip install -e '.[bench]'). docs/tables/speed.csv holds a result.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
from threadpoolctl import threadpool_limits

from bench.options import FeaturesBenchOptions
from bench.record import bench
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import Channel
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import SourceOptions
from featurestack.pipeline.worker import keep_freed_arrays
from tests import reference

TRIPLE = ("mel", "mfcc", "chroma")
TOGETHER = "+".join(TRIPLE)
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
SHARED = "librosa, one shared spectrogram"
AUDIOFLUX = "audioFlux, a C library"
CALLS = "librosa by calls, hpss once"
# not librosa's; `embedding` needs a network
NOT_LIBROSA = {"modulation", "gammatone", "gfcc", "shape", "ifd", "lfcc", "embedding"}
WITH_FILES = ", with files"
RATE, SAMPLES = 44100, 5 * 44100
CLIPS = 20  # evenly spaced in the dataset
Times = dict[str, float]  # feature -> time


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


def _triple(y: np.ndarray) -> list[np.ndarray]:
    """mel, mfcc and chroma by librosa from one spectrogram."""
    import librosa

    power = np.abs(librosa.stft(y=y)) ** 2
    decibels = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE))
    coefficients = librosa.feature.mfcc(S=decibels, n_mfcc=40)
    return [decibels, coefficients, librosa.feature.chroma_stft(S=power, sr=RATE)]


def shared(path: str, _: tuple[str, ...]) -> Times:
    """Seconds of mel, mfcc and chroma by librosa from one spectrogram, as an
    experienced user writes it.
    """
    return {TOGETHER: _timed(_triple, _sound(path))}


def ours_with_files(path: str, names: tuple[str, ...]) -> Times:
    """Seconds of decoding a clip, computing its features and writing them."""

    def whole() -> None:
        clip = Clip(audio.load_clip(path, RATE, SAMPLES), RATE)
        _write(resolve_feature(Channel(name)).compute(clip) for name in names)

    return {"all": _timed(whole)}


def plain_with_files(path: str, names: tuple[str, ...]) -> Times:
    """Seconds of the same by librosa, call by call."""
    calls = [name for name in names if name != "percussive" or "harmonic" not in names]

    def whole() -> None:
        y = _loaded(path)
        _write(reference.compute(name, y, RATE) for name in calls)

    return {"all": _timed(whole)}


def shared_with_files(path: str, _: tuple[str, ...]) -> Times:
    """Seconds of the same by librosa from one spectrogram."""
    return {"all": _timed(lambda: _write(_triple(_loaded(path))))}


def _loaded(path: str) -> np.ndarray:
    import librosa

    y, _ = librosa.load(path, sr=RATE)
    return librosa.util.fix_length(y, size=SAMPLES)


def _write(values: Iterable[np.ndarray]) -> None:
    with tempfile.TemporaryFile() as file:
        for each in values:
            file.write(np.ascontiguousarray(each, np.float16).data)


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


def measure(paths: list[str], librosas: tuple[str, ...]) -> dict[str, Times]:
    """way -> feature -> milliseconds a clip."""
    ways: dict[str, tuple[Callable[..., Times], tuple[str, ...]]] = {
        "ours, the three": (ours, TRIPLE),
        "ours, librosa's": (ours, librosas),
        "ours, the three" + WITH_FILES: (ours_with_files, TRIPLE),
        "ours, librosa's" + WITH_FILES: (ours_with_files, librosas),
        CALLS: (plain, librosas),
        CALLS + WITH_FILES: (plain_with_files, librosas),
        SHARED: (shared, TRIPLE),
        SHARED + WITH_FILES: (shared_with_files, TRIPLE),
    }
    if find_spec("audioflux"):
        ways[AUDIOFLUX] = audioflux, TRIPLE
    rounds: dict[str, list[Times]] = {way: [] for way in ways}
    alone = partial(
        ProcessPoolExecutor, 1, multiprocessing.get_context("spawn"), threadpool_limits
    )
    with alone((1,)) as fast, alone((1,)) as usual:
        # this project's setting of the C library
        fast.submit(keep_freed_arrays).result()
        for path in progress([paths[0], *paths], label="clips", unit="clips"):
            for way, (work, names) in ways.items():
                process = fast if work in (ours, ours_with_files) else usual
                rounds[way].append(process.submit(work, path, names).result())
    return {
        way: {
            name: 1e3 * statistics.median(each[name] for each in times[1:])
            for name in times[0]
        }
        for way, times in rounds.items()
    }


def comparison(measured: dict[str, Times]) -> Iterator[str]:
    """A line for each alternative: how many times as long it takes, and the two times
    of a clip, features alone and with files.
    """
    whole = {way: sum(times.values()) for way, times in measured.items()}
    ways = {
        SHARED: (TOGETHER, "ours, the three"),
        AUDIOFLUX: (TOGETHER, "ours, the three"),
        CALLS: (f"librosa's {len(measured[CALLS])} features", "ours, librosa's"),
    }
    for way, (what, mine) in ways.items():
        told = [
            f"{whole[way + kind] / whole[mine + kind]:.1f} times as fast{kind}"
            f" ({whole[mine + kind]:.1f} and {whole[way + kind]:.1f} ms a clip)"
            for kind in ("", WITH_FILES)
            if way + kind in whole
        ]
        if told:
            yield f"{what} against {way}: {'; '.join(told)}"


def features(options: FeaturesBenchOptions) -> int:
    """Compare the extraction of features with librosa and audioFlux."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    source = SourceOptions(
        dataset=options.dataset, data=options.data, name=options.name
    )
    table = load(source).table
    step = max(1, len(table) // CLIPS)
    paths = [str(path) for path in table.path.iloc[::step]][:CLIPS]
    names = options.features.split()
    if options.features == "all":
        names = [name for name in FEATURES.complete() if name in reference.DEFINITIONS]
    measured = measure(paths, tuple(name for name in names if name not in NOT_LIBROSA))
    for line in comparison(measured):
        print(line)
    return 0


if __name__ == "__main__":
    bench(features)
