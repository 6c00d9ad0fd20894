"""`python -m train predict`: the classes of new audio, or of a dataset's own test clips from their audio.

Beside `listen` the only module of this package that uses the pipeline: features of new audio are computed by
the functions that filled the cache, with the same rounding.
"""

import difflib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from commandline.terminal import as_csv, duration, progress, tell, text_table
from features_cache import Cache, cache_folder
from features_cache.cache import is_cache
from features_cache.names import parse_channel
from features_cache.table import refuse_class_names
from features_cache.writer import to_stored
from pipeline import audio
from pipeline.clip import Clip
from pipeline.datasets.readers import files_below
from pipeline.features import FEATURES, Variant, resolve_feature
from train.bundle import AGREES, BATCH, Probabilities, TrainedModel, Values, chosen_run, open_model
from train.data import Floats
from train.options import PredictOptions, TrainedOptions

TOLERANCE = 0.1  # seconds by which a file may be longer unsaid: MP3 and Ogg add some of their own
LEVEL_SECONDS = 0.05
NO_ANSWER = "no answer"
BAR = 24  # characters of a probability of 1

Samples = NDArray[np.float32]


class FeatureExtractor:
    """Computes the channels of a run, as run.json describes them, for clips of the run's rate and length.

    extractor = FeatureExtractor(run.config)
    extractor(np.zeros(extractor.samples, np.float32))  # one (rows, frames) array a channel
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.sample_rate = int(config["sample_rate"])
        self.samples = round(config["duration"] * self.sample_rate)
        self.channels = [
            (
                _variant(one["stored"], one.get("parameters", {})),
                np.dtype(one["dtype"]),
                slice(one["rows"][0], one["rows"][1] + 1),
            )
            for one in config["channels"]
        ]
        if not self.samples:
            raise RequestError(
                "the run's dataset tells no sample rate and duration: no audio can be cut to it"
            )

    def __call__(self, y: Samples) -> Values:
        """The values of one clip as a cache stores them: (rows, frames) a channel.

        y  up to `samples` of them; a shorter clip is followed by zeros
        """
        clip = Clip(np.pad(y, (0, self.samples - len(y))), self.sample_rate)
        return [_stored(variant.compute(clip), dtype)[rows] for variant, dtype, rows in self.channels]

    def batches(self, clips: Iterable[Samples]) -> Iterator[tuple[Values, Floats]]:
        """(B, rows, frames) a channel, B up to BATCH, and how far each clip fills the duration, (B,).

        Endless clips take constant memory. Those of a batch are computed side by side: numpy's and scipy's
        transforms let other threads run.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, BATCH)):
                values = [np.stack(channel) for channel in zip(*pool.map(self, batch), strict=True)]
                yield values, self.filled(batch)

    def filled(self, clips: Sequence[Samples]) -> Floats:
        """(B,) the share of the duration that each clip lasts, as `Cache.filled`."""
        return np.array([len(y) / self.samples for y in clips])

    def window_samples(self, seconds: float) -> int:
        """Of WINDOW; RequestError where it is longer than a clip."""
        longest = self.samples / self.sample_rate
        if seconds > longest:
            raise RequestError(f"WINDOW={seconds:g}: expected up to the {longest:g} seconds of a clip")
        return max(1, round(seconds * self.sample_rate)) if seconds else self.samples


@dataclass(frozen=True)
class Rejection:
    """When there is no answer: too soft, or no class probable enough."""

    probability: float = 0.0
    level: float = -np.inf  # dB of full scale

    def loud(self, y: Samples, sample_rate: int) -> bool:
        """Whether a window (samples,) is worth an answer."""
        return self.level == -np.inf or loudest_level(y, sample_rate) > self.level

    def sure(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """(N,) whether a class is probable enough, of (N, K)."""
        return probabilities.max(axis=1, initial=0) >= self.probability

    @classmethod
    def asked(cls, options: TrainedOptions, config: Mapping[str, Any]) -> "Rejection":
        """What GATE and REJECT say; RequestError for a threshold that is none, or was never chosen."""
        level = -np.inf if options.gate is None else options.gate
        if options.reject == "auto":
            if "rejection" not in config:
                raise RequestError(
                    "REJECT=auto takes the threshold chosen on validation clips, and this model has none: "
                    "train with VAL=group, or give a probability, as REJECT=0.7"
                )
            return cls(float(config["rejection"]["threshold"]), level)
        try:
            probability = float(options.reject or 0)
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise RequestError(f"REJECT={options.reject}: expected a probability from 0 to 1, or auto")
        return cls(probability, level)


def loudest_level(y: Samples, sample_rate: int) -> float:
    """The level of the loudest LEVEL_SECONDS, in dB of full scale; a full sine has -3, silence -200.

    >>> round(loudest_level(np.full(1000, 0.1, np.float32), 8000))
    -20
    """
    length = max(1, round(LEVEL_SECONDS * sample_rate))
    padded = np.pad(y, (0, -len(y) % length))
    powers = np.square(padded, dtype=np.float64).reshape(-1, length).mean(axis=1)
    return float(10 * np.log10(powers.max(initial=0) + 1e-20))


def _stored(values: NDArray[np.floating], dtype: np.dtype) -> NDArray[np.floating]:
    return to_stored(values, values.shape, dtype)


def _variant(stored: str, parameters: Mapping[str, Any]) -> Variant:
    channel = parse_channel(stored)
    if channel.name not in FEATURES and stored.partition("=")[0] != "embedding@model":
        raise RequestError(
            f"the run uses {stored}, which was brought into its cache: nothing computes it for new audio"
        )
    variant = resolve_feature(channel)
    if parameters.get("file") != variant.recorded.get("file"):
        raise RequestError(
            f"the run was trained on {stored} of another file than the one that is there now: put the former "
            "network and card back, or train again"
        )
    return variant


@dataclass
class FilesRead:
    """Audio files as they are read: those that could be, in order, and the others with their reasons."""

    files: list[Path] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)
    longer: list[Path] = field(default_factory=list)
    """of which the beginning alone was read"""
    loud: list[bool] = field(default_factory=list)
    """of `files`, whether they are loud enough for an answer"""
    rejection: Rejection = Rejection()

    def clips(self, files: Sequence[Path], sample_rate: int, samples: int) -> Iterator[Samples]:
        """The first `samples` of each file, as the dataset's clips were read; fewer where it is shorter."""
        for file in progress(files, label="predicting", unit="files"):
            try:
                info = audio.file_info(file)
                y = audio.load_clip(file, sample_rate, samples)
                y = y[: max(1, round(info.frames / info.sample_rate * sample_rate))]
            except audio.AudioError as error:
                self.failures[file] = str(error)
                continue
            if info.frames / info.sample_rate > samples / sample_rate + TOLERANCE:
                self.longer.append(file)
            self.files.append(file)
            self.loud.append(self.rejection.loud(y, sample_rate))
            yield y


def predict_files(
    model: TrainedModel, files: Sequence[Path], read: FilesRead, fold: int | None = None
) -> Probabilities:
    """(N, K) for those of the files that can be read, by one fold's model or by all; `read` says which.

    read = FilesRead()
    probabilities = predict_files(model, [Path("dog.wav")], read)
    """
    extractor = FeatureExtractor(model.config)
    clips = read.clips(files, extractor.sample_rate, extractor.samples)
    parts = [model.probabilities(values, fold, filled) for values, filled in extractor.batches(clips)]
    return np.concatenate(parts) if parts else np.zeros((0, len(model.classes)), np.float32)


def find_audio(path: Path) -> list[Path]:
    """The file, or the audio files of a folder and of the folders in it, by name, hidden ones left out."""
    if path.is_file():
        return [path]
    if path.is_dir():
        if found := [path / name for name in files_below(path) if _is_audio(path / name)]:
            return found
        raise RequestError(f"AUDIO={path}: there is no audio file in this folder")
    if not path.parent.is_dir():
        raise RequestError(f"AUDIO={path}: there is no folder {path.parent}")
    beside = sorted(file.name for file in path.parent.iterdir() if _is_audio(file))
    close = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; {path.parent} has {len(beside)} audio files"
    raise RequestError(f"AUDIO={path}: there is no such file or folder{hint}")


def _is_audio(file: Path) -> bool:
    return bool(audio.AUDIO_FILE.fullmatch(file.name)) and file.is_file()


def prediction_table(
    classes: list[str],
    probabilities: Probabilities,
    columns: Mapping[str, list[object]],
    answered: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """One row a clip: what is known of it, the predicted class, one probability column a class.

    The class is empty where `answered` (N,) says that there is no answer.
    """
    predicted = np.array(classes, object)[probabilities.argmax(axis=1)]
    predicted = predicted if answered is None else np.where(answered, predicted, "")
    known = pd.DataFrame({**columns, "predicted": predicted})
    return pd.concat([known, pd.DataFrame(probabilities, columns=classes)], axis=1)


def show(table: pd.DataFrame, classes: list[str], options: PredictOptions, each: bool = True) -> None:
    """On standard output as JSON, as CSV, or (`each`) for people, the best classes first."""
    if options.json:
        rows = table.drop(columns=classes).to_dict("records")
        answers = table[classes].to_dict("records")
        print(json.dumps([{**row, "probabilities": answer} for row, answer in zip(rows, answers)], indent=1))
    elif options.csv:
        print(as_csv(table), end="")
    elif each and len(table) == 1:
        best = table.iloc[0][classes].astype(float).nlargest(options.top)
        width = max(map(len, best.index))
        if not table["predicted"].iloc[0]:
            print(f"{NO_ANSWER}; it would be")
        for name, p in best.items():
            print(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip())
    elif each and len(table):
        ranked = [row.astype(float).nlargest(options.top) for _, row in table[classes].iterrows()]
        told = [[f"{name} {p:.2f}" for name, p in row.items()] for row in ranked]
        told = [
            row if name else [NO_ANSWER, *[""] * (len(row) - 1)]
            for name, row in zip(table["predicted"], told)
        ]
        places = [f"{place}." for place in range(1, len(ranked[0]) + 1)]
        print(text_table([[file, *row] for file, row in zip(table["file"], told)], ["file", *places]))


def tell_failures(failures: Mapping[Path, str], total: int) -> int:
    """Name the files that could not be read; the exit status."""
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be read")
    if advice := audio.advice(map(str, failures)):
        tell(advice)
    return 1 if failures else 0


def predict_test_clips(options: PredictOptions, model: TrainedModel) -> int:
    """The clips that each fold tested, from their audio, by its model; and how that compares to training."""
    if Path(options.run).is_file():
        raise RequestError("TEST_CLIPS=1 compares with predictions.csv: give a run, a bundle has none")
    run = chosen_run(options)
    folder = cache_folder(run.dataset, options.data, run.dataset)
    if not is_cache(folder):
        raise RequestError(
            f"TEST_CLIPS=1 needs the run's dataset, and there is no cache at {folder}: give its DATA="
        )
    audio_of = Cache(folder).clips.set_index("clip_id")["path"]
    read, tables, stored = FilesRead(), [], []
    selection = run.selection(options.selection)
    for fold in run.finished:
        rows = run.predictions(fold)
        rows = rows[(rows["split"] == "test") & (rows["selection"] == selection)].set_index("clip_id")
        if len(unknown := rows.index.difference(audio_of.index)):
            file = run.fold(fold) / "predictions.csv"
            raise RequestError(
                f"{file} has clips that the cache {folder} does not have, such as {unknown[0]}"
            )
        paths = {Path(path): clip for clip, path in audio_of[rows.index].items()}
        done = len(read.files)
        probabilities = predict_files(model, list(paths), read, fold)
        clips = [paths[file] for file in read.files[done:]]
        about = {"clip_id": clips, "fold": [fold] * len(clips), "target": rows["target"][clips].tolist()}
        tables.append(prediction_table(model.classes, probabilities, about))
        stored.append(rows.loc[clips])
    table, before = pd.concat(tables, ignore_index=True), pd.concat(stored)
    show(table, model.classes, options, each=False)
    accuracy = (table["predicted"] == table["target"]).mean()
    then = (before[model.classes].idxmax(axis=1).to_numpy() == before["target"].to_numpy()).mean()
    largest = np.abs(table[model.classes].to_numpy() - before[model.classes].to_numpy()).max(initial=0)
    verdict = "the same" if largest <= AGREES else "NOT the same: was the audio or a library changed?"
    tell(f"accuracy {accuracy:.4f} of {len(table)} clips; predictions.csv says {then:.4f}")
    tell(f"probabilities differ by {largest:.1e} at most: {verdict}")
    return tell_failures(read.failures, len(table) + len(read.failures))


def write_timelines(options: PredictOptions, model: TrainedModel, files: Sequence[Path]) -> int:
    """A timeline of each file in <reports>/<dataset>/timelines/; 1 where a file could not be read."""
    from train import timeline  # here, since few ask for one

    extractor = FeatureExtractor(model.config)
    samples, rejection = extractor.window_samples(options.window), Rejection.asked(options, model.config)
    length = samples / extractor.sample_rate
    if not 0 < options.hop <= length:
        raise RequestError(f"HOP={options.hop:g}: expected seconds from 0 to the {length:g} of a window")
    hop = max(1, round(options.hop * extractor.sample_rate))
    folder = options.reports / model.config["dataset"] / "timelines"
    failures = {}
    for file, target in zip(files, timeline.output_paths(files, folder)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            info = audio.file_info(file)
            seconds = info.frames / info.sample_rate
            blocks = timeline.resampled(audio.blocks(file), info.sample_rate, extractor.sample_rate)
            windows = progress(
                timeline.windows(blocks, extractor.sample_rate, samples, hop),
                total=1 + max(0, int(np.ceil((seconds - length) / options.hop))),
                label=f"{file.name} ({duration(seconds)})",
                unit="windows",
            )
            rows = timeline.predict_windows(windows, extractor, model.probabilities, rejection)
            timeline.write_timeline(rows, model.classes, target, title=file.name)
        except audio.AudioError as error:
            failures[file] = str(error)
    return tell_failures(failures, len(files))


def predict_audio(options: PredictOptions) -> int:
    """Print the classes of audio files, or write their timelines; 1 where a file could not be read.

    predict_audio(PredictOptions(run="last", audio=Path("dog.wav")))
    """
    if options.test_clips == (options.audio is not None):
        raise RequestError("give AUDIO=a file or a folder, or TEST_CLIPS=1 for the dataset's own clips")
    model = open_model(options)
    refuse_class_names(model.classes)
    if model.untrained_folds:
        tell(model.untrained_folds)
    if options.audio is None:
        return predict_test_clips(options, model)
    files = find_audio(options.audio)
    if options.hop:
        return write_timelines(options, model, files)
    if options.window:
        raise RequestError("WINDOW is for windows through a recording: give HOP too, as HOP=0.5")
    read = FilesRead(rejection=Rejection.asked(options, model.config))
    probabilities = predict_files(model, files, read)
    answered = read.rejection.sure(probabilities) & np.array(read.loud, bool)
    names: dict[str, list[object]] = {"file": [str(file) for file in read.files]}
    table = prediction_table(model.classes, probabilities, names, answered)
    show(table, model.classes, options)
    if read.longer:
        first, seconds = read.longer[0].name, duration(model.config["duration"])
        more = f" and {len(read.longer) - 1} more" if len(read.longer) > 1 else ""
        tell(f"of {first}{more} the first {seconds} alone count; HOP=1 predicts windows through all of it")
    return tell_failures(read.failures, len(files))
