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
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec

import numpy as np

from bench.options import FeaturesBenchOptions
from bench.record import bench
from featurestack.base.options import part_of
from featurestack.base.terminal import progress
from featurestack.features_cache.feature_names import FeatureName
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import SourceOptions
from featurestack.pipeline.worker import keep_freed_arrays
from tests import reference

TRIPLE = ("mel", "mfcc", "chroma")
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
NOT_LIBROSA = {"modulation", "gammatone", "gfcc", "shape", "ifd", "lfcc"}
RATE, SAMPLES = 44100, 5 * 44100
CLIPS = 20  # evenly spaced in the dataset
Names = tuple[str, ...]
Maps = list[np.ndarray]


@cache
def read(path: str) -> np.ndarray:
    return audio.load_clip(path, RATE, SAMPLES)


def read_by_librosa(path: str) -> np.ndarray:
    import librosa

    y, _ = librosa.load(path, sr=RATE)
    return librosa.util.fix_length(y, size=SAMPLES)


def ours(y: np.ndarray, names: Names) -> Maps:
    """Features of one clip, which share intermediate results."""
    clip = Clip(y, RATE)
    return [resolve_feature(FeatureName(name)).compute(clip) for name in names]


def plain(y: np.ndarray, names: Names) -> Maps:
    """librosa's calls from the samples; the two halves of hpss are one call."""
    twice = "percussive" if "harmonic" in names else ""
    return [reference.compute(name, y, RATE) for name in names if name != twice]


def shared(y: np.ndarray, _: Names) -> Maps:
    """mel, mfcc and chroma by librosa from one spectrogram, as an experienced user
    writes it.
    """
    import librosa

    power = np.abs(librosa.stft(y=y)) ** 2
    decibels = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE))
    coefficients = librosa.feature.mfcc(S=decibels, n_mfcc=40)
    return [decibels, coefficients, librosa.feature.chroma_stft(S=power, sr=RATE)]


@cache
def _audioflux() -> Callable[[np.ndarray], list[np.ndarray]]:
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

    def triple(y: np.ndarray) -> list[np.ndarray]:
        values = mel.bft(y, result_type=1)
        coefficients.set_time_length(time_length=values.shape[-1])
        cepstrum = coefficients.xxcc(values, cc_num=40)
        return [values, cepstrum, af.chroma_linear(y, high_fre=RATE / 2, **common)]

    return triple


def audioflux(y: np.ndarray, _: Names) -> Maps:
    """mel, mfcc and chroma by audioFlux."""
    return _audioflux()(y)


Way = Callable[[np.ndarray, Names], Maps]
# alternative -> its name, and whether it has only the three features of TRIPLE
ALTERNATIVES: dict[Way, tuple[str, bool]] = {
    shared: ("librosa, one shared spectrogram", True),
    audioflux: ("audioFlux, a C library", True),
    plain: ("librosa by calls, hpss once", False),
}


def seconds(way: Way, path: str, names: Names, files: bool) -> float:
    """Processor time of a clip's features, or of decoding, computing and writing."""
    y = read(path)
    begun = time.process_time()
    if files:
        y = read.__wrapped__(path) if way is ours else read_by_librosa(path)
    maps = way(y, names)
    if files:
        with tempfile.TemporaryFile() as file:
            for each in maps:
                file.write(np.ascontiguousarray(each, np.float16).data)
    return time.process_time() - begun


def measure(paths: list[str], librosas: Names) -> Iterator[str]:
    """A line for each alternative: how many times as long it takes, and the two times
    of a clip, features alone and with files.
    """
    ways = [
        way for way in ALTERNATIVES if way is not audioflux or find_spec("audioflux")
    ]
    calls = [(way, TRIPLE if ALTERNATIVES[way][1] else librosas) for way in ways]
    calls += [(ours, TRIPLE), (ours, librosas)]
    jobs = [(*call, files) for call in calls for files in (False, True)]
    times: dict[tuple[Way, Names, bool], list[float]] = {job: [] for job in jobs}
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, context) as fast,
        ProcessPoolExecutor(1, context) as usual,
    ):
        # this project's setting of the C library
        fast.submit(keep_freed_arrays).result()
        for path in progress([paths[0], *paths], label="clips", unit="clips"):
            for way, names, files in jobs:
                process = fast if way is ours else usual
                spent = process.submit(seconds, way, path, names, files).result()
                times[way, names, files].append(1e3 * spent)
    for way, names in calls[:-2]:
        told = []
        for files in (False, True):
            own, other = (
                statistics.median(times[each, names, files][1:]) for each in (ours, way)
            )
            told.append(
                f"{other / own:.1f} times as fast{', with files' * files}"
                f" ({own:.1f} and {other:.1f} ms a clip)"
            )
        what = (
            "+".join(TRIPLE) if names == TRIPLE else f"librosa's {len(names)} features"
        )
        yield f"{what} against {ALTERNATIVES[way][0]}: {'; '.join(told)}"


def features(options: FeaturesBenchOptions) -> int:
    """Compare the extraction of features with librosa and audioFlux."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    table = load(part_of(options, SourceOptions)).table
    step = max(1, len(table) // CLIPS)
    paths = [str(path) for path in table.path.iloc[::step]][:CLIPS]
    names = options.features.split()
    if options.features == "all":
        names = [*FEATURES.complete()]
    compared = set(reference.DEFINITIONS) - NOT_LIBROSA
    for line in measure(paths, tuple(name for name in names if name in compared)):
        print(line)
    return 0


if __name__ == "__main__":
    bench(features)
