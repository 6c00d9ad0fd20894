"""A feature of one number that takes as long as it is told, and tables of any number of clips to store it.

What is left of an extraction when computing costs nothing: the table, the files, handing out and writing.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import soundfile

from features_cache.table import CLIP_COLUMNS
from pipeline.clip import Clip
from pipeline.datasets import Dataset
from pipeline.features import feature
from pipeline.options import FeaturesCommand
from pipeline.parameters import Within
from pipeline.request import Request, of_dataset

SAMPLE_RATE, SAMPLES = 8000, 80
SOURCES = 1000  # audio files; clips share them, since it is the table that is to be large


@feature(units="s")
def stub(clip: Clip, *, ms: Annotated[float, Within(0, 1000)] = 0.0) -> np.ndarray:
    """Waits, and gives the time that it was to wait."""
    if ms:
        time.sleep(ms / 1000)
    return np.full((1, 1), ms / 1000)


def made_dataset(folder: Path, clips: int) -> Dataset:
    """A table of clips over a few small files; names are as long as a large set's, a group is a clip."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{number:04d}.wav") for number in range(min(SOURCES, clips))]
    for path in paths:
        soundfile.write(path, np.zeros(SAMPLES, np.float32), SAMPLE_RATE)
    number = np.arange(clips)
    ids = [f"{one:011d}_30" for one in range(clips)]  # a video's name and a second, as in AudioSet
    columns = {
        "clip_id": ids,
        "path": np.array(paths, object)[number % len(paths)],
        "label": np.array([f"class{one:03d}" for one in range(500)], object)[number % 500],
        "fold": number % 5 + 1,
        "group": ids,
    }
    table = pd.DataFrame({name: columns.get(name, "") for name in CLIP_COLUMNS})
    return Dataset("made", table, SAMPLE_RATE, SAMPLES / SAMPLE_RATE, source="made up", synthetic=True)


def made_command(data: Path, features: str, jobs: int) -> FeaturesCommand:
    """As from the command line."""
    return FeaturesCommand(dataset="made", data=data, features=features, jobs=jobs, skip_checksums=True)


def made_request(dataset: Dataset, options: FeaturesCommand) -> Request:
    """As `pipeline.request.request` makes it of a dataset on the disk."""
    return of_dataset(dataset, options.data / dataset.name, options)
