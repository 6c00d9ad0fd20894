"""The classes of new sounds, or of a dataset's own clips by the model that never saw them."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from commandline import RequestError, duration, nearest, progress, text_table
from features_cache import Cache, cache_folder
from pipeline import audio
from train import runs, timeline
from train.hearing import Hearing, Samples
from train.trained import Probabilities, Trained, open_trained
from train.trained_options import PredictOptions

BAR = 24  # characters of a probability of 1
SOUNDS = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"}
SPARE = 0.1  # seconds by which a file may be longer unsaid: MP3 and Ogg add some of their own
AGREES = 1e-3  # a probability computed anew may differ by so much from predictions.csv


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
    if options.audio is None:
        return predict_own(options, trained)
    files = find_sounds(options.audio)
    if options.hop:
        return timeline.write_all(trained, files, options)
    heard = Heard()
    probabilities = hear(trained, files, heard)
    table = table_of(trained, probabilities, {"file": [str(file) for file in heard.files]})
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
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SOUNDS and file.is_file())
        if found:
            return found
        raise RequestError(f"AUDIO={path}: there is no sound file in this folder")
    if not path.parent.is_dir():
        raise RequestError(f"AUDIO={path}: there is no folder {path.parent}")
    raise RequestError(nearest("sound file", path.name, [file.name for file in path.parent.iterdir()]))


def hear(trained: Trained, files: Sequence[Path], heard: Heard, fold: int | None = None) -> Probabilities:
    """(N, K) for those of the files that can be heard, by one fold's model or by all; `heard` says which."""
    hearing = Hearing(trained.config)
    clips = heard.clips(files, hearing.sample_rate, hearing.samples)
    parts = [trained.probabilities(values, fold) for values in hearing.batches(clips)]
    return np.concatenate(parts) if parts else np.zeros((0, len(trained.classes)), np.float32)


def table_of(trained: Trained, probabilities: Probabilities, columns: dict[str, list[str]]) -> pd.DataFrame:
    """One row a clip: what is known of it, the predicted class, one probability column a class."""
    predicted = np.array(trained.classes, object)[probabilities.argmax(axis=1)]
    known = pd.DataFrame({**columns, "predicted": predicted})
    return pd.concat([known, pd.DataFrame(probabilities, columns=trained.classes)], axis=1)


def predict_own(options: PredictOptions, trained: Trained) -> int:
    """The clips that each fold tested, from their audio, by its model; and how that compares to training."""
    if Path(options.run).is_file():
        raise RequestError("OWN=1 compares with predictions.csv: give a run, a bundle has none")
    run = runs.select_one(options.runs, options.run)
    cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
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
        tables.append(table_of(trained, probabilities, about))
        known.append(rows.loc[clips])
    table, before = pd.concat(tables, ignore_index=True), pd.concat(known)
    show(table, trained.classes, options, each=False)
    compare(table, before, trained.classes)
    return complain(heard.failures, len(table) + len(heard.failures))


def compare(table: pd.DataFrame, before: pd.DataFrame, classes: list[str]) -> None:
    """Say the accuracy, and by how much the probabilities differ from those of predictions.csv."""
    right = (table["predicted"] == table["target"]).mean()
    then = (before[classes].idxmax(axis=1).to_numpy() == before["target"].to_numpy()).mean()
    largest = np.abs(table[classes].to_numpy() - before[classes].to_numpy()).max(initial=0)
    verdict = "the same" if largest <= AGREES else "NOT the same: was the audio or a library changed?"
    tell(f"accuracy {right:.4f} of {len(table)} clips; predictions.csv says {then:.4f}")
    tell(f"probabilities differ by {largest:.1e} at most: {verdict}")


def show(table: pd.DataFrame, classes: list[str], options: PredictOptions, each: bool = True) -> None:
    """On standard output as JSON, as CSV, or (`each`) for people, the best classes first."""
    if options.json:
        rows = table.drop(columns=classes).to_dict("records")
        answers = table[classes].to_dict("records")
        print(json.dumps([{**row, "probabilities": answer} for row, answer in zip(rows, answers)], indent=1))
    elif options.csv:
        print(table.to_csv(index=False), end="")
    elif each and len(table) == 1:
        print(bars(table.iloc[0][classes], options.top))
    elif each:
        best = [table.loc[row, classes].astype(float).nlargest(options.top) for row in table.index]
        rows = [
            (file, *(f"{name} {p:.2f}" for name, p in top.items())) for file, top in zip(table["file"], best)
        ]
        print(text_table(rows, ("file", *(f"{n}." for n in range(1, min(options.top, len(classes)) + 1)))))


def bars(answer: pd.Series, top: int) -> str:
    """`dog  0.93  ######################` for the `top` classes of one answer."""
    best = answer.astype(float).nlargest(top)
    width = max(map(len, best.index))
    return "\n".join(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip() for name, p in best.items())


def complain(failures: dict[Path, str], total: int) -> int:
    """Name what could not be heard; the exit status."""
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be heard")
    return 1 if failures else 0


def tell(text: str) -> None:
    """On standard error: standard output is for the answers."""
    print(text, file=sys.stderr)
