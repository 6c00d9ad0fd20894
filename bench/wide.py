"""The memory of ridge on the layers of several networks:

    python -m bench.wide                       2,600 clips of 42,432 numbers

YAMNet's layers and those of ResNet-18 on three features have 42,432 numbers per clip.
The clips are noise. The command prints the megabytes that `make train` uses on one
fold; 350 of them are the training numbers.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.record import bench
from featurestack.base.options import Options, option
from featurestack.features_cache import external

CLASSES, FOLDS = 10, 5


class WideOptions(Options):
    """The size of the set."""

    clips: int = option(2_600, "number of clips", least=CLASSES * FOLDS)
    numbers: int = option(42_432, "numbers per clip", least=CLASSES)


def wide(options: WideOptions) -> int:
    """Print the memory of one fold."""
    clips = np.arange(options.clips)
    ids = [f"clip{clip:05d}" for clip in clips]
    labels = [f"class{clip % CLASSES}" for clip in clips]
    table = {"clip_id": ids, "label": labels, "fold": clips // CLASSES % FOLDS + 1}
    size = options.clips, options.numbers
    x = np.random.default_rng(0).standard_normal(size, np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch, "wide")
        external.create_cache(cache, table)
        external.write_feature(cache, "layers", x, ids)
        words = [f"DATASET={cache}", f"RUNS={scratch}/runs", "FEATURES=layers"]
        command = [sys.executable, "-m", "featurestack", "train", *words]
        process = subprocess.Popen([*command, "MODEL=ridge", "FOLDS=1"])
        _, status, usage = os.wait4(process.pid, 0)
    print(f"{usage.ru_maxrss // 1024:,} MB")
    return int(status != 0)


if __name__ == "__main__":
    bench(wide)
