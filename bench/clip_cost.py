"""What one clip costs, step by step: `python -m bench.clip_cost`.

The extraction runs as with JOBS=1, into a cache of its own that is removed. Its functions are timed in place:
a step is the processor time of a function without that of the steps inside it, and what no step has is
`the rest`. So the table says how much of the whole job's time the steps explain. librosa's calls are timed on
the same clips, decoded by the same function.

    python -m bench.clip_cost                                  # every feature, Ogg files of shared clips
    python -m bench.clip_cost FEATURES="mel mfcc chroma" WAV=1  # the same clips as WAV files
"""

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import soundfile
from threadpoolctl import threadpool_limits

from commandline.commands import Command, main
from commandline.options import DatasetOptions, option
from commandline.terminal import text_table
from features_cache import layout, writer
from pipeline import audio, job, reference
from pipeline.datasets.load import load
from pipeline.extract import extract
from pipeline.features import FEATURES
from pipeline.features.registry import Variant
from pipeline.options import FeaturesCommand, SourceOptions
from pipeline.pool import keep_freed_arrays
from pipeline.request import request

WHOLE = "the whole job"
STEPS: tuple[tuple[Any, str, str], ...] = (  # where a function stands, its name, what it does
    (job.Job, "__call__", WHOLE),
    (audio, "load_clip", "decode"),
    (audio, "_opened", "open the file, check that it is whole"),
    (audio, "resample", "resample"),
    (job, "version", "see whether the file changed"),
    (job.Job, "_stored", "round to float16, check that values are finite and fit"),
    (writer, "state_word", "checksum"),
    (layout.FeatureFile, "write_clip", "write"),
    (writer.ClipWriter, "__init__", "open the files of the cache, once a batch"),
    (writer.Writing, "__enter__", "lock, once a clip"),
)


FRAMES, BLOCK = 431, 32  # of a clip; transformed at a time, so that they stay in the second-level cache
TRANSFORMS = (  # that all features need at least: points, how often, precision
    (2048, 1, np.float64),  # the spectrogram
    (1024, 7, np.float64),  # octaves of chroma_cqt
    (256, 7, np.float64),  # octaves of cqt, chroma_vqt and half of vqt
    (128, 3, np.float64),  # the other half
    (2730, 2, np.float32),  # yin, there and back
    (768, 2, np.float64),  # tempogram, there and back
    (384, 1, np.float64),  # fourier_tempogram
)


@dataclass(frozen=True, kw_only=True)
class ClipCostOptions(DatasetOptions):
    """On which clips."""

    dataset: str = option("../shared/esc10", "any dataset whose clips are there")
    features: str = option("all", "features, separated by blanks")
    clips: int = option(40, "how many, evenly spaced")
    rounds: int = option(3, "of which each figure is the median")
    wav: bool = option(False, "of the same clips as 16-bit WAV files")


class Steps:
    """Processor seconds by step, each without the steps inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = [0.0]  # seconds of the steps inside the one that runs, innermost last

    def timed(self, function: Callable[..., Any], step: str) -> Callable[..., Any]:
        """The function, its time counted under `step`, or under the name of the feature that it computes."""

        def run(*arguments: Any, **keywords: Any) -> Any:
            self._inside.append(0.0)
            begun = time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                taken, inside = time.process_time() - begun, self._inside.pop()
                self._inside[-1] += taken
                self.seconds[step or arguments[0].name] += taken - inside

        return run

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The functions of STEPS and the features, timed."""
        timed = [*STEPS, (Variant, "compute", "")]
        plain = [getattr(where, name) for where, name, _ in timed]
        for (where, name, step), function in zip(timed, plain, strict=True):
            setattr(where, name, self.timed(function, step))
        try:
            yield
        finally:
            for (where, name, _), function in zip(timed, plain, strict=True):
                setattr(where, name, function)


def by_step(folder: Path, names: str, clips: int) -> dict[str, float]:
    """Milliseconds a clip of each step of one extraction."""
    with tempfile.TemporaryDirectory() as data:
        options = FeaturesCommand(dataset=str(folder), data=Path(data), features=names, jobs=1)
        asked = request(options)
        steps = Steps()
        with steps.watching():
            extract(asked, options)
    return {step: 1e3 * seconds / clips for step, seconds in steps.seconds.items()}


def by_librosa(paths: list[Path], names: list[str], rate: int, samples: int) -> float:
    """Milliseconds a clip of librosa's calls, hpss once for its two halves."""
    called = [name for name in names if not (name == "percussive" and "harmonic" in names)]
    taken = []
    for path in paths[:1] + paths:  # the first warms up
        y = audio.load_clip(path, rate, samples)
        begun = time.process_time()
        for name in called:
            reference.compute(name, y, rate)
        taken.append(time.process_time() - begun)
    return 1e3 * statistics.mean(taken[1:])


def by_transforms() -> float:
    """Milliseconds of nothing but scipy's Fourier transforms, as many as all features of one clip need."""
    milliseconds = 0.0
    for points, times, precision in TRANSFORMS:
        frames = np.random.default_rng(0).normal(size=(FRAMES, points)).astype(precision)
        taken = []
        for _ in range(10):
            begun = time.process_time()
            for first in range(0, FRAMES, BLOCK):
                scipy.fft.rfft(frames[first : first + BLOCK])
            taken.append(time.process_time() - begun)
        milliseconds += 1e3 * times * statistics.median(taken)
    return milliseconds


def clip_cost(options: ClipCostOptions) -> int:
    """Show what the extraction of one clip costs, step by step, beside librosa's calls."""
    table = load(SourceOptions(dataset=options.dataset, data=options.data, name=options.name)).table
    chosen = [Path(path) for path in table.path.iloc[:: max(1, len(table) // options.clips)]][: options.clips]
    names = list(FEATURES) if options.features == "all" else options.features.split()
    with tempfile.TemporaryDirectory() as made, threadpool_limits(1):
        paths = [_placed(path, Path(made) / "clips" / "one", options.wav) for path in chosen]
        keep_freed_arrays()
        runs = [by_step(Path(made) / "clips", " ".join(names), len(paths)) for _ in range(1 + options.rounds)]
        librosa = by_librosa(paths[:10], names, 44100, 5 * 44100)
        transforms = by_transforms()
    steps = {step: statistics.median(run[step] for run in runs[1:]) for step in runs[0]}
    whole = sum(steps.values())
    steps["the rest"] = steps.pop(WHOLE)
    rows = [[step, f"{ms:.2f}", f"{100 * ms / whole:.1f}"] for step, ms in steps.items()]
    features = sum(ms for step, ms in steps.items() if step in names)
    decoding = steps["decode"]
    print(text_table(rows, ["step", "ms a clip", "%"]))
    print(
        f"{whole:.1f} ms a clip: features {features:.1f}, around them {whole - features:.1f}; "
        f"the steps explain {100 - 100 * steps['the rest'] / whole:.1f} %"
    )
    slower = (librosa + decoding) / whole
    if names == list(FEATURES):
        print(f"features: {features / transforms:.1f} times scipy's transforms alone, {transforms:.1f} ms")
    print(f"librosa with the same decoding: {librosa + decoding:.0f} ms, {slower:.1f} times as long")
    return 0


def _placed(path: Path, folder: Path, wav: bool) -> Path:
    """A copy of the clip in a folder of one class, as it is or as WAV."""
    folder.mkdir(parents=True, exist_ok=True)
    if not wav:
        return Path(shutil.copy(path, folder))
    y, rate = soundfile.read(path)
    copy = folder / f"{path.stem}.wav"
    soundfile.write(copy, y, rate, "PCM_16")
    return copy


COMMANDS: list[Command] = [clip_cost]

if __name__ == "__main__":
    main(COMMANDS)
