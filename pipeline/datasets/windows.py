"""`python -m pipeline windows`: a dataset of windows from recordings and their
annotation tables.

It writes `events.csv` (file, start, end, label) and a CSV of clips (filename, start,
end, label, group). That CSV is a dataset like any other. `results.events.label_windows`
has the rule that gives a window its label.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.options import words
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import tell
from featurestack.features_cache import dataset_name
from featurestack.features_cache.location import NAMED
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    has_tags,
    refuse_class_names,
)
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.events import find_recordings, read_events
from featurestack.pipeline.datasets.load import HELD_WHOLE, STEP
from featurestack.pipeline.datasets.readers import clip_ids
from featurestack.pipeline.options import WindowsCommand
from featurestack.results.events import ALL, BACKGROUND, best_possible, label_windows
from featurestack.storage.files import replace_file

SHORTEST, LONGEST = 0.25, 5.0  # seconds, bounds of the default LENGTH
DIGITS = 6  # decimals of seconds: finer than a sample
PREDICTED_HOP = 0.25  # default HOP of predict, as a share of LENGTH
SHOWN = 8  # at most so many recordings without a table are named
# score of `best_possible` -> its printed name
BEST = {
    "event_recall": "events found",
    "f1_iou": "F1 at IoU 0.3",
    "f1_collar": "F1 within 200 ms",
}


def csv_path(options: WindowsCommand) -> Path:
    """The CSV of clips that the command writes; RequestError if its name is that of a
    known dataset.
    """
    name = dataset_name(str(options.audio), options.name)
    if name in NAMED:
        raise RequestError(
            f"{name} is another dataset: give NAME=, as in NAME=my-{name}"
        )
    return options.data / name / f"{name}.csv"


def default_length(events: pd.DataFrame) -> float:
    """The length in seconds that HELD_WHOLE of the events fit into, at least SHORTEST,
    at most LONGEST.
    """
    most = float((events["end"] - events["start"]).quantile(HELD_WHOLE))
    return round(
        min(max(STEP * math.ceil(round(most / STEP, 6)), SHORTEST), LONGEST), 2
    )


def window_grid(
    seconds: Mapping[str, float], length: float, hop: float
) -> pd.DataFrame:
    """Windows of all recordings: file, start, end; a recording's last window ends where
    the recording ends.

    >>> window_grid({"a.wav": 2.25}, 1, 0.5)["start"].tolist()
    [0.0, 0.5, 1.0, 1.25]
    """
    starts = {}
    for name, lasts in seconds.items():
        last = math.floor((lasts - length) * 10**DIGITS) / 10**DIGITS
        regular = np.round(np.arange(0, last, hop), DIGITS)
        starts[name] = np.append(regular[regular < last], last)
    start = np.concatenate(list(starts.values()))
    files = np.repeat(list(starts), [len(of) for of in starts.values()])
    return pd.DataFrame(
        {"file": files, "start": start, "end": np.round(start + length, DIGITS)}
    )


def label_grid(
    grid: pd.DataFrame,
    events: pd.DataFrame,
    ignored: pd.DataFrame,
    options: WindowsCommand,
) -> pd.DataFrame:
    """The windows with a `label`, and with `left_out`: the reason why a window is not
    used, else ''.
    """
    labels = label_windows(grid, events, longest=options.several == "longest")
    windows = grid.assign(label=labels, left_out="")
    windows.loc[labels == "", "left_out"] = "less than half of an event"
    touched = label_windows(grid, ignored) != BACKGROUND
    windows.loc[touched, "left_out"] = f"an event of IGNORE={options.ignore}"
    if not re.fullmatch(r"all|\d+\.?\d*", options.background):
        raise RequestError(
            f"BACKGROUND={options.background}: expected all, or a number from 0"
        )
    if options.background != "all":
        used = windows["left_out"] == ""
        empty = np.flatnonzero(used & (labels == BACKGROUND))
        most = round(float(options.background) * (used.sum() - len(empty)))
        surplus = np.random.default_rng(options.seed).permutation(empty)[most:]
        windows.iloc[surplus, windows.columns.get_loc("left_out")] = (
            "no event, beyond BACKGROUND"
        )
    return windows


def summary(windows: pd.DataFrame, events: pd.DataFrame) -> str:
    """A table of counts by label, then lines: windows left out, windows with several
    labels.
    """
    used = windows["left_out"] == ""
    clips = windows[used]
    counts = pd.DataFrame(
        {
            "events": events["label"].value_counts(),
            "windows": by_label(clips)["label"].value_counts(),
        }
    )
    rows = [[*row] for row in counts.fillna(0).astype(int).itertuples()]
    left_out = windows["left_out"][~used].value_counts()
    lines = [
        f"left out, {reason}: {counted(number, 'window')}"
        for reason, number in left_out.items()
    ]
    if several := clips["label"].str.contains(SEPARATOR).sum():
        lines.append(
            f"several labels: {counted(several, 'window')}, a dataset of tags;"
            " SEVERAL=longest keeps one"
        )
    return "\n".join([text_table(rows, ["label", *counts]), *lines])


def run(options: WindowsCommand) -> int:
    """The command `windows`: write both tables, print what they hold; 1 if a recording
    cannot be read.

    run(WindowsCommand(audio=Path("recordings"), tables=Path("labels")))
    """
    path = csv_path(options)
    recordings = find_recordings(options.audio)
    seconds = {}
    for name, info in zip(recordings, audio.file_infos(list(recordings.values()))):
        seconds[name] = math.nan
        if isinstance(info, audio.AudioError):
            tell(f"{name}: {info}")
        else:
            seconds[name] = info.frames / info.sample_rate
    annotations = read_events(options.tables, seconds, options.column, options.label)
    annotated = seconds.keys() if options.empty else annotations.annotated
    unannotated = [name for name in seconds if name not in annotated]
    used = {
        name: lasts
        for name, lasts in seconds.items()
        if lasts > 0 and name in annotated
    }
    events = annotations.events[annotations.events["file"].isin(used)]
    labels = {*events["label"]}
    names = {name.strip() for name in options.ignore.split(",") if name.strip()}
    if unknown := sorted(names - labels):
        raise RequestError(
            f"IGNORE={options.ignore}: {nearest('label', unknown[0], labels)}"
        )
    ignored = events[events["label"].isin(names)]
    kept = events.drop(index=ignored.index).reset_index(drop=True)
    if kept.empty:
        raise RequestError(
            f"TABLES={options.tables} holds no event to use in a recording that can be"
            " read"
        )
    length = options.length or default_length(kept)
    hop = options.hop or length / 2
    shortest = min(used, key=used.__getitem__)
    if length > used[shortest]:
        raise RequestError(
            f"LENGTH={length:g}: {shortest} lasts {used[shortest]:.4g} s; expected"
            " windows that every recording can hold: give less, or move short"
            " recordings elsewhere"
        )
    if hop > length:
        raise RequestError(
            f"HOP={hop:g}: expected at most LENGTH={length:g}, so that no event is lost"
        )
    windows = label_grid(window_grid(used, length, hop), kept, ignored, options)
    clips = windows[windows["left_out"] == ""].drop(columns="left_out")
    refuse_class_names(by_label(clips)["label"].unique())
    if (clips["label"] == BACKGROUND).all():
        raise RequestError(
            f"no window with an event is left: IGNORE={options.ignore} is near all of"
            " them"
        )
    if has_tags(clips):  # a window without an event has no label
        clips["label"] = clips["label"].replace(BACKGROUND, "")

    files = {name: str(file.absolute()) for name, file in recordings.items()}
    groups = dict(zip(recordings, clip_ids(recordings)))
    clips = clips.assign(
        filename=clips["file"].map(files), group=clips["file"].map(groups)
    )
    clips = clips[["filename", "start", "end", "label", "group"]]
    text = clips.to_csv(index=False, lineterminator="\n")
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise RequestError(
            f"{path} is there with other windows: remove it to replace it, or give"
            " NAME= to keep both"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    located = kept.assign(file=kept["file"].map(files))
    replace_file(
        path.with_name("events.csv"), located.to_csv(index=False, lineterminator="\n")
    )
    replace_file(path, text)  # written last: a killed command leaves no dataset

    print(
        f"{counted(len(used), 'recording')}, {duration(sum(used.values()))},"
        f" {counted(len(kept), 'event')}"
    )
    print(f"{counted(len(clips), 'window')} of {length:g} s, every {hop:g} s")
    print(summary(windows, kept))
    if unannotated:
        first = ", ".join(unannotated[:SHOWN]) + (
            " …" if len(unannotated) > SHOWN else ""
        )
        number = counted(len(unannotated), "recording")
        print(f"left out, no table: {number}, {first}; EMPTY=1 if they hold no event")
    print(*annotations.notes, sep="\n", end="\n" if annotations.notes else "")
    best = []
    for step in dict.fromkeys((hop, PREDICTED_HOP * length)):
        grid = label_grid(window_grid(used, length, step), kept, ignored, options)
        scores = best_possible(kept, grid, step).loc[ALL]
        best.append([f"{step:g}", *(f"{scores[name]:.2f}" for name in BEST)])
    print(
        "detections, if every window were"
        f" right:\n{text_table(best, ['HOP', *BEST.values()])}"
    )
    print(f"{path}, {path.with_name('events.csv')}")
    print(
        "next:"
        f" {make_command('features', f'DATASET={path}', *words(options, ('data',)))}"
    )
    return int(any(map(math.isnan, seconds.values())))
