"""`make data`: get a dataset ready, and summarise it."""

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, first_names
from featurestack.commandline.terminal import text_table
from featurestack.features_cache.table import by_label, originals
from featurestack.pipeline import audio
from featurestack.pipeline.dataset_state import next_lines, state_of
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import DataOptions, SourceOptions

FAULTS_SHOWN = 10


def make_dataset(options: DataOptions) -> int:
    """The command `data`: fetch or alter a dataset, and summarise it; 1 for faults."""
    if options.alter:
        from featurestack.pipeline.alterations import write_altered

        options = write_altered(options)
    elif options.copies > 1:
        raise RequestError(
            f"COPIES={options.copies} counts the copies that ALTER= makes: give"
            " ALTER=pitch,stretch,noise too"
        )
    return summarise_dataset(options)


def summarise_dataset(options: SourceOptions) -> int:
    """Print a summary of a dataset, and its faults; 1 if there are any."""
    dataset = load(options)
    table = originals(dataset.table)
    wrong = list[str]()
    if not dataset.read_only:  # a cache is used without its audio
        infos = audio.file_infos(table["path"].tolist())
        answers = zip(table["path"], infos)
        wrong = [
            f"{path}: {info}"
            for path, info in answers
            if isinstance(info, audio.AudioError)
        ]
        table = table[[isinstance(info, audio.Info) for info in infos]]
    if not dataset.read_only and options.dataset in ("esc50", "esc10"):
        from featurestack.pipeline.datasets import esc50

        wrong = list(esc50.faults(options.data / "esc50"))
    print(dataset_summary(dataset, table))
    if wrong:
        heading = (
            f"\n{counted(len(wrong), 'fault')}; files that cannot be read are not"
            " counted above:"
        )
        print(heading, *first_names(wrong, FAULTS_SHOWN), sep="\n  ")
    print(f"\n{next_lines(state_of(options, dataset), dataset)}")
    return 1 if wrong else 0


def counts(dataset: Dataset, table: pd.DataFrame) -> str:
    """`my sounds: 78 clips, 2 classes, 5 folds, 39 source recordings`."""
    counted_columns = by_label(table)[["clip_id", "label", "fold", "group"]]
    numbers = counted_columns.replace({"label": {"": None}}).nunique()
    named = [*map(counted, numbers, ("clip", "class", "fold", "source recording"))]
    if len(table) and table["group"].is_unique:
        named[-1] = "each clip counted as a recording of its own"
    made = " (synthetic)" if dataset.synthetic else ""
    return f"{dataset.name}{made}: {', '.join(named)}"


def dataset_summary(dataset: Dataset, table: pd.DataFrame) -> str:
    """Size, notes, and balance of classes; `table` has the readable originals."""
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
    classes = each.groupby("label").agg(
        clips=("clip_id", "size"), sources=("group", "nunique")
    )
    by_fold = pd.crosstab(each["label"], each["fold"]).add_prefix("fold ")
    classes = classes.join(by_fold).sort_values("clips", ascending=False, kind="stable")
    rows = [[*row] for row in classes.itertuples()]
    lines += ["", text_table(rows, ["class", *classes.columns])]
    if len(table):
        least = classes["clips"].min()
        most = classes["clips"].max()
        lines.append(f"balance: {least} to {counted(most, 'clip')} per class")
    return "\n".join(lines)
