"""`python -m pipeline data`: get a dataset ready, and say what it is."""

from pathlib import Path

import pandas as pd

from commandline.terminal import counted, text_table
from features_cache.location import is_cache
from features_cache.table import originals
from pipeline.datasets import esc50
from pipeline.datasets.load import Dataset, load
from pipeline.next_step import next_step
from pipeline.options import SourceOptions

FAULTS_SHOWN = 10


def run(options: SourceOptions) -> int:
    """Download or make what is not there, check ESC-50's contents, print a summary."""
    dataset = load(options)
    print(dataset_summary(dataset))
    if options.dataset in ("esc50", "esc10") and not options.audio_dir:
        wrong = list(esc50.faults(options.data / "esc50"))
    elif is_cache(Path(options.dataset)):
        wrong = []  # used without its audio
    else:
        wrong = [f"missing: {path}" for path in dataset.table["path"] if not Path(path).is_file()]
    if wrong:
        more = f"\n  and {len(wrong) - FAULTS_SHOWN} more" if len(wrong) > FAULTS_SHOWN else ""
        print("\nwrong with it:\n  " + "\n  ".join(wrong[:FAULTS_SHOWN]) + more)
    print(f"\n{next_step(options, dataset)}")
    return 1 if wrong else 0


def dataset_summary(dataset: Dataset) -> str:
    """Size, format, balance of classes and folds, and what a user should know."""
    table = originals(dataset.table)
    columns = {"clip": "clip_id", "class": "label", "fold": "fold", "source recording": "group"}
    counts = [counted(table[column].nunique(), noun) for noun, column in columns.items()]
    lines = [f"{dataset.name}{' (synthetic)' if dataset.synthetic else ''}: {', '.join(counts)}"]
    if dataset.sample_rate:  # external features need not come from audio
        length = f"{dataset.duration:.4g} s at {dataset.sample_rate:,} Hz"
        lines.append(f"{length} ({dataset.samples:,} samples a clip)")
    if copies := len(dataset.table) - len(table):
        lines.append(f"{copies:,} altered copies, only ever trained on")
    lines += dataset.notes
    folds = table.groupby("group")["fold"].nunique()
    if spread := folds.index[folds > 1].tolist():
        shown = ", ".join(spread[:8]) + (" …" if len(spread) > 8 else "")
        recordings = counted(len(spread), "source recording")
        lines.append(f"in several folds: {recordings} ({shown}); training leaves their clips out")
    classes = table.groupby("label").agg(clips=("clip_id", "size"), sources=("group", "nunique"))
    if table["category"].nunique() > 1:
        classes["category"] = table.groupby("label")["category"].first()
    by_fold = pd.crosstab(table["label"], table["fold"]).add_prefix("fold ")
    classes = classes.join(by_fold).sort_values("clips", ascending=False, kind="stable")
    rows = [list(row) for row in classes.itertuples()]
    lines += ["", text_table(rows, ["class", *classes.columns])]
    sizes = classes["clips"]
    lines.append(f"balance: {sizes.min()} to {counted(sizes.max(), 'clip')} a class")
    return "\n".join(lines)
