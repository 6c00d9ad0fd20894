"""`make data ALTER=`: a dataset's clips, and altered copies of them as audio files.

    DATA/NAME/NAME.csv       the clips where they are, then their copies
    DATA/NAME/audio/ID~1.wav the first copy of the clip ID, mono, 32-bit float

A copy has its original's label, group and fold, and the mark that keeps it out of
every test. Its alteration depends only on ALTER, SEED, the clip's id and the copy's
number, so that the same command writes the same bytes, and replaces nothing.
"""

import io
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, size
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import dataset_name, has_events
from featurestack.features_cache.table import WINDOW_COLUMNS, has_windows, originals
from featurestack.pipeline import audio
from featurestack.pipeline.alterations import (
    ALTERATIONS,
    apply_alteration,
    draw_alteration,
)
from featurestack.pipeline.datasets.load import LONGEST, Dataset, load
from featurestack.storage.files import making, staged

if TYPE_CHECKING:
    from featurestack.pipeline.options import DataOptions

WRITTEN = ("filename", "label", "category", "fold", "group", "train_only", "alteration")


def write_altered(options: "DataOptions") -> "DataOptions":
    """Write the altered dataset of these options; the options that name it."""
    chosen = chosen_alterations(options.alter)
    dataset = load(replace(options, name=""))
    name = dataset_name(options.name or f"{dataset.name}-altered")
    refuse_source(dataset, name)
    folder = options.data / name
    copies = copies_of(dataset, options.copies, chosen, options.seed)
    file = f"{name}.csv"
    with making(folder), staged(folder, ("audio", file)) as stage:
        (stage / "audio").mkdir()
        stored = size(4 * dataset.sample_rate * seconds_of(copies))
        print(f"{name}: {counted(len(copies), 'altered clip')}, {stored}", flush=True)
        jobs = (
            delayed(write_copy)(stage, copy, dataset) for copy in copies.itertuples()
        )
        threads = Parallel(os.cpu_count(), backend="threading", return_as="generator")
        bar = progress(threads(jobs), total=len(copies), label="alter", unit="clips")
        copies = copies[list(bar)]
        table_of(dataset, copies).to_csv(stage / file, index=False)
    altered = replace(options, dataset=str(folder / file), name="", group="", label="")
    return replace(altered, alter="", archive="", audio_dir="")


def chosen_alterations(alter: str) -> list[str]:
    """The alterations of a list such as `pitch,stretch`; RequestError for others."""
    names = {name for name in re.split(r"[,\s]+", alter) if name}
    chosen = sorted(name for name in names if ALTERATIONS[name])
    if not chosen:
        raise RequestError(
            f"ALTER={alter} names no alteration; expected some of"
            f" {','.join(ALTERATIONS)}"
        )
    return chosen


def refuse_source(dataset: Dataset, name: str) -> None:
    """RequestError for a dataset that cannot be altered, or not under this name."""
    if has_events(dataset.source):
        raise RequestError(
            f"{dataset.name} has events within recordings, whose places an alteration"
            " would move: ALTER= takes clips with labels"
        )
    if not dataset.has_audio:
        raise RequestError(f"{dataset.folder} has no audio to alter")
    if name == dataset.name:
        raise RequestError(
            f"NAME={name} is the name of the dataset itself: give the altered one a"
            f" name of its own, as NAME={name}-altered"
        )


def copies_of(
    dataset: Dataset, number: int, chosen: list[str], seed: int
) -> pd.DataFrame:
    """Rows of `number` copies of every original, all first ones before the second."""
    clips = originals(dataset.table)
    rounds = []
    for copy in range(1, number + 1):
        stems = clips["clip_id"].str.replace("/", "_") + f"~{copy}"
        texts = [draw_alteration(clip, copy, chosen, seed) for clip in clips["clip_id"]]
        files = "audio/" + stems + ".wav"
        rounds.append(clips.assign(filename=files, train_only="1", alteration=texts))
    return pd.concat(rounds, ignore_index=True)


def seconds_of(copies: pd.DataFrame) -> float:
    """Seconds of the copies' audio."""
    files = dict(zip(copies["path"], audio.file_infos(copies["path"].tolist())))
    seconds = 0.0
    for copy in copies.itertuples():
        info = files[copy.path]
        if isinstance(info, audio.Info):
            whole = info.frames / info.sample_rate
            seconds += min(copy.end - copy.start or whole, LONGEST)
    return seconds


def table_of(dataset: Dataset, copies: pd.DataFrame) -> pd.DataFrame:
    """The CSV: the dataset's clips by their absolute paths, then the copies."""
    clips = dataset.table.assign(filename=dataset.table["path"], alteration="")
    columns = [*WRITTEN]
    if has_windows(clips):
        places = [*WINDOW_COLUMNS]
        columns += places
        clips[places] = (
            clips[places].astype(object).where(clips[["end"]].to_numpy() > 0, "")
        )
        copies = copies.assign(start="", end="")
    table = pd.concat([clips, copies])[columns]
    return table if table["category"].all() else table.drop(columns="category")


def write_copy(folder: Path, copy: Any, dataset: Dataset) -> bool:
    """Write one copy; whether its original can be read."""
    from scipy.io import wavfile

    rate, channel = dataset.sample_rate, dataset.audio_channel
    try:
        span = copy.start, copy.end
        y = audio.decode(copy.path, rate, LONGEST, span, channel)
    except audio.AudioError:
        return False
    altered = apply_alteration(y[: round(LONGEST * rate)], rate, copy.alteration)
    # the channel that is read of the originals
    altered = np.repeat(altered[:, None], max(1, channel), axis=1)
    content = io.BytesIO()  # no time in it, as libsndfile writes beside float samples
    wavfile.write(content, rate, altered)
    (folder / copy.filename).write_bytes(content.getvalue())
    return True
