"""Prediction: how many times faster than real time a long recording is predicted.

    python -m bench.prediction

mel+mfcc+chroma and ResNet-18 with the default options, windows of 5 s, decoded from a FLAC file, features and
network as `predict` runs them. Weights are drawn, not trained: speed does not depend on them. Seconds of
the cores say what the work costs where other programs share the machine.
"""

import os
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from commandline.commands import Command, main
from commandline.options import Options, option
from commandline.terminal import text_table
from pipeline import audio
from train import timeline
from train.bundle import Bundle, TrainedModel
from train.compute import keep_freed_memory
from train.data import parse_grid
from train.models.registry import build
from train.options import RunOptions
from train.predict import FeatureExtractor
from train.rejection import Rejection

RATE, SECONDS, CLASSES = 44_100, 5.0, 50
ROWS = {"mel": 128, "mfcc": 40, "chroma": 12}
TARGET = 50  # times real time, windows side by side, one model


@dataclass(frozen=True, kw_only=True)
class PredictionOptions(Options):
    """What is predicted."""

    minutes: float = option(2.0, "of audio")


def drawn(folds: int) -> TrainedModel:
    """A run of so many folds with random weights."""
    options = RunOptions()
    config: dict[str, Any] = {
        "classes": [{"name": f"class {k}", "category": ""} for k in range(CLASSES)],
        "model": options.model,
        "grid": options.grid,
        "augment": "none",
        "options": asdict(options),
        "folds": list(range(1, folds + 1)),
        "sample_rate": RATE,
        "duration": SECONDS,
        "channels": [
            {"stored": name, "parameters": {}, "dtype": "float16", "rows": [0, n - 1]}
            for name, n in ROWS.items()
        ],
    }
    standard = {"norm": "feature", "centre": [0.0], "scale": [1.0]}
    network = build(options.model, len(ROWS), CLASSES, parse_grid(options.grid))
    state = {"network": network.state_dict(), "statistics": [standard] * len(ROWS)}
    return TrainedModel(Bundle(config, dict.fromkeys(config["folds"], state)))


def predicted(model: TrainedModel, file: Path, hop: float) -> tuple[float, float]:
    """Seconds for all windows of a file, and those of all cores together, once everything is compiled."""
    extractor = FeatureExtractor(model.config)

    def predict(hop: float) -> None:
        windows = timeline.windows(audio.blocks(file), RATE, extractor.samples, round(hop * RATE))
        list(timeline.predict_windows(windows, extractor, model.probabilities, Rejection()))

    predict(60.0)
    start, worked = time.perf_counter(), time.process_time()
    predict(hop)
    return time.perf_counter() - start, time.process_time() - worked


def prediction(options: PredictionOptions) -> int:
    """Predict a recording with one model and with five, windows side by side and half over each other."""
    torch.set_num_threads(os.cpu_count() or 1)
    keep_freed_memory()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "noise.flac"
        samples = round(60 * options.minutes * RATE)
        soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, samples), RATE)
        for folds in (1, 5):
            for hop in (SECONDS, SECONDS / 2):
                seconds, worked = predicted(drawn(folds), file, hop)
                times = 60 * options.minutes / seconds
                rows.append((folds, hop, f"{seconds:.1f}", f"{worked:.1f}", f"{times:.0f}"))
    print(text_table(rows, ("models", "hop, s", "seconds", "of the cores", "times real time")))
    print(f"target: {TARGET} times with one model and windows side by side")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at most")
    return 0


COMMANDS: list[Command] = [prediction]

if __name__ == "__main__":
    main(COMMANDS)
