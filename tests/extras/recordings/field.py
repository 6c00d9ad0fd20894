"""Recordings with annotated sounds that are easy to find, and a run on them."""

import numpy as np
import pandas as pd
import soundfile

from featurestack.extras.recordings.dataset import make_events
from featurestack.extras.recordings.frames import Frames
from featurestack.extras.recordings.options import EventsCommand
from featurestack.extras.recordings.scores import score_table, tally_all
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.options import FeaturesCommand
from featurestack.train import run
from featurestack.train.options import RunOptions

RATE, SECONDS, RECORDINGS = 8_000, 7.0, 8
PITCHES = {"high": 2_000, "low": 500}


def write_recordings(folder, overlapping=False, recordings=RECORDINGS, seconds=SECONDS):
    """Tones in noise, audio/r0.wav, …, and events.csv beside."""
    (folder / "audio").mkdir(parents=True)
    rows = []
    for number in range(recordings):
        rng = np.random.default_rng(number)
        time = np.arange(round(seconds * RATE)) / RATE
        y = rng.normal(0, 0.01, len(time))
        for place, start in enumerate(np.arange(0.5, seconds - 1.5, 1.2)):
            start += rng.uniform(0, 0.3)
            both = overlapping and place % 3 == 0
            for name in PITCHES if both else [[*PITCHES][place % 2]]:
                end = start + rng.uniform(0.3, 0.6)
                tone = 0.3 * np.sin(2 * np.pi * PITCHES[name] * time)
                y += tone * ((time >= start) & (time < end))
                rows.append((f"r{number}.wav", round(start, 4), round(end, 4), name))
        soundfile.write(folder / "audio" / f"r{number}.wav", y, RATE, subtype="FLOAT")
    table = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    table.to_csv(folder / "events.csv", index=False)
    return table


HOP = 0.1


def frames(*lengths, classes=("a",)):
    """Frames of stretches of so many seconds, a fold each: recordings r0, r1, …"""
    names = [f"r{number}" for number in range(len(lengths))]
    table = pd.DataFrame({"file": names, "group": names, "start": 0.0})
    table["end"] = np.array(lengths, float)
    table["fold"] = table.index + 1
    table["frames"] = (table["end"] / HOP).round().astype(int)
    times = np.concatenate([np.arange(n) * HOP + HOP / 2 for n in table["frames"]])
    return Frames(table, times, HOP, classes)


def scores_of(events, detections, seconds):
    """The scores of each class's spans."""
    return score_table(tally_all(events, detections, seconds))


MEL = "mel@n_mels=32,hop_length=256,n_fft=512"


def make_dataset(folder, features=MEL, **given):
    """The dataset's CSV, with its features in the cache."""
    options = {
        "audio": folder / "audio",
        "tables": folder / "events.csv",
        "data": folder / "data",
        "name": "field",
    }
    assert make_events(EventsCommand(**options | given)) == 0
    table = str(folder / "data" / "field" / "field.csv")
    wanted = {"dataset": table, "data": folder / "data", "features": features}
    assert not extract(FeaturesCommand(**wanted, jobs=1))


def train(folder, **changes):
    options = {
        "dataset": str(folder / "data" / "field" / "field.csv"),
        "data": folder / "data",
        "runs": folder / "runs",
        "features": MEL,
        "epochs": 6,
        "device": "cpu",
    }
    return run.execute(RunOptions(**options | changes))
