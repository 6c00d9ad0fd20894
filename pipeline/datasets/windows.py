"""`python -m pipeline windows`: a dataset of windows from recordings and their
annotation tables.

It writes a CSV of clips (filename, start, end, label, group), which is a dataset like
any other, and beside it the two files of `results.windows`: the events, and the length
and hop of the windows. `results.windows.label_windows` has the rule that gives a window
its label.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import text_table
from featurestack.features_cache import dataset_name
from featurestack.features_cache.location import NAMED
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    has_tags,
    refuse_class_names,
)
from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.pipeline.datasets.readers import clip_ids
from featurestack.pipeline.options import WindowsCommand
from featurestack.results.detections import ALL, best_possible
from featurestack.results.windows import (
    BACKGROUND,
    EVENTS_FILE,
    HOP_SHARE,
    WINDOWS_FILE,
    block_groups,
    label_windows,
)
from featurestack.storage.files import Lock, replace_file

# seconds, tried for the default LENGTH
LENGTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0)
MOST_TRIED = 2_000_000  # windows of a length that is tried
# share of the best perfect F1 that the default LENGTH reaches: a longer window holds
# more to recognise
NEARLY_BEST = 0.95
RESERVED = {BACKGROUND, ALL}  # labels of windows without an event, of rows of all
DIGITS = 6  # decimals of seconds: finer than a sample
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


def window_grid(
    seconds: Mapping[str, float],
    length: float,
    hop: float,
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
    if options.block:
        first = np.floor(windows["start"] / options.block)
        last = np.ceil((windows["end"] / options.block).round(DIGITS)) - 1
        windows.loc[last > first, "left_out"] = "in two blocks"
    return windows


@dataclass(frozen=True)
class Annotated:
    """The recordings in use and their events."""

    seconds: Mapping[str, float]  # name of each recording -> its length
    events: pd.DataFrame  # EVENT_COLUMNS, those in use
    ignored: pd.DataFrame  # EVENT_COLUMNS, those of IGNORE
    notes: tuple[str, ...]  # lines for the user

    def perfect(self, length: float, hop: float) -> pd.Series:
        """Scores of detections if every window of this length and hop were right."""
        grid = window_grid(self.seconds, length, hop)
        labels = label_windows(grid, self.events)
        touched = label_windows(grid, self.ignored) != BACKGROUND
        used = grid.assign(label=labels)[(labels != "") & ~touched]
        return best_possible(self.events, used.reset_index(drop=True), hop).loc[ALL]

    def perfect_f1(self, length: float) -> float:
        """F1 at IoU 0.3 of all classes if every window of this length were right."""
        return float(self.perfect(length, HOP_SHARE * length)["f1_iou"])


@dataclass(frozen=True)
class Windows:
    """The windows of a dataset, and what they were made from."""

    recordings: Annotated
    length: float  # seconds
    best_length: float  # seconds, by `default_length`
    hop: float  # seconds
    block: float | None  # seconds of a recording that are a group; None for all of it
    grid: pd.DataFrame  # file, start, end, label, `left_out`: a reason or ''

    @property
    def clips(self) -> pd.DataFrame:
        """The windows in use; of tags, one without an event has no label."""
        used = self.grid[self.grid["left_out"] == ""].drop(columns="left_out")
        if has_tags(used):
            used["label"] = used["label"].replace(BACKGROUND, "")
        return used


def annotated_recordings(
    options: WindowsCommand,
    seconds: Mapping[str, float],
) -> Annotated:
    """Recordings that last so many seconds with their events; RequestError if none is
    left, or if a label has a meaning of its own.
    """
    read_events = rooms.load("capabilities", "read events")
    annotations = read_events(
        options.tables, seconds, options.column, options.label, options.missing
    )
    annotated = seconds.keys() if options.empty else annotations.annotated
    used = {
        name: lasts
        for name, lasts in seconds.items()
        if lasts > 0 and name in annotated
    }
    events = annotations.events[annotations.events["file"].isin(used)]
    names = ignored_labels(options, {*events["label"]})
    of_ignored = events["label"].isin(names)
    kept = events[~of_ignored].reset_index(drop=True)
    if kept.empty:
        raise RequestError(
            f"TABLES={options.tables} holds no event to use in a recording that can be"
            " read"
        )
    if reserved := sorted(RESERVED & {*kept["label"]}):
        raise RequestError(
            f"TABLES={options.tables}: the label {reserved[0]!r} has a meaning of its"
            " own here (windows without an event, and rows of all classes); expected"
            f" another word in the tables, or IGNORE={reserved[0]!r}"
        )
    unannotated = [name for name in seconds if name not in annotated]
    notes = (*without_table(unannotated), *annotations.notes)
    return Annotated(used, kept, events[of_ignored], notes)


def plan_windows(options: WindowsCommand, seconds: Mapping[str, float]) -> Windows:
    """The windows of recordings that last so many seconds; RequestError if none is
    left, or if an option does not fit them.
    """
    recordings = annotated_recordings(options, seconds)
    best_length = default_length(recordings)
    length = options.length or best_length
    hop = options.hop or length / 2
    used = recordings.seconds
    shortest = min(used, key=used.__getitem__)
    if length > used[shortest]:
        raise RequestError(
            f"LENGTH={length:g}: {shortest} lasts {used[shortest]:.4g} s; expected"
            " windows that every recording can hold: give less, or move short"
            " recordings elsewhere"
        )
    if options.block and options.block < 2 * length:
        raise RequestError(
            f"BLOCK={options.block:g}: expected at least two windows of"
            f" LENGTH={length:g} in a block: give more seconds"
        )
    if hop > length:
        raise RequestError(
            f"HOP={hop:g}: expected at most LENGTH={length:g}, so that no event is lost"
        )
    grid = window_grid(used, length, hop)
    labelled = label_grid(grid, recordings.events, recordings.ignored, options)
    windows = Windows(recordings, length, best_length, hop, options.block, labelled)
    refuse_class_names(by_label(windows.clips)["label"].unique())
    if windows.clips["label"].isin(["", BACKGROUND]).all():
        raise RequestError(
            f"no window with an event is left: IGNORE={options.ignore} is near all of"
            " them"
        )
    return windows


def ignored_labels(options: WindowsCommand, labels: set[str]) -> set[str]:
    """The labels of IGNORE; RequestError for one that no event has."""
    names = {name.strip() for name in options.ignore.split(",") if name.strip()}
    if unknown := sorted(names - labels):
        raise RequestError(
            f"IGNORE={options.ignore}: {nearest('label', unknown[0], labels)}"
        )
    return names


def default_length(recordings: Annotated) -> float:
    """The longest of LENGTHS whose detections would be nearly as good as those of any
    other length, if every window were right.
    """
    seconds = recordings.seconds.values()
    shortest, whole = min(seconds), sum(seconds)
    scores = {
        length: recordings.perfect_f1(length)
        for length in LENGTHS
        if length <= shortest and whole <= MOST_TRIED * HOP_SHARE * length
    }
    best = max(scores.values(), default=0.0)
    good = [length for length, score in scores.items() if score >= NEARLY_BEST * best]
    return max(good, default=min(LENGTHS[0], shortest))


def without_table(names: Sequence[str]) -> list[str]:
    """A line on the recordings without a table, if there are some."""
    if not names:
        return []
    first = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
    number = counted(len(names), "recording")
    return [f"left out, no table: {number}, {first}; EMPTY=1 if they hold no event"]


def write(windows: Windows, recordings: Mapping[str, Path], path: Path) -> None:
    """Write the dataset's CSV and the files beside it; RequestError if other windows
    are there, or if another process writes them.
    """
    files = {name: str(file.absolute()) for name, file in recordings.items()}
    groups = dict(zip(recordings, clip_ids(recordings)))
    clips = windows.clips
    clips["filename"] = clips["file"].map(files)
    clips["file"] = clips["file"].map(groups)
    clips["group"] = block_groups(clips, windows.block)
    clips = clips[["filename", "start", "end", "label", "group"]]
    text = clips.to_csv(index=False, lineterminator="\n")
    events = windows.recordings.events
    events = events.assign(file=events["file"].map(files))
    described = {
        "length": windows.length,
        "hop": windows.hop,
        "block": windows.block,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    busy = f"{path} is being written by another process: run this again when it ends"
    with Lock(path.with_name(".windows.lock"), busy=busy):
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise RequestError(
                f"{path} is there with other windows: remove it to replace it, or give"
                " NAME= to keep both"
            )
        replace_file(
            path.with_name(EVENTS_FILE), events.to_csv(index=False, lineterminator="\n")
        )
        replace_file(path.with_name(WINDOWS_FILE), json.dumps(described))
        replace_file(path, text)  # written last: a killed command leaves no dataset


def summary(windows: Windows) -> str:
    """Counts by label, windows left out, and detections if every window were right."""
    recordings = windows.recordings
    used = windows.grid["left_out"] == ""
    clips = windows.grid[used]
    counts = pd.DataFrame(
        {
            "events": recordings.events["label"].value_counts(),
            "windows": by_label(clips)["label"].value_counts(),
        }
    )
    rows = [[*row] for row in counts.fillna(0).astype(int).itertuples()]
    seconds = sum(recordings.seconds.values())
    lines = [
        (
            f"{counted(len(recordings.seconds), 'recording')}, {duration(seconds)},"
            f" {counted(len(recordings.events), 'event')}"
        ),
        (
            f"{counted(len(clips), 'window')} of {windows.length:g} s, every"
            f" {windows.hop:g} s"
        ),
        text_table(rows, ["label", *counts]),
    ]
    for reason, number in windows.grid["left_out"][~used].value_counts().items():
        lines.append(f"left out, {reason}: {counted(number, 'window')}")
    if several := clips["label"].str.contains(SEPARATOR).sum():
        lines.append(
            f"several labels: {counted(several, 'window')}, a dataset of tags;"
            " SEVERAL=longest keeps one"
        )
    lines += recordings.notes
    if windows.block:
        blocks = block_groups(clips, windows.block).nunique()
        lines.append(
            f"groups: {counted(blocks, 'block')} of {windows.block:g} s; blocks of one"
            " recording are optimistic for another site"
        )
        if blocks == 1:
            lines.append(
                "one block is one group, which cannot be both trained on and tested:"
                f" give less than BLOCK={windows.block:g}"
            )
    elif len(recordings.seconds) == 1:
        lines.append(
            "one recording is one group, which cannot be both trained on and tested:"
            " BLOCK=120 makes a group of each two minutes"
        )
    best = []
    for hop in dict.fromkeys((windows.hop, HOP_SHARE * windows.length)):
        scores = recordings.perfect(windows.length, hop)
        best.append([f"{hop:g}", *(f"{scores[name]:.2f}" for name in BEST)])
    lines.append("detections, if every window were right:")
    lines.append(text_table(best, ["HOP", *BEST.values()]))
    better = windows.best_length
    reached = recordings.perfect_f1(better)
    own = recordings.perfect_f1(windows.length)
    if own < NEARLY_BEST * reached:
        lines.append(
            f"LENGTH={better:g} would reach {reached:.2f} instead of {own:.2f}:"
            f" {BEST['f1_iou']}, at a quarter of the length from window to window"
        )
    return "\n".join(lines)


def run(options: WindowsCommand) -> int:
    """The command `windows`: write the dataset, print what it holds; 1 if a recording
    cannot be read.

        run(WindowsCommand(audio=Path("recordings"), tables=Path("labels")))
    """
    path = csv_path(options)
    recordings = find_recordings(options.audio)
    seconds = rooms.load("capabilities", "recording seconds")(recordings)
    windows = plan_windows(options, seconds)
    write(windows, recordings, path)
    print(summary(windows))
    print(f"{path}, {path.with_name(EVENTS_FILE)}")
    features = make_command(
        "features", f"DATASET={path}", *option_words(options, ("data",))
    )
    print(f"next: {features}")
    return int(any(map(math.isnan, seconds.values())))
