"""Sounds of three classes that are easy to separate, their cache, and a run on it."""

from itertools import product

import numpy as np
import soundfile

from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.options import FeaturesCommand
from featurestack.train import training
from featurestack.train.options import RunOptions

RATE, SECONDS = 16_000, 1.0
CLASSES = ("clicks", "hiss", "tone")
TAKES = 4
FEATURES = "mel+mfcc:1-19+chroma"


def sound(label, take, seconds=SECONDS, rate=RATE):
    """(n,) float32."""
    chance = np.random.default_rng([CLASSES.index(label), take])
    time = np.arange(round(seconds * rate)) / rate
    if label == "tone":
        tone = 0.3 * np.sin(2 * np.pi * chance.uniform(300, 600) * time)
        return tone.astype(np.float32)
    if label == "hiss":
        return chance.normal(0, 0.1, len(time)).astype(np.float32)
    y = np.zeros(len(time), np.float32)
    y[:: int(chance.uniform(0.08, 0.12) * rate)] = 0.8
    return y


def write_dataset(folder, short=False):
    """A CSV and its audio files; if `short`, three in four last a quarter of the
    longest or less.
    """
    folder.mkdir()
    rows = ["filename,label,fold"]
    for fold, label, take in product((1, 2), CLASSES, range(TAKES)):
        name = f"{label}-{fold}-{take}.wav"
        seconds = SECONDS / (1 + 3 * take) if short else SECONDS
        y = sound(label, 10 * fold + take, seconds)
        soundfile.write(folder / name, y, RATE, subtype="FLOAT")
        rows.append(f"{name},{label},{fold}")
    (folder / "little.csv").write_text("\n".join(rows))
    return folder / "little.csv"


def train_run(folder, short=False, **changes):
    """A run that takes seconds; `folder` holds it, the sounds and their cache, which
    are made once.
    """
    places = {"dataset": str(folder / "sounds" / "little.csv"), "data": folder / "data"}
    if not (folder / "sounds").exists():
        write_dataset(folder / "sounds", short)
        wanted = "mel mfcc chroma waveform modulation"
        assert not extract(FeaturesCommand(features=wanted, jobs=1, **places))
    standard = {"features": FEATURES, "model": "cnn4", "epochs": 6, "batch": 6}
    standard |= {"grid": "64x108", "augment": "shift", "runs": folder / "runs"}
    standard |= {"precision": "fp32", "threads": 1, "device": "cpu"}
    return training.execute(RunOptions(**places | standard | changes))
