"""`make windows`, `fs.windows(...)`: annotated recordings as a dataset of windows.

<name>.csv has filename, start, end, label (`a;b`, or empty) and group: an ordinary
dataset of clips with several labels. A window has a label if it holds at least half of
the event, or the event fills at least half of it. If windows follow each other by at
most their length, no event is lost. Windows that only touch an event are left out.
"""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError, see, shortened
from featurestack.base.files import without_dots
from featurestack.base.options import option_words
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, duration, percent
from featurestack.base.shell import next_line
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import tell, text_table
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.extras.recordings import WindowsOptions
from featurestack.extras.recordings.annotations import read_events
from featurestack.features_cache.clip_table import SEPARATOR, refuse_class_names
from featurestack.features_cache.datasets import dataset_name, new_name
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.folds import with_groups
from featurestack.pipeline.datasets.readers import clip_ids, find_recordings

TOUCH = 0.01  # seconds between events that no window tells apart
APART = 0.95  # share of the other neighbours that counting needs apart
FITTING_SHARE = 0.9  # share of the events that fit into a window
LENGTH_RANGE = 0.25, 5.0  # seconds, the range of the default length
DECIMALS = 6  # decimals of seconds: finer than a sample
SECOND_ROUNDING = 1e-9  # seconds
BLOCKS = 5  # groups of a single recording


def measure_recordings(
    recordings: Mapping[str, Path],
) -> tuple[dict[str, float], dict[str, str]]:
    """The seconds of each file that can be read, and why the others cannot."""
    infos = dict(zip(recordings, audio.file_infos([*recordings.values()])))
    seconds: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name, info in infos.items():
        if isinstance(info, audio.AudioError):
            problems[name] = str(info)
        else:
            seconds[name] = info.frames / info.sample_rate
    return seconds, problems


def usual_length(events: pd.DataFrame) -> float:
    """The length of a window in seconds for these events."""
    lasts = events["end"] - events["start"]
    return float(
        np.clip(math.ceil(100 * lasts.quantile(FITTING_SHARE)) / 100, *LENGTH_RANGE)
    )


def neighbours(events: pd.DataFrame) -> pd.DataFrame:
    """The gap in seconds between each event and the next one of its label, and the
    length of the shorter one.
    """
    ordered = events.sort_values(["file", "label", "start"])
    following = ordered.groupby(["file", "label"])[["start", "end"]].shift(-1)
    lasts = (ordered["end"] - ordered["start"]).clip(lower=SECOND_ROUNDING)
    gap = following["start"] - ordered["end"]
    shorter = np.fmin(lasts, following["end"] - following["start"])
    return pd.DataFrame({"gap": gap, "shorter": shorter})[following["start"].notna()]


def kept_apart(pairs: pd.DataFrame, length: float, hop: float) -> float:
    """The share of `neighbours` between which some window has not their label, wherever
    windows begin: a window in the middle of the gap, or half of a hop beside it, holds
    less than half of each event.
    """
    return float(
        (pairs["gap"] > length + hop - pairs["shorter"].clip(upper=length)).mean()
    )


def counting_length(pairs: pd.DataFrame) -> float:
    """The longest window in seconds that, every half of its length, keeps APART of
    `neighbours` apart.
    """
    gap, shorter = pairs["gap"], pairs["shorter"]
    longest = np.where(2 * gap <= shorter, 2 * gap, (gap + shorter) / 1.5)
    return math.floor(1000 * np.quantile(longest, 1 - APART)) / 1000


def remark_on_counts(events: pd.DataFrame, length: float, hop: float) -> list[str]:
    """A line if detections of such windows join many neighbours of one label."""
    every = neighbours(events)
    pairs = every[every["gap"] >= TOUCH]
    if not len(pairs) or kept_apart(pairs, length, hop) >= APART:
        return []
    share = percent(1 - kept_apart(pairs, length, hop), 0)
    counting = counting_length(pairs)
    note = (
        f"{share} % of {len(pairs):,} pairs of neighbouring events with one label lie"
        " too close for these windows: detections join them and are no counts;"
        f" LENGTH={counting:g} HOP={counting / 2:g} keeps {percent(APART, 0)} % apart"
    )
    if touching := len(every) - len(pairs):
        note += f" ({touching:,} more pairs touch, and stay one)"
    return [note + see("howto/windows.md#counting")]


def cut_windows(
    seconds: Mapping[str, float], length: float, hop: float
) -> pd.DataFrame:
    """The windows (file, start, end) of recordings; the last one ends with its
    recording.

    >>> cut_windows({"a.wav": 2.2}, 1.0, 0.5)["start"].tolist()
    [0.0, 0.5, 1.0, 1.2]
    """
    parts = []
    for file, lasts in seconds.items():
        last = max(0.0, lasts - length)
        steps = math.ceil(round(last / hop, DECIMALS))
        starts = np.append(hop * np.arange(steps), math.floor(last * 1e6) / 1e6)
        ends = np.minimum(starts + length, lasts)
        rows = {
            "file": file,
            "start": starts.round(DECIMALS),
            "end": ends.round(DECIMALS),
        }
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def label_windows(
    windows: pd.DataFrame, events: pd.DataFrame
) -> tuple["pd.Series[str]", NDArray[np.bool_]]:
    """Each window's labels, joined by `;`, and whether it holds no label but touches an
    event.
    """
    labels = [set[str]() for _ in windows.index]
    touched = np.zeros(len(windows), bool)
    events_of = dict([*events.groupby("file")])
    for file, of_file in windows.groupby("file"):
        if file not in events_of:
            continue
        start, end = of_file["start"].to_numpy(), of_file["end"].to_numpy()
        for event in events_of[file].itertuples():
            first = np.searchsorted(end, event.start, side="right")
            after = np.searchsorted(start, event.end)
            shared = np.minimum(end[first:after], event.end)
            shared -= np.maximum(start[first:after], event.start)
            lasts = np.minimum(event.end - event.start, (end - start)[first:after])
            places = of_file.index[first:after]
            touched[places] = True
            for place in places[2 * shared >= lasts - SECOND_ROUNDING]:
                labels[place].add(event.label)
    texts = pd.Series([SEPARATOR.join(sorted(each)) for each in labels], windows.index)
    return texts, touched & (texts == "").to_numpy()


def grouped(
    windows: pd.DataFrame, seconds: Mapping[str, float], group: str
) -> tuple["pd.Series[str]", list[str]]:
    """The group of each window, and notes: its recording; what GROUP= finds in its
    name; or a block of a single recording, '' if the window lies in two.
    """
    id_of = dict(zip(seconds, clip_ids(seconds)))
    groups = windows["file"].map(id_of)
    if group:
        clips = windows.rename(columns={"file": "filename"})
        columns = {
            "clip_id": groups,
            "path": windows["file"],
            "train_only": "",
            "group": "",
        }
        clips = clips.assign(**columns)
        table, notes = with_groups(clips, group)
        return table["group"], notes
    if len(seconds) > 1:
        return groups, []
    block = max(seconds.values()) / BLOCKS
    first = (windows["start"] / block + SECOND_ROUNDING).astype(int)
    last = (windows["end"] / block - SECOND_ROUNDING).astype(int)
    blocks = groups + "@" + (first + 1).astype(str)
    note = (
        f"one recording: its {BLOCKS} parts serve as groups, so scores are optimistic"
    )
    return blocks.where(first == last, ""), [f"{note} for another recording"]


def make_windows(options: WindowsOptions) -> int:
    """The command `windows`: write the dataset's CSV and print what it holds; 1 if a
    recording cannot be read.
    """
    path = csv_path(options)
    recordings = find_recordings(options.audio)
    measured, problems = measure_recordings(recordings)
    for name, problem in problems.items():
        tell(f"{name}: {problem}")
    every = dict.fromkeys(problems, math.nan) | measured
    annotations = read_events(options.tables, every, options, recordings)
    notes = [*annotations.notes]
    used = annotations.annotated
    if undecided := [name for name in measured if name in annotations.predicted]:
        number = counted(len(undecided), "recording")
        notes.append(
            f"left out, with a table that only predict wrote: {number},"
            f" {shortened(', '.join(undecided))}"
        )
    if silent := [name for name in measured if name not in {*used, *undecided}]:
        what, hint = "left out, no table", "; EMPTY=1 if they hold no event"
        if options.empty:
            used, what, hint = used.union(silent), "no table, used as empty", ""
        number = counted(len(silent), "recording")
        notes.append(f"{what}: {number}, {shortened(', '.join(silent))}{hint}")
    seconds = {n: lasts for n, lasts in measured.items() if n in used and lasts}
    events = annotations.events[annotations.events["file"].isin([*seconds])]
    if events.empty:
        raise RequestError("no table has an event in a recording that can be read")
    refuse_class_names(events["label"].unique())
    length = options.length or usual_length(events)
    hop = options.hop or length / 2
    if hop > length:
        raise RequestError(f"HOP={hop:g}: expected at most LENGTH={length:g}")
    windows = cut_windows(seconds, length, hop)
    windows["label"], doubtful = label_windows(windows, events)
    windows["group"], of_groups = grouped(windows, seconds, options.group)
    windows = windows[~doubtful & (windows["group"] != "")]
    notes += remark_on_counts(events, length, hop)
    write_windows(windows, recordings, path)
    count = windows["label"].str.split(SEPARATOR).explode().value_counts()
    lasts = (events["end"] - events["start"]).groupby(events["label"])
    rows = [
        (
            label,
            f"{len(lengths):,}",
            f"{lengths.median():.3f}",
            f"{count.get(label, 0):,}",
        )
        for label, lengths in lasts
    ]
    print(
        f"{counted(len(seconds), 'recording')}, {duration(sum(seconds.values()))},"
        f" {counted(len(events), 'event')}; {counted(len(windows), 'window')} of"
        f" {length:g} s every {hop:g} s, {count.get('', 0):,} without a label,"
        f" {doubtful.sum():,} that only touch an event are left out"
    )
    print(text_table(rows, ["label", "events", "median seconds", "windows"]))
    print(*notes, *of_groups, path, sep="\n")
    data = option_words(options, ("data",))
    print(next_line("features", f"DATASET={path}", *data))
    return int(bool(problems))


def csv_path(options: WindowsOptions) -> Path:
    """The CSV that the command writes."""
    name = new_name(dataset_name(str(options.audio), options.name))
    return options.data / name / f"{name}.csv"


def write_windows(
    windows: pd.DataFrame, recordings: Mapping[str, Path], path: Path
) -> None:
    """Write the dataset's CSV. An existing one is replaced only if this command wrote
    it and no feature was extracted from it.
    """
    file_of = {name: str(without_dots(file)) for name, file in recordings.items()}
    table = windows.assign(filename=windows["file"].map(file_of))
    table = table[["filename", "start", "end", "label", "group"]]
    text = csv_text(table)
    if path.is_file() and path.read_bytes() == text.encode():
        return
    own_files = OwnFiles(path.parent)
    used = any((path.parent / name).exists() for name in ("features", "folds.csv"))
    if path.exists() and (used or not own_files.is_own(path.name)):
        raise RequestError(
            f"{path} already exists with other content: give NAME= for another"
            f" dataset, or move the old table away (mv {shlex.quote(str(path))}"
            " FOLDER), which keeps folds and features"
        )
    own_files.write({path.name: text})


@command
@documented(WindowsOptions)
def windows(
    audio: Path | str,
    tables: Path | str,
    *,
    column: str = "",
    label: str = "",
    data: Path | str = "data",
    empty: bool = False,
    group: str = "",
    hop: float | None = None,
    length: float | None = None,
    name: str = "",
    quiet: bool = False,
) -> Path:
    """`make windows`: annotated recordings as a dataset of windows with labels.

    Parameters
    ----------
    audio : path
        Recordings: a folder, or one file.
    tables : path
        Annotation tables in a known format.

    Returns
    -------
    Path
        The dataset's CSV.

    Examples
    --------
    ::

        fs.clips(fs.windows("recordings", "labels", length=0.2, hop=0.1))
    """
    options = options_from(WindowsOptions, locals())
    make_windows(options)
    return csv_path(options)
