"""`make events`, `fs.events(...)`: a dataset of recordings with annotated events.

Recordings are cut into pieces of equal length, so that a cache holds them as clips. A
piece overlaps the one before: the values of a feature near an end of a clip lack what
follows, and the frames there are taken from the other piece.

    <name>.csv   filename, start, end, label (`a;b`: what occurs in the piece), group (a
                 recording, one of the BLOCKS of a single recording, or that of GROUP=)
    events.csv   next to it: events.annotations

No torch.
"""

import itertools
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base import NAMED
from featurestack.base.csv_files import read_csv
from featurestack.base.errors import (
    ALIKE,
    RequestError,
    as_typed,
    closest,
    shortened,
)
from featurestack.base.files import without_dots
from featurestack.base.next_step import State, next_line
from featurestack.base.options import option_words
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, duration, first_names
from featurestack.base.terminal import tell, text_table
from featurestack.cli.commands import command, options_from
from featurestack.cli.help import documented
from featurestack.compare.metrics import Floats, Ints
from featurestack.extras.recordings.annotations import (
    EVENTS_FILE,
    MARK_COLUMNS,
    read_events,
)
from featurestack.extras.recordings.frames import Frames, are_exclusive, on_one_axis
from featurestack.extras.recordings.options import EventsCommand
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.datasets import dataset_name
from featurestack.features_cache.table import SEPARATOR, refuse_class_names
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.folds import with_groups
from featurestack.pipeline.datasets.readers import clip_ids, find_recordings
from featurestack.results.config import StoredChannel

# Seconds of a piece: the first of these that leaves little padding, which recordings
# shorter than a piece have.
LENGTHS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1)
MUCH_PADDING = 0.1
OVERLAP = 1.0  # seconds, at most a quarter of a piece
FEW_EVENTS = 2  # of a label, which may be misspelt
CLEARLY = 5  # times as many events as a misspelt label, for the one that it may mean
SEVERAL = 3  # from so many recordings on, a label in only one of them is remarkable
DIGIT = re.compile(r"\d")
MOST_RARE = 5  # lines on such labels
BLOCKS = 5  # groups of a single recording
DIGITS = 6  # decimals of seconds: finer than a sample
POWERS = ("mel", "gammatone")  # features in decibels of power, which add up as power


# ---- recordings and their pieces


class Measured(NamedTuple):
    """The content of recordings' files."""

    seconds: dict[str, float]  # readable file -> its length
    problems: dict[str, str]  # why the others cannot be read
    truncated: list[str]
    rates: dict[str, int]  # samples a second in the file

    @property
    def of_all(self) -> dict[str, float]:
        """Every recording -> its seconds, NaN if they are not known."""
        return dict.fromkeys(self.problems, math.nan) | self.seconds


def measure_recordings(recordings: Mapping[str, Path], channel: int = 0) -> Measured:
    """Facts about recordings; prints which are truncated, and whose channels are
    averaged.
    """
    measured = Measured({}, {}, [], {})
    mixed = []
    infos = audio.file_infos(list(recordings.values()), truncated=True)
    for name, info in zip(recordings, infos):
        if isinstance(info, audio.AudioError):
            measured.problems[name] = str(info)
            continue
        measured.seconds[name] = info.frames / info.sample_rate
        measured.rates[name] = info.sample_rate
        if info.channels > 1 and not channel:
            mixed.append(name)
        if info.lost != 0:
            measured.truncated.append(name)
    if measured.truncated:
        number = counted(len(measured.truncated), "truncated recording")
        tell(f"{number}, first {measured.truncated[0]}: used up to the end of the file")
    if mixed:
        tell(
            f"{counted(len(mixed), 'recording')} of several channels, first {mixed[0]}:"
            " they are averaged; in features and predict CHANNEL=1 takes only"
            " the first"
        )
    return measured


def piece_length(seconds: Floats) -> float:
    """The length of a piece in seconds for recordings of these lengths."""
    whole = seconds.sum()
    for length in LENGTHS:
        padding = np.maximum(0, length - seconds).sum()
        if padding <= MUCH_PADDING * (whole + padding):
            return length
    return LENGTHS[-1]


def cut_pieces(stretches: pd.DataFrame, length: float) -> pd.DataFrame:
    """The pieces of stretches (file, start, end, group): the last piece of each ends
    where the stretch does.

    >>> rows = pd.DataFrame({"file": ["a.wav"], "start": [0.0], "end": [2.5]})
    >>> cut_pieces(rows, 1.0)["start"].tolist()
    [0.0, 0.75, 1.5]
    """
    step = length - min(OVERLAP, length / 4)
    parts = []
    for row in stretches.to_dict("records"):
        last = max(row["start"], row["end"] - length)
        number = math.ceil(round((last - row["start"]) / step, DIGITS))
        starts = np.append(row["start"] + step * np.arange(number), last)
        starts = np.floor(starts * 10**DIGITS) / 10**DIGITS
        ends = np.minimum(starts + length, row["end"])
        parts.append(pd.DataFrame({**row, "start": starts, "end": ends.round(DIGITS)}))
    return pd.concat(parts, ignore_index=True)


def cut_blocks(seconds: Mapping[str, float], number: int = 1) -> pd.DataFrame:
    """The stretches (file, start, end, group) that folds keep together: `number` blocks
    of each recording.
    """
    rows = []
    for (file, lasts), name in zip(seconds.items(), clip_ids(seconds)):
        ends = [*np.linspace(0, lasts, number + 1)[:-1].round(DIGITS), lasts]
        for start, end in itertools.pairwise(ends):
            rows.append((file, start, end, f"{name}@{start:g}" if number > 1 else name))
    return pd.DataFrame(rows, columns=["file", "start", "end", "group"])


def place(
    clips: pd.DataFrame, offsets: Floats, classes: Sequence[str]
) -> tuple[Ints, NDArray[np.bool_], Frames]:
    """The frames of pieces in their stretches; each is taken from the piece in which it
    lies farther from an end.

    clips    path, start, end, group, fold
    offsets  (T,) seconds of a piece's frames after its start

    The order (n,) of the pieces by stretch and time, which of the frames (n, T) of each
    of these pieces are taken, and these frames from left to right.
    """
    order = np.lexsort((clips["start"], clips["path"], clips["group"]))
    clips = clips.iloc[order]
    start, end = clips["start"].to_numpy(float), clips["end"].to_numpy(float)
    group = clips["group"].to_numpy(str)
    path = clips["path"].to_numpy(str)
    follows = np.append(False, (group[1:] == group[:-1]) & (path[1:] == path[:-1]))
    middle = (start + np.append(0, end[:-1])) / 2
    begin = np.where(follows, middle, start)
    until = np.where(np.append(follows[1:], False), np.append(middle[1:], 0), end)
    times = start[:, None] + offsets  # (n, T)
    own = (times >= begin[:, None]) & (times < until[:, None])
    first = np.flatnonzero(~follows)
    stretches = pd.DataFrame(
        {
            "file": path[first],
            "start": start[first],
            "end": np.maximum.reduceat(end, first),
            "group": group[first],
            "fold": clips["fold"].to_numpy()[first],
            "frames": np.add.reduceat(own.sum(axis=1), first),
        }
    )
    hop = float(np.median(np.diff(offsets)))
    return order, own, Frames(stretches, times[own], hop, tuple(classes))


def label_pieces(pieces: pd.DataFrame, events: pd.DataFrame) -> pd.Series:
    """Each piece's labels, joined by `;`, in the order of the alphabet; '' for none."""
    labels = pd.Series("", pieces.index)
    for file, own in events.groupby("file"):
        names, start, end = (own[name].to_numpy() for name in ("label", "start", "end"))
        for piece in pieces[pieces["file"] == file].itertuples():
            inside = names[(start < piece.end) & (end > piece.start)]
            labels[piece.Index] = SEPARATOR.join(sorted({*inside}))
    return labels


# ---- the command


def csv_path(options: EventsCommand) -> Path:
    """The CSV of clips that the command writes."""
    name = dataset_name(str(options.audio), options.name)
    if name in (*NAMED, Path(EVENTS_FILE).stem):
        raise RequestError(f"{name} has another meaning: give NAME=, as in my-{name}")
    return options.data / name / f"{name}.csv"


def table_texts(
    pieces: pd.DataFrame, events: pd.DataFrame, file_of: Mapping[str, str], path: Path
) -> dict[Path, str]:
    """The content of events.csv and of the dataset's CSV."""
    clips = pieces.assign(filename=pieces["file"].map(file_of))
    events = events[[*MARK_COLUMNS]]
    tables = {
        path.with_name(EVENTS_FILE): events.assign(file=events["file"].map(file_of)),
        # written last: a killed command leaves no dataset
        path: clips[["filename", "start", "end", "label", "group"]],
    }
    return {
        file: table.to_csv(index=False, lineterminator="\n")
        for file, table in tables.items()
    }


def write(
    pieces: pd.DataFrame,
    events: pd.DataFrame,
    recordings: Mapping[str, Path],
    path: Path,
) -> str:
    """Write the dataset's CSV and events.csv, without replacing another dataset that
    has features or was changed. Tables that differ only in the folder of the recordings
    stay; returns that folder, else ''.
    """
    file_of = {name: str(without_dots(file)) for name, file in recordings.items()}
    pieces = pieces.assign(label=label_pieces(pieces, events))
    texts = table_texts(pieces, events, file_of, path)
    stored = {file: file.read_bytes().decode() for file in texts if file.is_file()}
    if stored.keys() == texts.keys() and stored != texts:
        name = pieces["file"].iloc[0]
        before = str(read_csv(path)["filename"].iloc[0]).removesuffix(name)
        moved = {own: f"{before}{own}" for own in recordings}
        if stored == table_texts(pieces, events, moved, path):
            return before.rstrip("/")
    own = OwnFiles(path.parent)
    used = any((path.parent / name).exists() for name in ("features", "folds.csv"))
    for file, text in texts.items():
        if stored.get(file, text) != text and (used or not own.is_own(file.name)):
            tables = " ".join(shlex.quote(str(file)) for file in texts)
            raise RequestError(
                f"{file} is there with other content: give NAME= for another dataset,"
                f" or move the old one's two tables away (mv {tables} FOLDER), which"
                " keeps folds and features"
            )
    own.write({file.name: text for file, text in texts.items()})
    return ""


def events_summary(
    seconds: Mapping[str, float], events: pd.DataFrame, pieces: pd.DataFrame
) -> str:
    """Counts by label, and how long events last."""
    lasts = (events["end"] - events["start"]).groupby(events["label"])
    rows = [[label, f"{len(own):,}", f"{own.median():.3f}"] for label, own in lasts]
    length = (pieces["end"] - pieces["start"]).max()
    exclude = "exclude each other: a frame has one at most"
    if not are_exclusive(events):
        ordered = on_one_axis(events)
        after = np.searchsorted(ordered["start"], ordered["end"])
        within = after - np.arange(1, len(ordered) + 1)  # events that begin in each
        begin = "begins" if within.max() == 1 else "begin"
        exclude = (
            f"overlap: each is found on its own; {counted(within.max(), 'event')}"
            f" {begin} within the event of {ordered['where'].iloc[within.argmax()]}"
        )
    whole = duration(sum(seconds.values()))
    recordings = counted(len(seconds), "recording")
    text = (
        f"{recordings}, {whole}, {counted(len(events), 'event')}\n"
        f"{text_table(rows, ['label', 'events', 'median seconds'])}\n"
        f"labels {exclude}; {counted(len(pieces), 'piece')} of {length:g} s"
    )
    if len(seconds) == 1:
        text += (
            f"\none recording: its {BLOCKS} blocks are groups; their scores are"
            " optimistic for another site"
        )
    return text


def rare_labels(events: pd.DataFrame) -> list[str]:
    """A line for each label that has few events, or that only one of SEVERAL recordings
    has, with a clearly more frequent label that it resembles (note1 does not resemble
    note2), and for each that differs from a more frequent label only in case.
    """
    counts = events.groupby("label")["file"].agg(["size", "nunique", "first"])
    several = events["file"].nunique() >= SEVERAL
    alone = (counts["nunique"] == 1) & several
    rare = (counts["size"] <= FEW_EVENTS) | alone
    commonest = counts["size"].groupby(counts.index.str.casefold()).idxmax()
    misspelt, others = [], []
    for label, size, recordings, first in counts.itertuples():
        where = first if recordings == 1 else counted(recordings, "recording")
        line = f"{label}: {counted(size, 'event')} in {where}"
        clearly = counts["size"] >= CLEARLY * size
        frequent = rare[label] & several & ~rare & clearly
        bare = DIGIT.sub("", label)
        alike = [n for n in counts.index[frequent] if DIGIT.sub("", n) != bare]
        same = commonest[label.casefold()]
        if meant := closest(label, alike, ALIKE) if same == label else same:
            misspelt.append(f"{line}: misspelt for {meant}?")
        elif rare[label]:
            why = "no other recording has it" if alone[label] else "too few to learn"
            others.append(f"{line}: {why}")
    return first_names(misspelt + others, MOST_RARE)


def make_events(options: EventsCommand) -> int:
    """The command `events`: write the dataset, print what it holds; 1 if a recording
    cannot be read.

        make_events(EventsCommand(audio=Path("recordings"), tables=Path("labels")))
    """
    path = csv_path(options)
    recordings = find_recordings(options.audio)
    measured = measure_recordings(recordings)
    for name, problem in measured.problems.items():
        tell(f"{name}: {problem}")
    annotations = read_events(
        options.tables, measured.of_all, options, truncated=measured.truncated
    )
    notes = [*annotations.notes]
    seconds = {name: lasts for name, lasts in measured.seconds.items() if lasts > 0}
    used = annotations.annotated
    known = used | annotations.unchecked
    if silent := [name for name in seconds if name not in known]:
        what, hint = "left out, no table", "; EMPTY=1 if they hold no event"
        if options.empty:
            used, what, hint = used.union(silent), "no table, used as empty", ""
        number = counted(len(silent), "recording")
        notes.append(f"{what}: {number}, {shortened(', '.join(silent))}{hint}")
    seconds = {name: lasts for name, lasts in seconds.items() if name in used}
    events = annotations.events
    events = events[events["file"].isin([*seconds])].reset_index(drop=True)
    if events.empty:
        raise RequestError("no table has an event in a recording that can be read")
    refuse_class_names(events["label"].unique())
    stretches = cut_blocks(seconds, BLOCKS if len(seconds) == 1 else 1)
    lasts = (stretches["end"] - stretches["start"]).to_numpy(float)
    pieces = cut_pieces(stretches, piece_length(lasts))
    if options.group:
        clips = pieces.rename(columns={"file": "filename", "group": "clip_id"})
        clips["path"], clips["train_only"] = clips["filename"], ""
        clips["label"] = label_pieces(pieces, events)
        grouped, of_groups = with_groups(clips, options.group)
        pieces["group"] = grouped["group"]
        notes += of_groups
    given = [f"DATASET={path}", *option_words(options, ("data",))]
    if before := write(pieces, events, recordings, path):
        folder = options.audio if options.audio.is_dir() else options.audio.parent
        given.append(f"AUDIO_DIR={folder}")
        notes.append(
            f"the tables stay: only the folder differs, {before}; AUDIO_DIR= takes"
            f" recordings that are no longer there from {folder}"
        )
    notes += rare_labels(events)
    print(as_typed("\n".join([events_summary(seconds, events, pieces), *notes])))
    print(f"{path}, {path.with_name(EVENTS_FILE)}")
    print(next_line(State(given, incomplete=True, of_clips=False)))
    return int(bool(measured.problems))


@command
@documented(EventsCommand)
def events(
    audio: Path | str,
    tables: Path | str,
    *,
    column: str = "",
    label: str = "",
    data: Path | str = "data",
    empty: bool = False,
    group: str = "",
    name: str = "",
    quiet: bool = False,
) -> Path:
    """`make events`: a dataset of recordings with annotated events.

    Parameters
    ----------
    audio : path
        Recordings: a folder, or one file.
    tables : path
        Annotation tables of Raven or Audacity, or CSV.

    Returns
    -------
    Path
        The dataset's CSV.

    Examples
    --------
    ::

        fs.clips(fs.events("recordings", "labels"))
    """
    options = options_from(EventsCommand, locals())
    make_events(options)
    return csv_path(options)


# ---- backgrounds


def background_recordings(
    folder: str, cache: Cache, channels: Sequence[StoredChannel]
) -> dict[str, Path]:
    """The recordings of another place; RequestError if these features cannot be added
    up, or if the dataset has one of the recordings.
    """
    option = f"background={folder}"
    if wrong := [own.name for own in channels if own.channel.name not in POWERS]:
        raise RequestError(
            f"{option}: {', '.join(wrong)} cannot be mixed; {' and '.join(POWERS)} can,"
            " which are decibels of power"
        )
    files = find_recordings(Path(folder), option)
    own_files = {str(Path(path).resolve()) for path in cache.clips["path"]}
    if own_files & {str(file.resolve()) for file in files.values()}:
        raise RequestError(
            f"{option} holds recordings of the dataset, whose tested events would be"
            " trained on: give recordings of another place"
        )
    return files
