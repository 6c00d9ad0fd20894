"""The classes of new sounds, or of a dataset's own clips by the model that never saw them.

Beside `listen` the only module of this package that uses the pipeline: features of new sounds are computed by
the functions that filled the cache, with the same rounding.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError, duration, nearest, progress, tell
from features_cache import Cache, cache_folder
from features_cache.location import is_cache
from features_cache.names import parse_channel
from features_cache.writer import to_stored
from pipeline import audio
from pipeline.clip import Clip
from pipeline.features import FEATURES, Variant, resolve
from train import runs, timeline
from train.answers import compare, complain, show, table_of
from train.trained import AT_ONCE, Probabilities, Trained, Values, open_trained
from train.trained_options import PredictOptions
from train.windows import Samples, Window, resampled, windows

SPARE = 0.1  # seconds by which a file may be longer unsaid: MP3 and Ogg add some of their own


class Hearing:
    """Computes the channels of a run, as run.json describes them, for clips of the run's rate and length."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.sample_rate = int(config["sample_rate"])
        self.samples = round(config["duration"] * self.sample_rate)
        self.channels = [
            (_variant(one["stored"]), np.dtype(one["dtype"]), slice(one["rows"][0], one["rows"][1] + 1))
            for one in config["channels"]
        ]

    def __call__(self, y: Samples) -> Values:
        """The values of one clip, y (samples,), as a cache stores them: (rows, frames) a channel."""
        clip = Clip(y, self.sample_rate)
        return [_stored(variant.compute(clip), dtype)[rows] for variant, dtype, rows in self.channels]

    def batches(self, clips: Iterable[Samples]) -> Iterator[Values]:
        """(B, rows, frames) a channel, B up to AT_ONCE: endless clips take constant memory.

        The clips of a batch are computed side by side: numpy's and scipy's transforms let other threads run.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, AT_ONCE)):
                yield [np.stack(channel) for channel in zip(*pool.map(self, batch), strict=True)]

    def windows(self, file: Path, hop: float) -> Iterator[Window]:
        """Windows of a clip's length through a whole file, one each `hop` seconds; AudioError as `load`."""
        blocks = resampled(audio.blocks(file), audio.info(file).sample_rate, self.sample_rate)
        return windows(blocks, self.sample_rate, self.samples, max(1, round(hop * self.sample_rate)))


def _stored(values: NDArray[np.floating], dtype: np.dtype) -> NDArray[np.floating]:
    return to_stored(values, values.shape, dtype)


def _variant(stored: str) -> Variant:
    channel = parse_channel(stored)
    if channel.name not in FEATURES:
        raise RequestError(
            f"the run uses {stored}, which was brought into its cache: nothing computes it for new sounds"
        )
    return resolve(channel)


@dataclass
class Heard:
    """Files as they are read: those that could be heard, in order, and the others with their reasons."""

    files: list[Path] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)
    longer: list[Path] = field(default_factory=list)
    """of which the beginning alone was heard"""

    def clips(self, files: Sequence[Path], sample_rate: int, samples: int) -> Iterator[Samples]:
        """The first `samples` of each file, as the dataset's clips were read."""
        for file in progress(files, label="predicting", unit="files"):
            try:
                y = audio.load(file, sample_rate, samples)
                there = audio.info(file)
            except audio.AudioError as error:
                self.failures[file] = str(error)
                continue
            if there.frames / there.sample_rate > samples / sample_rate + SPARE:
                self.longer.append(file)
            self.files.append(file)
            yield y


def predict(options: PredictOptions) -> int:
    """Print what was asked for; 1 where a file could not be heard."""
    if options.own == (options.audio is not None):
        raise RequestError("give AUDIO=a file or a folder, or OWN=1 for the dataset's own clips")
    trained = open_trained(options)
    if trained.shortfall:
        tell(trained.shortfall)
    if options.audio is None:
        return predict_own(options, trained)
    files = find_sounds(options.audio)
    if options.hop:
        return write_timelines(options, trained, files)
    heard = Heard()
    probabilities = hear(trained, files, heard)
    table = table_of(trained.classes, probabilities, {"file": [str(file) for file in heard.files]})
    show(table, trained.classes, options)
    if heard.longer:
        first, seconds = heard.longer[0].name, duration(trained.config["duration"])
        more = f" and {len(heard.longer) - 1} more" if len(heard.longer) > 1 else ""
        tell(f"of {first}{more} the first {seconds} were heard; HOP=1 hears windows through all of it")
    return complain(heard.failures, len(files))


def find_sounds(path: Path) -> list[Path]:
    """The file, or the sound files of a folder and of the folders in it, by name."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(
            file for file in path.rglob("*") if audio.AUDIO_FILE.fullmatch(file.name) and file.is_file()
        )
        if found:
            return found
        raise RequestError(f"AUDIO={path}: there is no sound file in this folder")
    if not path.parent.is_dir():
        raise RequestError(f"AUDIO={path}: there is no folder {path.parent}")
    raise RequestError(
        nearest(
            "sound file",
            path.name,
            [file.name for file in path.parent.iterdir() if audio.AUDIO_FILE.fullmatch(file.name)],
        )
    )


def hear(trained: Trained, files: Sequence[Path], heard: Heard, fold: int | None = None) -> Probabilities:
    """(N, K) for those of the files that can be heard, by one fold's model or by all; `heard` says which."""
    hearing = Hearing(trained.config)
    clips = heard.clips(files, hearing.sample_rate, hearing.samples)
    parts = [trained.probabilities(values, fold) for values in hearing.batches(clips)]
    return np.concatenate(parts) if parts else np.zeros((0, len(trained.classes)), np.float32)


def predict_own(options: PredictOptions, trained: Trained) -> int:
    """The clips that each fold tested, from their audio, by its model; and how that compares to training."""
    if Path(options.run).is_file():
        raise RequestError("OWN=1 compares with predictions.csv: give a run, a bundle has none")
    run = runs.select_one(options.runs, options.run)
    folder = cache_folder(run.dataset, options.data, run.dataset)
    if not is_cache(folder):
        raise RequestError(
            f"OWN=1 needs the run's dataset, and there is no cache at {folder}: give its DATA="
        )
    cache = Cache(folder)
    audio_of = cache.clips.set_index("clip_id")["path"]
    heard, tables, known = Heard(), [], []
    for fold in run.finished:
        rows = run.predictions(fold)
        rows = rows[(rows["split"] == "test") & (rows["selection"] == options.selection)].set_index("clip_id")
        paths = {Path(path): clip for clip, path in audio_of[rows.index].items()}
        done = len(heard.files)
        probabilities = hear(trained, list(paths), heard, fold)
        clips = [paths[file] for file in heard.files[done:]]
        about = {"clip_id": clips, "fold": [fold] * len(clips), "target": rows["target"][clips].tolist()}
        tables.append(table_of(trained.classes, probabilities, about))
        known.append(rows.loc[clips])
    table, before = pd.concat(tables, ignore_index=True), pd.concat(known)
    show(table, trained.classes, options, each=False)
    compare(table, before, trained.classes)
    return complain(heard.failures, len(table) + len(heard.failures))


def write_timelines(options: PredictOptions, trained: Trained, files: Sequence[Path]) -> int:
    """A timeline of each file in <reports>/<dataset>/timelines/; 1 where a file could not be heard."""
    hearing = Hearing(trained.config)
    length = hearing.samples / hearing.sample_rate
    if not 0 < options.hop <= length:
        raise RequestError(f"HOP={options.hop:g}: expected seconds from 0 to the {length:g} of a window")
    folder = options.reports / trained.config["dataset"] / "timelines"
    failures = {}
    for file, target in zip(files, timeline.targets(files, folder)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            there = audio.info(file)
            seconds = there.frames / there.sample_rate
            pieces = progress(
                hearing.windows(file, options.hop),
                total=1 + max(0, int(np.ceil((seconds - length) / options.hop))),
                label=f"{file.name} ({duration(seconds)})",
                unit="windows",
            )
            rows = timeline.answered(pieces, hearing.batches, trained.probabilities)
            timeline.write(rows, trained.classes, target, title=file.name)
        except audio.AudioError as error:
            failures[file] = str(error)
    return complain(failures, len(files))
