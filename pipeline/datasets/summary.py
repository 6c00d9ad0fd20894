"""`python -m pipeline data`: get a dataset ready, and say what it is."""

from pathlib import Path

import pandas as pd

from commandline.terminal import counted, text_table
from features_cache.cache import NAMED, is_cache
from pipeline.datasets import esc50
from pipeline.datasets.load import Dataset, load_for
from pipeline.datasets.readers import is_esc_layout
from pipeline.next_step import next_step
from pipeline.options import SourceOptions

SHOWN_CLASSES = 60  # a longer table hides what stands above it
IMBALANCE = 3  # times as many clips in the largest class as in the smallest are worth a word
FAULTS_SHOWN = 10


def run(options: SourceOptions) -> int:
    """Download or make what is not there, check ESC-50's contents, print a summary."""
    dataset = load_for(options)
    print(dataset_summary(dataset))
    wrong = _faults(options, dataset)
    if wrong:
        more = f"\n  and {len(wrong) - FAULTS_SHOWN} more" if len(wrong) > FAULTS_SHOWN else ""
        print("\nwrong with it:\n  " + "\n  ".join(wrong[:FAULTS_SHOWN]) + more)
    print(f"\n{next_step(options, dataset)}")
    return 1 if wrong else 0


def dataset_summary(dataset: Dataset) -> str:
    """Size, format, balance of classes and folds, and what a user should know."""
    table = dataset.table
    copies = int((table["copy_of"] != "").sum())
    table = table[table["copy_of"] == ""]
    kind = " (synthetic)" if dataset.synthetic else ""
    counts = (
        f"{counted(len(table), 'clip')}, {counted(table['label'].nunique(), 'class')}, "
        f"{counted(table['fold'].nunique(), 'fold')}, {counted(table['group'].nunique(), 'source recording')}"
    )
    lines = [f"{dataset.name}{kind}: {counts}"]
    if dataset.sample_rate:  # external features need not come from audio
        length = f"{dataset.duration:.4g} s at {dataset.sample_rate:,} Hz"
        lines.append(f"{length} ({dataset.samples:,} samples a clip)")
    if copies:
        lines.append(f"{copies:,} altered copies, only ever trained on")
    shown = has_categories(dataset)
    lines += [*dataset.notes, *_leaks(table), "", _classes(table if shown else table.assign(category=""))]
    return "\n".join([*lines, _balance(table)])


def has_categories(dataset: Dataset) -> bool:
    """Whether categories are its own: class folders have ESC-50's by a coincidence of names."""
    folder = Path(dataset.source)
    return dataset.source in NAMED or not folder.is_dir() or is_esc_layout(folder)


def _leaks(table: pd.DataFrame) -> list[str]:
    """Source recordings whose clips lie in several folds."""
    folds = table.groupby("group")["fold"].nunique()
    spread = folds.index[folds > 1].tolist()
    if not spread:
        return []
    shown = ", ".join(spread[:8]) + (" …" if len(spread) > 8 else "")
    recordings = counted(len(spread), "source recording")
    return [f"in several folds: {recordings} ({shown}); training leaves their clips out"]


def _classes(table: pd.DataFrame) -> str:
    counts = table.groupby("label").agg(clips=("clip_id", "size"), groups=("group", "nunique"))
    counts["category"] = table.groupby("label")["category"].first()
    by_fold = pd.crosstab(table["label"], table["fold"])
    counts = counts.sort_values(["clips"], ascending=False, kind="stable")
    has_category = (counts["category"] != "").any()
    rows = [
        [label, row.clips, row.groups, *([row.category] if has_category else []), *by_fold.loc[label]]
        for label, row in zip(counts.index, counts.itertuples())
    ]
    header = ["class", "clips", "sources", *(["category"] if has_category else [])]
    shown = text_table(rows[:SHOWN_CLASSES], [*header, *(f"fold {fold}" for fold in by_fold.columns)])
    return shown + (f"\nand {len(rows) - SHOWN_CLASSES} more classes" if len(rows) > SHOWN_CLASSES else "")


def _balance(table: pd.DataFrame) -> str:
    sizes = table["label"].value_counts()
    if sizes.max() < IMBALANCE * sizes.min():
        return f"balance: {sizes.min()} to {counted(sizes.max(), 'clip')} a class"
    return (
        f"unbalanced: {sizes.max()} clips of {sizes.idxmax()} and {sizes.min()} of {sizes.idxmin()}; "
        "look at balanced accuracy and F1 rather than accuracy"
    )


def _faults(options: SourceOptions, dataset: Dataset) -> list[str]:
    """What ESC-50's own folder lacks, or files that are absent."""
    folder = options.data / "esc50"
    if options.dataset in ("esc50", "esc10") and not options.audio_dir:
        return list(esc50.faults(folder))
    if is_cache(Path(options.dataset)):
        return []  # used without its audio
    absent = [path for path in dataset.table["path"] if path and not Path(path).is_file()]
    return [f"missing: {path}" for path in absent]
