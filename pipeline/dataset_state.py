"""`python -m pipeline data`: a dataset's summary, and its state before training, which
the next command depends on.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, first_names
from featurestack.commandline.tables import text_table
from featurestack.features_cache import Cache
from featurestack.features_cache.location import NAMED
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.side_files import has_failed, read_check
from featurestack.features_cache.table import by_label, originals, untrainable
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import SourceOptions
from featurestack.results.next_step import (
    State,
    Trained,
    next_step,
    pretrained_line,
    without,
)
from featurestack.results.tasks.registry import is_framed
from featurestack.storage.files import may_write

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder

# words of the commands that read a dataset's audio, in addition to PLACES
OF_AUDIO = ("audio_dir", "labels", "sample_rate", "duration", "channel")
FAULTS_SHOWN = 10
PLACES = ("name", "data", "runs")
OF_LEAK = "duplicates_across_folds"  # kind of finding


def state_of(
    options: SourceOptions,
    dataset: Dataset,
    cache: Cache | None = None,
    features: Sequence[str] = (),
) -> State:
    """The state of a loaded dataset; `features` are those to train on, else all."""
    state = State(
        given=[f"DATASET={options.dataset}", *option_words(options, PLACES)],
        source=option_words(options, OF_AUDIO),
        untrainable=bool(untrainable(dataset.table)),
        incomplete=True,
    )
    # no cache yet, a damaged one, or features of another rate or duration
    with suppress(RequestError):
        cache = Cache(dataset.folder) if cache is None else cache
        computed = [
            name for name in cache.features if FEATURES.knows(parse_channel(name).name)
        ]
        if computed and {*computed} != {*FEATURES.everything()}:
            state = replace(state, features=" ".join(computed))
        features = features or cache.features
        present, cached = (
            {*originals(table)["clip_id"]} for table in (dataset.table, cache.clips)
        )
        done = features and present == cached
        if dataset.read_only or (done and not missing_clips(cache, features).any()):
            frames = {name: cache[name].frames for name in features}
            former = []
            for run in former_runs(options, dataset, cache):
                config = run.training
                own = without(config.command or [f"MODEL={config.model}"], "FEATURES")
                former.append(Trained(config.features, tuple(own), (config.seed,)))
            state = replace(
                state,
                framed=is_framed(cache),
                incomplete=False,
                frames=frames,
                former=former,
            )
    # who has trained already is not sent to `check` first
    if options.dataset in NAMED or dataset.read_only or state.former:
        return state
    findings = read_check(dataset.folder, dataset.table)
    leak = any(found["kind"] == OF_LEAK for found in findings or ())
    # findings that cannot be kept would be asked for again and again
    missing = findings is None and may_write(dataset.folder)
    return replace(state, unchecked=missing, leak=leak)


def next_lines(state: State, dataset: Dataset) -> str:
    """Lines on the next command, and why there is no training yet."""
    command, reason = next_step(state)
    lines = [f"next: {command}"]
    if reason == "first" and (line := pretrained_line(state)):
        lines.append(line)
    if reason == "untrainable":
        lines = []
    elif reason == "check" and state.leak:
        findings = read_check(dataset.folder, dataset.table) or []
        remedy = next(found["remedy"] for found in findings if found["kind"] == OF_LEAK)
        lines.insert(0, f"first: {remedy}")
    if state.untrainable:
        lines.append(f"no training yet: {untrainable(dataset.table)}")
    return "\n".join(lines)


def missing_clips(cache: Cache, features: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a clip lacks one of these features and did not fail."""
    failed = has_failed(cache.folder, cache.clips, features)
    return ~cache.readable(features) & ~failed


def former_runs(
    options: SourceOptions, dataset: Dataset, cache: Cache
) -> "list[RunFolder]":
    """The dataset's runs whose clips or values have changed since, sorted."""
    if not (options.runs / dataset.name).is_dir():
        return []
    # a dataset without runs needs no reader of runs
    from featurestack.results.training_data import changed_runs

    return changed_runs(options.runs, dataset.name, cache)


def summarise_dataset(options: SourceOptions) -> int:
    """The command `data`: print a summary and the faults; 1 if there are any."""
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
    if len(table) and not table["group"].duplicated().any():
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
    if copies := (dataset.table["copy_of"] != "").sum():
        lines.append(f"{copies:,} altered copies, only ever trained on")
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
