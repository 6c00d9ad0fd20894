"""Processor time of commands that have nothing, or little, to compute: `python -m
bench.start`.

Times are of whole processes, medians of ROUNDS in turns, also as multiples of two
imports in the same run. On a busy machine the ratios hold, the seconds do not. The
commands use the synthetic clips in a temporary folder. If PYTHONDONTWRITEBYTECODE is
set, times are too long: every process compiles every module.
"""

import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from featurestack.commandline.tables import text_table

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3
LIBRARIES = "numpy, pandas, h5py"
SETS = ("mel", "mfcc", "chroma", "mel+mfcc")
FEATURES = "-m pipeline features DATASET=synth FEATURES=small"
TRAIN = (
    "-m train run DATASET=synth MODEL=texture EPOCHS=2 CURVE=0 PRECISION=fp32 THREADS=1"
    " FEATURES="
)

# timed command, once its data are there -> the words after `python`
TIMED = {
    f"import {LIBRARIES}": f"-c 'import {LIBRARIES}'",
    "import torch": "-c 'import torch'",
    "features, nothing to do": FEATURES,
    "pipeline list": "-m pipeline list",
    "train list": "-m train list",
    "train --help": "-m train run --help",
    "train, nothing to do": f"{TRAIN}mel",
    "predict, an unknown run": "-m train predict AUDIO=. RUN=nowhere",
    "predict 200 files": "-m train predict AUDIO=data/synth/audio RUN=mel-texture",
    "linear, five folds": (
        "-m train run DATASET=synth FEATURES=mel+mfcc MODEL=linear TAG=new"
    ),
    "report of four runs": "-m analysis DATASET=synth OVERWRITE=1",
    "report, nothing new": "-m analysis DATASET=synth",
}


def processor_seconds(words: str, folder: Path) -> float:
    """User and system time of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *shlex.split(words)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode and "nowhere" not in words:
        sys.exit(f"python {words} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words in (FEATURES, *(TRAIN + features for features in SETS)):
            processor_seconds(words, folder)
        seconds: dict[str, list[float]] = {what: [] for what in TIMED}
        for number in range(ROUNDS):
            for what, words in TIMED.items():
                seconds[what].append(
                    processor_seconds(words.replace("=new", f"=new{number}"), folder)
                )
    medians = {what: statistics.median(values) for what, values in seconds.items()}
    units = [medians[f"import {LIBRARIES}"], medians["import torch"]]
    rows = [
        (what, f"{value:.2f}", *(f"{value / unit:.1f}" for unit in units))
        for what, value in medians.items()
    ]
    print(text_table(rows, ("what", "processor s", f"x {LIBRARIES}", "x torch")))


if __name__ == "__main__":
    main()
