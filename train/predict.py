"""`python -m train predict`: the classes of new audio, or of a dataset's own test clips from their audio.

Beside `listen` the only module of this package that uses the pipeline: features of new audio are computed by
the functions that filled the cache, with the same rounding.
"""

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError, closest
from commandline.terminal import as_csv, duration, progress, tell, text_table
from features_cache import Cache, cache_folder
from features_cache.location import is_cache
from features_cache.names import parse_channel
from features_cache.table import refuse_class_names
from features_cache.writer import to_stored
from pipeline import audio
from pipeline.clip import Clip
from pipeline.datasets.layouts import files_below
from pipeline.features import FEATURES, Variant, resolve_feature
from train.bundle import AGREES, BATCH, Probabilities, TrainedModel, Values, chosen_run, open_model
from train.options import PredictOptions
from train.plan import Floats
from train.rejection import NO_ANSWER, Rejection, Samples

TOLERANCE = 0.1  # seconds by which a file may be longer unsaid: MP3 and Ogg add some of their own
BAR = 24  # characters of a probability of 1

# ---- features of new audio ------------------------------------------------------------------------------


class FeatureExtractor:
    """Computes the channels of a run, as run.json describes them, for clips of the run's rate and length.

    extractor = FeatureExtractor(run.config)
    extractor(np.zeros(extractor.samples, np.float32))  # one (rows, frames) array a channel
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.sample_rate = int(config["sample_rate"])
        self.samples = round(config["duration"] * self.sample_rate)
        self.described = config["channels"]
        self.variants = [_variant(channel) for channel in self.described]
        if not self.samples:
            raise RequestError(
                "the run's dataset tells no sample rate and duration: no audio can be cut to it"
            )

    def __call__(self, y: Samples) -> Values:
        """The values of one clip as a cache stores them: (rows, frames) a channel.

        y  up to `samples` of them; a shorter clip is followed by zeros
        """
        clip = Clip(np.pad(y, (0, self.samples - len(y))), self.sample_rate)
        stored = []
        for variant, channel in zip(self.variants, self.described):
            values, (first, last) = variant.compute(clip), channel["rows"]
            stored.append(to_stored(values, values.shape, np.dtype(channel["dtype"]))[first : last + 1])
        return stored

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
        """Of WINDOW; RequestError if it is longer than a clip."""
        longest = self.samples / self.sample_rate
        if seconds > longest:
            raise RequestError(f"WINDOW={seconds:g}: expected up to the {longest:g} seconds of a clip")
        return max(1, round(seconds * self.sample_rate)) if seconds else self.samples


def _variant(described: Mapping[str, Any]) -> Variant:
    """The feature that run.json describes, as the pipeline computes it today."""
    stored = described["stored"]
    channel = parse_channel(stored)
    if channel.name not in FEATURES and stored.partition("=")[0] != "embedding@model":
        raise RequestError(
            f"the run uses {stored}, which was brought into its cache: nothing computes it for new audio"
        )
    variant = resolve_feature(channel)
    if described.get("parameters", {}).get("file") != variant.recorded.get("file"):
        raise RequestError(
            f"the run was trained on {stored} of another file than the one that is there now: put the former "
            "network and card back, or train again"
        )
    return variant


# ---- audio files ----------------------------------------------------------------------------------------


def find_audio(path: Path) -> list[Path]:
    """The file, or the audio files of a folder and of the folders in it, by name, hidden ones left out."""

    def is_audio(file: Path) -> bool:
        return bool(audio.AUDIO_FILE.fullmatch(file.name)) and file.is_file()

    if path.is_file():
        return [path]
    if path.is_dir():
        files = [path / name for name in files_below(path) if is_audio(path / name)]
        if not files:
            raise RequestError(f"AUDIO={path}: there is no audio file in this folder")
        return files
    if not path.parent.is_dir():
        raise RequestError(f"AUDIO={path}: there is no folder {path.parent}")
    close = closest(path.name, [file.name for file in path.parent.iterdir() if is_audio(file)])
    hint = f"; did you mean {close}?" if close else ""
    raise RequestError(f"AUDIO={path}: there is no such file or folder{hint}")


class FilePredictions(NamedTuple):
    """The answers for the audio files that could be read, and what happened to the others."""

    files: list[Path]
    probabilities: Probabilities  # (N, K) of `files`
    answered: NDArray[np.bool_]  # (N,)
    longer: list[Path]  # of which the beginning alone was read
    failures: dict[Path, str]  # why a file could not be read


def predict_files(
    model: TrainedModel, files: Sequence[Path], fold: int | None = None, rejection: Rejection | None = None
) -> FilePredictions:
    """The answers of one fold's model, or of all folds' together, for the first seconds of each file.

    predict_files(model, [Path("dog.wav")]).probabilities
    """
    rejection = rejection or Rejection()
    extractor = FeatureExtractor(model.config)
    rate, samples = extractor.sample_rate, extractor.samples
    done, loud, longer, failures = [], [], [], {}

    def clips() -> Iterator[Samples]:
        for file in progress(files, label="predicting", unit="files"):
            try:
                info = audio.file_info(file)
                y = audio.load_clip(file, rate, samples)  # as the dataset's clips were read
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
            seconds = info.frames / info.sample_rate
            y = y[: max(1, round(seconds * rate))]
            if seconds > samples / rate + TOLERANCE:
                longer.append(file)
            done.append(file)
            loud.append(rejection.loud(y, rate))
            yield y

    parts = [model.probabilities(values, fold, filled) for values, filled in extractor.batches(clips())]
    probabilities = np.concatenate(parts) if parts else np.zeros((0, len(model.classes)), np.float32)
    answered = rejection.sure(probabilities) & np.array(loud, bool)
    return FilePredictions(done, probabilities, answered, longer, failures)


# ---- what is printed ------------------------------------------------------------------------------------


def prediction_table(
    classes: list[str],
    probabilities: Probabilities,
    columns: Mapping[str, Sequence[object]],
    answered: NDArray[np.bool_] | bool = True,
) -> pd.DataFrame:
    """One row a clip: what is known of it, the predicted class, one probability column a class.

    The class is empty if the clip is not in `answered` (N,).
    """
    predicted = np.where(answered, np.array(classes, object)[probabilities.argmax(axis=1)], "")
    known = pd.DataFrame({**columns, "predicted": predicted})
    return pd.concat([known, pd.DataFrame(probabilities, columns=classes)], axis=1)


def show(table: pd.DataFrame, classes: list[str], options: PredictOptions) -> None:
    """On standard output as JSON, as CSV, or for people, the best classes first."""
    if options.json:
        rows = table.drop(columns=classes).to_dict("records")
        answers = table[classes].to_dict("records")
        print(json.dumps([{**row, "probabilities": answer} for row, answer in zip(rows, answers)], indent=1))
        return
    if options.csv:
        print(as_csv(table), end="")
        return
    ranked = [row.astype(float).nlargest(options.top) for _, row in table[classes].iterrows()]
    if len(table) == 1:
        if not table["predicted"].iloc[0]:
            print(f"{NO_ANSWER}; it would be")
        width = max(map(len, ranked[0].index))
        for name, p in ranked[0].items():
            print(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip())
    elif len(table):
        rows = []
        for file, predicted, best in zip(table["file"], table["predicted"], ranked):
            told = [f"{name} {p:.2f}" for name, p in best.items()]
            rows.append([file, *(told if predicted else [NO_ANSWER, *[""] * (len(told) - 1)])])
        print(text_table(rows, ["file", *(f"{place}." for place in range(1, len(ranked[0]) + 1))]))


def tell_failures(failures: Mapping[Path, str], total: int) -> int:
    """Name the files that could not be read; the exit status."""
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be read")
    if advice := audio.advice(map(str, failures)):
        tell(advice)
    return 1 if failures else 0


# ---- the command ----------------------------------------------------------------------------------------


def predict_audio(options: PredictOptions) -> int:
    """Print the classes of audio files, or write their timelines; 1 if a file could not be read.

    predict_audio(PredictOptions(run="last", audio=Path("dog.wav")))
    """
    if options.test_clips == (options.audio is not None):
        raise RequestError("give AUDIO=a file or a folder, or TEST_CLIPS=1 for the dataset's own clips")
    model = open_model(options)
    refuse_class_names(model.classes)
    if (trained := len(model.folds)) < (folds := len(model.config["folds"])):
        tell(f"{trained} of {folds} folds are trained: the prediction is their average")
    if options.audio is None:
        return predict_test_clips(options, model)
    files = find_audio(options.audio)
    if options.hop:
        return write_timelines(options, model, files)
    if options.window:
        raise RequestError("WINDOW is for windows through a recording: give HOP too, as HOP=0.5")
    read = predict_files(model, files, rejection=Rejection.of(options, model.config))
    table = prediction_table(
        model.classes, read.probabilities, {"file": list(map(str, read.files))}, read.answered
    )
    show(table, model.classes, options)
    if read.longer:
        first, seconds = read.longer[0].name, duration(model.config["duration"])
        more = f" and {len(read.longer) - 1} more" if len(read.longer) > 1 else ""
        tell(f"of {first}{more} the first {seconds} alone count; HOP=1 predicts windows through all of it")
    return tell_failures(read.failures, len(files))


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
    tables, trained = [], []
    failures: dict[Path, str] = {}
    for fold in run.finished:
        rows = run.scored(fold, selection=options.selection).set_index("clip_id")
        if len(unknown := rows.index.difference(audio_of.index)):
            file = run.fold(fold) / "predictions.csv"
            raise RequestError(
                f"{file} has clips that the cache {folder} does not have, such as {unknown[0]}"
            )
        clip_of = {Path(path): clip for clip, path in audio_of[rows.index].items()}
        read = predict_files(model, list(clip_of), fold)
        rows = rows.loc[[clip_of[file] for file in read.files]]
        about = {"clip_id": rows.index, "fold": fold, "target": rows["target"].to_numpy()}
        tables.append(prediction_table(model.classes, read.probabilities, about))
        trained.append(rows)
        failures |= read.failures
    table, before = pd.concat(tables, ignore_index=True), pd.concat(trained)
    if options.json or options.csv:
        show(table, model.classes, options)
    accuracy = (table["predicted"] == table["target"]).mean()
    then = (before[model.classes].idxmax(axis=1) == before["target"]).mean()
    largest = np.abs(table[model.classes].to_numpy() - before[model.classes].to_numpy()).max(initial=0)
    verdict = "the same" if largest <= AGREES else "NOT the same: was the audio or a library changed?"
    tell(f"accuracy {accuracy:.4f} of {len(table)} clips; predictions.csv says {then:.4f}")
    tell(f"probabilities differ by {largest:.1e} at most: {verdict}")
    return tell_failures(failures, len(table) + len(failures))


def write_timelines(options: PredictOptions, model: TrainedModel, files: Sequence[Path]) -> int:
    """A timeline of each file in <reports>/<dataset>/timelines/; 1 if a file could not be read."""
    from train import timeline  # here, since few ask for one

    extractor, rejection = FeatureExtractor(model.config), Rejection.of(options, model.config)
    rate, samples = extractor.sample_rate, extractor.window_samples(options.window)
    if not 0 < options.hop <= samples / rate:
        raise RequestError(
            f"HOP={options.hop:g}: expected seconds from 0 to the {samples / rate:g} of a window"
        )
    hop = max(1, round(options.hop * rate))
    folder = options.reports / model.config["dataset"] / "timelines"
    failures = {}
    for file, target in zip(files, timeline.output_paths(files, folder)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            info = audio.file_info(file)
            seconds = info.frames / info.sample_rate
            blocks = timeline.resampled(audio.blocks(file), info.sample_rate, rate)
            windows = progress(
                timeline.windows(blocks, rate, samples, hop),
                total=1 + max(0, int(np.ceil((seconds * rate - samples) / hop))),
                label=f"{file.name} ({duration(seconds)})",
                unit="windows",
            )
            rows = timeline.predict_windows(windows, extractor, model.probabilities, rejection)
            timeline.write_timeline(rows, model.classes, target, title=file.name)
        except audio.AudioError as error:
            failures[file] = str(error)
    return tell_failures(failures, len(files))
