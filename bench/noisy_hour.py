"""An hour of recording in noise: `python -m bench.noisy_hour`.

One recording is made of minutes as in `bench.new_place`: songs in other sounds and pink
noise. Its even minutes are one fold, the odd ones the other, and each fold is tested by
the model of the other.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from bench.new_place import MINUTE, Commands, NewPlaceOptions, Place, write_track
from featurestack.commandline.commands import main
from featurestack.commandline.tables import text_table
from featurestack.pipeline import audio
from featurestack.results.run_folder import RunFolder
from featurestack.results.select_runs import select_one
from featurestack.rooms.events.tested import read_tested
from featurestack.storage.files import replace_file


def make_hour(options: NewPlaceOptions, folder: Path) -> None:
    """Write `site1` with one recording of MINUTES minutes, and its table."""
    songs = sorted(options.recordings.iterdir())
    rate = audio.file_info(songs[0]).sample_rate
    place = Place(options, rate, songs)
    minutes, tracks = zip(*map(place.minute, range(options.minutes)), strict=True)
    for minute, events in enumerate(tracks):
        events[[0, 1]] += minute * MINUTE
    for name in ("site1", "site1_tables"):
        (folder / name).mkdir()
    soundfile.write(folder / "site1" / "hour.flac", np.concatenate(minutes), rate)
    write_track(pd.concat(tracks), folder / "site1_tables" / "hour.txt")


def train_on_every_other_minute(options: NewPlaceOptions, folder: Path) -> RunFolder:
    """A run on one long recording; fold 1 has its even minutes, fold 2 the odd ones."""
    make_hour(options, folder)
    commands = Commands(options, folder)
    commands.prepare(f"BLOCK={MINUTE}")
    pieces = pd.read_csv(commands.dataset)
    minute = pieces["group"].str.rpartition("@")[2].astype(float) // MINUTE
    fold = 1 + minute.astype(int) % 2
    replace_file(commands.dataset, pieces.assign(fold=fold).to_csv(index=False))
    commands.train()
    return select_one(folder / "runs", "last")


def noisy_hour(options: NewPlaceOptions) -> int:
    """Print the scores of one long recording, of which each half of the minutes is
    tested by the model of the other; returns 0.
    """
    with tempfile.TemporaryDirectory() as name:
        run = train_on_every_other_minute(options, Path(name))
        scores = read_tested(run).scores().round(3)
        print(text_table(scores.reset_index().to_numpy(), ["label", *scores]))
    return 0


if __name__ == "__main__":
    main([noisy_hour])
