"""A model at a new place: `python -m bench.new_place`.

Site 1 is every second recording. The others lie in other sounds, a minute a file:
clips of NOISE one after the other, with pink noise. The project's commands do what
docs/howto/detections.md says: train on site 1, predict site 2, train with some files of
site 2 as backgrounds, then with the same files and their tables. The printed table has
the scores on the files of site 2 that were never added.
"""

import shutil
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.pipeline import audio

MINUTE = 60  # seconds of a file of site 2
ALL = "all classes"
COLUMNS = ["f1", "f1_iou_0.3", "found", "false_alarms"]


class NewPlaceOptions(Options):
    """Recordings with their tables, and sounds of another place."""

    recordings: Path = option(Path("recordings"), "folder of annotated recordings")
    tables: Path = option(Path("tables"), "folder of their Audacity label tracks")
    noise: Path = option(Path("noise"), "folder of other sounds")
    minutes: int = option(60, "minutes of site 2", least=4)
    added: int = option(7, "minutes of site 2 that are annotated and added", least=1)
    snr: float = option(10.0, "dB from the other sounds to the songs")
    model: str = option("frames", "model")


def samples(file: Path, rate: int) -> np.ndarray:
    """(n,) float32 at this sample rate."""
    y, own = soundfile.read(file, dtype="float32", always_2d=True)
    return soxr.resample(y.mean(axis=1), own, rate)


def pink(chance: np.random.Generator, number: int) -> np.ndarray:
    """(number,) noise whose power falls with frequency, with a deviation of 1."""
    spectrum = np.fft.rfft(chance.normal(size=number))
    y = np.fft.irfft(
        spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), number
    )
    return (y / y.std()).astype(np.float32)


class Place:
    """Minutes of other sounds with pink noise, into which songs are laid."""

    def __init__(self, options: NewPlaceOptions, rate: int, songs: list[Path]) -> None:
        self.options, self.rate, self.songs = options, rate, songs
        self.chance = np.random.default_rng(0)
        sounds = sorted(options.noise.iterdir())
        order = self.chance.permutation(len(sounds))
        self.others = cycle([sounds[number] for number in order])
        # minutes from song to song
        self.every = max(1, options.minutes // len(songs))

    def minute(self, number: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Samples of one minute, and its events: start, end, label."""
        length = MINUTE * self.rate
        noise = np.zeros(0, np.float32)
        while len(noise) < length:
            noise = np.append(noise, samples(next(self.others), self.rate))
        file = self.songs[number // self.every % len(self.songs)]
        song = samples(file, self.rate)
        y = noise[:length] / noise[:length].std() + pink(self.chance, length)
        y *= song.std() / y.std() / 10 ** (self.options.snr / 20)
        events = pd.DataFrame(columns=[0, 1, 2])
        if number % self.every == 0:
            start = int(self.chance.integers(0, length - len(song)))
            y[start : start + len(song)] += song
            track = self.options.tables / f"{file.stem}.txt"
            events = pd.read_csv(track, sep="\t", header=None)
            events[[0, 1]] += start / self.rate
        return y / max(1.0, float(np.abs(y).max())), events


def write_track(events: pd.DataFrame, file: Path) -> None:
    """Write an Audacity label track."""
    file.write_text(events.to_csv(sep="\t", header=False, index=False))


def make_sites(options: NewPlaceOptions, folder: Path) -> None:
    """Write `site1`, `site2` and `added`, each with audio and tables."""
    recordings = sorted(options.recordings.iterdir())
    rate = audio.file_info(recordings[0]).sample_rate
    for site in ("site1", "site2", "added"):
        (folder / site).mkdir()
        (folder / f"{site}_tables").mkdir()
    for file in recordings[::2]:
        shutil.copy(file, folder / "site1")
        table = options.tables / f"{file.stem}.txt"
        shutil.copy(table, folder / "site1_tables")
    place = Place(options, rate, recordings[1::2])
    # drawn: evenly spaced minutes would all fall between the songs
    chance = np.random.default_rng(1)
    added = chance.choice(options.minutes, options.added, replace=False)
    for minute in range(options.minutes):
        y, events = place.minute(minute)
        site = "added" if minute in added else "site2"
        name = f"place2-{minute:03d}"
        soundfile.write(folder / site / f"{name}.flac", y, rate)
        write_track(events, folder / f"{site}_tables" / f"{name}.txt")


class Commands:
    """The project's commands on the folder of this bench."""

    def __init__(self, options: NewPlaceOptions, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.places = [f"DATA={folder / 'data'}", f"RUNS={folder / 'runs'}"]

    def call(self, module: str, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *module.split(), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)

    @property
    def dataset(self) -> Path:
        return self.folder / "data" / "farm" / "farm.csv"

    def prepare(self, *words: str) -> None:
        """Make the dataset of `site1`; `words` are options of `pipeline events`."""
        for file in (self.dataset, self.dataset.with_name("events.csv")):
            file.unlink(missing_ok=True)
        self.call(
            "pipeline events",
            f"AUDIO={self.folder / 'site1'}",
            f"TABLES={self.folder / 'site1_tables'}",
            "NAME=farm",
            *words,
            self.places[0],
        )

    def train(self, *words: str) -> None:
        """Its features, and the run in its place; `words` are further options."""
        given = [f"DATASET={self.dataset}", "FEATURES=mel", *self.places]
        self.call("pipeline features", *given[:-1])
        model = f"MODEL={self.options.model}"
        self.call("train run", *given, model, *words, "RETRAIN=1")

    def train_on_background(self) -> None:
        """The run with the files of `added`, not annotated, under the events."""
        folder = self.folder / "added"
        self.call("pipeline events", f"AUDIO={folder}", self.places[0])
        table = self.folder / "data" / "added" / "added.csv"
        self.call(
            "pipeline features", f"DATASET={table}", "FEATURES=mel", *self.places[:1]
        )
        self.train(f"BACKGROUND_AUDIO={folder}")

    def scores(self) -> list[float]:
        """Scores of all classes on the files of `site2`."""
        out = self.folder / "out"
        self.call(
            "train predict",
            f"AUDIO={self.folder / 'site2'}",
            f"TABLES={self.folder / 'site2_tables'}",
            "RUN=last",
            f"OUT={out}",
            *self.places,
        )
        scores = pd.read_csv(out / "scores.csv", index_col="label")
        return scores.loc[ALL, COLUMNS].tolist()


def new_place(options: NewPlaceOptions) -> int:
    """Print the scores at site 2 before and after training again; returns 0."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sites(options, folder)
        commands = Commands(options, folder)
        rows = {}
        commands.prepare()
        commands.train()
        rows["the model of the first site"] = commands.scores()
        commands.train_on_background()
        background = (
            f"trained with {options.added} minutes of the new site as background"
        )
        rows[background] = commands.scores()
        for kind in ("", "_tables"):
            for file in (folder / f"added{kind}").iterdir():
                shutil.copy(file, folder / f"site1{kind}")
        commands.prepare()
        commands.train()
        added = f"trained again with {options.added} annotated minutes of the new site"
        rows[added] = commands.scores()
        print(
            "| | F1 at IoU 0.5 | F1 at IoU 0.3 | events found | false alarms per hour |"
        )
        print("|---|---|---|---|---|")
        for label, values in rows.items():
            cells = [f"{value:.2f}" for value in values[:3]]
            print(f"| {label} | {' | '.join(cells)} | {values[3]:,.0f} |")
    return 0


if __name__ == "__main__":
    main([new_place])
