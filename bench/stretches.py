"""How well detections count sounds, by the length of the windows:

    python -m bench.stretches                          ../finch, every length and model
    python -m bench.stretches LENGTHS=0.1 MODELS=ridge

Models are trained on windows of 24 recordings of a Bengalese finch and predict twelve
others. A stretch is a row of detections.csv. A row of docs/tables/windows.csv has the
marked sounds, the stretches, those that touch exactly one sound of their label, and F1
of stretches and sounds that overlap by at least 0.3 and 0.5 of what both cover (IoU),
each sound matched once. Seconds are processor time of training and prediction, memory
that of the largest process. LENGTHS=0 is the default of `windows`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from bench.record import bench, record
from featurestack.base.options import Options, option

TRAINED, PREDICTED = 24, 12  # recordings
ROWS = "windows"


class StretchesOptions(Options):
    """The recordings, lengths of windows, and models."""

    folder: Path = option(Path("../finch"), "folder with audio, raven and events.csv")
    lengths: str = option("0 0.1 0.05", "seconds of a window, separated by spaces")
    models: str = option("ridge linear texturenet", "models, separated by spaces")


def run(folder: Path, *words: str) -> tuple[float, float]:
    """Run a command of featurestack in this folder: its processor seconds, and its
    memory in megabytes.
    """
    command = [sys.executable, "-m", "featurestack", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(words)} ended with {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def overlap(first: "pd.Series[float]", others: pd.DataFrame) -> "pd.Series[float]":
    """Seconds that a stretch shares with each of several others."""
    end = others["end"].clip(upper=first["end"])
    return (end - others["start"].clip(lower=first["start"])).clip(lower=0)


def counts(stretches: pd.DataFrame, sounds: pd.DataFrame) -> dict[str, float]:
    """The columns of a row, from what was detected and what is marked."""
    of_one = 0
    matched = {0.3: 0, 0.5: 0}
    by_name = dict([*sounds.groupby(["file", "label"])])
    for key, found in stretches.groupby(["file", "label"]):
        marked = by_name.get(key, sounds[:0])
        pairs = []
        for place, stretch in found.iterrows():
            shared = overlap(stretch, marked)
            of_one += int((shared > 0).sum() == 1)
            covered = (marked["end"] - marked["start"]) - shared
            covered += stretch["end"] - stretch["start"]
            pairs += [
                (share, place, mark) for mark, share in (shared / covered).items()
            ]
        for least in matched:
            taken = set[object]()
            for share, place, mark in sorted(pairs, reverse=True):
                if share >= least and not {("s", place), ("m", mark)} & taken:
                    taken |= {("s", place), ("m", mark)}
                    matched[least] += 1
    total = len(stretches) + len(sounds)
    return {
        "sounds": len(sounds),
        "stretches": len(stretches),
        "of_one_sound": of_one,
        **{f"f1_iou_{least}": 2 * hits / total for least, hits in matched.items()},
    }


def measured(options: StretchesOptions, length: str, model: str) -> dict[str, float]:
    """One row: windows of this length, one model."""
    audio = sorted((options.folder / "audio").iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, files in (
            ("known", audio[:TRAINED]),
            ("new", audio[-PREDICTED:]),
        ):
            (folder / name).mkdir()
            for file in files:
                shutil.copy(file, folder / name)
        asked = [f"LENGTH={length}", f"HOP={float(length) / 2:g}"]
        tables = f"TABLES={(options.folder / 'raven').resolve()}"
        run(folder, "windows", "AUDIO=known", tables, *(asked if float(length) else []))
        dataset = "DATASET=data/known/known.csv"
        run(folder, "features", dataset, "FEATURES=mel", "FRAME=23")
        spent = [run(folder, "train", dataset, "FEATURES=mel", f"MODEL={model}")]
        spent += [
            run(folder, "predict", "AUDIO=new", "RUN=last", "THRESHOLD=0.5", "OUT=out")
        ]
        stretches = pd.read_csv(folder / "out" / "detections.csv")
    sounds = pd.read_csv(options.folder / "events.csv")
    sounds["file"] = sounds["file"].map(lambda name: Path(name).name)
    stretches["file"] = stretches["file"].map(lambda name: Path(name).name)
    new = {file.name for file in audio[-PREDICTED:]}
    row = counts(stretches, sounds[sounds["file"].isin(new)])
    cpu, memory = zip(*spent)
    return {**row, "cpu_seconds": sum(cpu), "megabytes": max(memory)}


def stretches(options: StretchesOptions) -> int:
    """Measure and record a row for each length and model."""
    for length in options.lengths.split():
        for model in options.models.split():
            row = measured(options, length, model)
            name = f"windows of {length} s, {model}"
            if not float(length):
                name = f"windows of the default length, {model}"
            print(name, row, flush=True)
            table = pd.DataFrame([{"label": name, **row}])
            words = f"LENGTHS={length} MODELS={model}"
            record(
                ROWS, table, f"python -m bench.stretches {words}", row["cpu_seconds"]
            )
    return 0


if __name__ == "__main__":
    bench(stretches)
