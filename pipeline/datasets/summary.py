"""`make data`: get a dataset ready and summarise it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.options import fields, option_words
from featurestack.base.quantities import counted, first_names
from featurestack.base.registry import object_at
from featurestack.base.shell import next_line
from featurestack.base.terminal import text_table
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import by_label, originals, untrainable
from featurestack.features_cache.index_file import has_failed
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import AlterOptions, SourceOptions

FAULTS_SHOWN = 10


def make_dataset(options: AlterOptions) -> int:
    """The command `data`: fetch or alter a dataset, then summarise it; 1 for faults."""
    if options.alter:
        options = object_at(OPTIONS["alter"])(options)
    elif options.copies > 1:
        raise RequestError(
            f"COPIES={options.copies} is the number of copies that ALTER= makes: give"
            " ALTER=pitch,stretch,noise too"
        )
    return summarise_dataset(options)


def summarise_dataset(options: SourceOptions) -> int:
    """Print a summary of a dataset and its faults; return 1 if there are any."""
    dataset = load(options)
    table = originals(dataset.table)
    wrong = list[str]()
    if not dataset.read_only:  # a cache is used without its audio
        infos = dict(zip(table["path"], audio.file_infos(table["path"].tolist())))
        readable = table["path"].map(lambda path: isinstance(infos[path], audio.Info))
        wrong = [f"{path}: {infos[path]}" for path in table["path"][~readable]]
        table = table[readable]
        if options.dataset in ("esc50", "esc10"):
            from featurestack.pipeline.datasets import esc50

            wrong = list(esc50.faults(options.data / "esc50"))
    print(dataset_summary(dataset, table))
    if wrong:
        faults = counted(len(wrong), "fault")
        print(f"\n{faults}; files that cannot be read are not counted above:")
        print(*(f"  {fault}" for fault in first_names(wrong, FAULTS_SHOWN)), sep="\n")
    reason = untrainable(dataset.table)
    print(f"\n{f'no training yet: {reason}' if reason else next_features(options)}")
    return 1 if wrong else 0


def counts(dataset: Dataset, table: pd.DataFrame) -> str:
    """`my sounds: 78 clips, 2 classes, 5 folds, 39 source recordings`."""
    counted_columns = by_label(table)[["clip_id", "label", "fold", "group"]]
    numbers = counted_columns.replace({"label": {"": None}}).nunique()
    named = [*map(counted, numbers, ("clip", "class", "fold", "source recording"))]
    if len(table) and table["group"].is_unique:
        named[-1] = "each clip counted as its own recording"
    made = " (synthetic)" if dataset.synthetic else ""
    return f"{dataset.name}{made}: {', '.join(named)}"


def dataset_summary(dataset: Dataset, table: pd.DataFrame) -> str:
    """Size, notes and class balance; `table` has the readable originals."""
    lines = [counts(dataset, table)]
    if dataset.sample_rate:  # external features need not come from audio
        length = f"{dataset.duration:.4g} s at {dataset.sample_rate:,} Hz"
        lines.append(f"{length} ({dataset.samples:,} samples per clip)")
    if dataset.audio_channel:
        lines.append(f"channel {dataset.audio_channel} of each file")
    if only_trained := len(dataset.table) - len(originals(dataset.table)):
        lines.append(f"{counted(only_trained, 'more clip')}, only trained on")
    lines += dataset.notes
    each = by_label(table).replace({"label": {"": "(none)"}})
    columns = {"clips": ("clip_id", "size"), "sources": ("group", "nunique")}
    classes = each.groupby("label").agg(**columns)
    by_fold = pd.crosstab(each["label"], each["fold"]).add_prefix("fold ")
    classes = classes.join(by_fold).sort_values("clips", ascending=False, kind="stable")
    rows = [[*row] for row in classes.itertuples()]
    lines += ["", text_table(rows, ["class", *classes.columns])]
    if len(table):
        least = classes["clips"].min()
        most = classes["clips"].max()
        lines.append(f"balance: {least} to {counted(most, 'clip')} per class")
    return "\n".join(lines)


def next_features(options: SourceOptions) -> str:
    """The line with the command that extracts features of the same dataset."""
    return next_line("features", *option_words(options, fields(SourceOptions)))


def missing_clips(cache: Cache, features: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a clip lacks one of these features without having failed."""
    failed = has_failed(cache.folder, cache.clips, features)
    return ~cache.readable(features) & ~failed
