"""One prediction of `fs.Model` for five seconds of audio, as a bundle and as an ONNX
file:

    python -m bench.service DATASET=../esc10

The time is the median of processor time on one core, with the features; bundle and ONNX
file take turns, so that a busy machine slows both. `linear` and `texturenet` are
trained on mel+mfcc+chroma, `texturenet` for one epoch: a network's cost does not depend
on its training. GB is the largest memory of the process, training included. A result is
stored in docs/tables/service.csv.
"""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import featurestack as fs
from bench.record import bench, record, spent
from featurestack.base.options import DatasetOptions, option
from featurestack.results.run_folder import RunFolder

FEATURES, MODELS = "mel+mfcc+chroma", ("linear", "texturenet")
CALLS, RATE, SECONDS = 100, 44_100, 5


class ServiceOptions(DatasetOptions):
    """Milliseconds of a prediction by a bundle and by an ONNX file."""

    dataset: str = option("esc10", "dataset whose clips are trained on")


def service(options: ServiceOptions) -> None:
    """Measure every model, and keep the table."""
    torch.set_num_threads(1)
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE).astype(np.float32)
    rows = []
    where: dict[str, Any] = {"dataset": options.dataset, "data": options.data}
    with tempfile.TemporaryDirectory() as folder:
        fs.extract(features=FEATURES.replace("+", " "), **where, quiet=True)
        for name in MODELS:
            given: dict[str, Any] = {
                "features": FEATURES,
                "model": name,
                "epochs": 1,
                "quiet": True,
            }
            run = fs.fit(**where, runs=folder, **given)
            files = [Path(folder, f"{name}{end}") for end in (".pt", ".onnx")]
            assert isinstance(run, RunFolder)  # of one set
            for write, file in zip((fs.bundle, fs.export), files):
                write(str(run.path), file, data=options.data, quiet=True)
            took = milliseconds([fs.Model(file) for file in files], noise)
            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            row = {"model": name, "ms": took[0], "onnx_ms": took[1], "GB": largest}
            rows.append(row)
    table = pd.DataFrame(rows)
    print(table.round(1))
    command = f"python -m bench.service DATASET={options.dataset}"
    record("service", table, command, spent())


def milliseconds(models: list[fs.Model], y: np.ndarray) -> list[float]:
    """The median of a call's processor time, by model."""
    seconds: list[list[float]] = [[] for _ in models]
    for model in models:
        model.warm()
    for _ in range(CALLS):
        for model, own in zip(models, seconds):
            begun = time.process_time()
            model.predict(y, RATE)
            own.append(time.process_time() - begun)
    return [1000 * float(np.median(own)) for own in seconds]


if __name__ == "__main__":
    bench(service)
