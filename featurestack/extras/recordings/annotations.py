"""Annotation tables: sounds with a beginning and an end, as people mark them in
recordings.

A format is a function with the decorator `table_format`; the messages have its name,
and a test looks for it on the page. If a row names no recording, the table's own name
does: `a.txt` and `a.Table.1.selections.txt` belong to `a.wav`.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError, nearest, shortened
from featurestack.base.files import is_file
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, listed
from featurestack.base.registry import Registry
from featurestack.base.shell import quoted
from featurestack.base.table_files import (
    FILE_COLUMNS,
    SEPARATOR_LINE,
    TEXT_TABLES,
    cell_number,
    parse_csv,
    read_text,
)
from featurestack.extras.recordings import DETECTED, LabelOptions
from featurestack.features_cache import identity
from featurestack.features_cache.clip_table import SEPARATOR
from featurestack.features_cache.datasets import beside_hint
from featurestack.pipeline.datasets.readers import files_below
from featurestack.predict.predict_audio import ANSWERS_RECORD as PREDICTED

EVENT_COLUMNS = ("file", "start", "end", "label")
# Column -> its names in tables, in lower case, without units in brackets and
# punctuation. If a table has several of these names, the first one listed here counts.
ANNOTATION_COLUMNS = {
    "file": FILE_COLUMNS,
    "begin file": "beginfile",
    "file offset": "fileoffset",
    "start": (
        "start starttime starts startseconds startsec begin begintime onset onsets"
        " onsettime tmin mint"
    ),
    "end": (
        "end endtime ends endseconds endsec stop stoptime offset offsets offsettime"
        " tmax maxt"
    ),
    "label": (
        "label labels annotation annotations species commonname tags tag eventlabel"
        " class manualid scientificname"
    ),
}
# a unit at the end of a header, in brackets or after a blank or _
UNIT = re.compile(r"[\s_(\[]+(s|sec|seconds|ms|hz)[)\]]?\s*$", re.IGNORECASE)
# columns of a table's rows: '' or NaN for what a row lacks, inf for a time that is no
# number; `times` has both as they are in the table
ROWS = (*EVENT_COLUMNS, "times")
# decimals of a second that sums and products of a table's numbers keep
TIME_DECIMALS = 9
OTHER_TABLES = "tables about other recordings of these names, left out"
UNCORRECTED = (
    "tables that predict wrote, left out (if one is right as it is, save it under"
    " another name, as in dawn.txt for dawn.wav)"
)
POINT = 0.1  # seconds that a mark without length lasts
Noted = defaultdict[str, dict[str, None]]  # remark -> tables, lines or files


class Annotations(NamedTuple):
    """The content of annotation tables."""

    events: pd.DataFrame  # EVENT_COLUMNS by file and start, one label a row
    annotated: frozenset[str]  # recordings with a table or a row, even without an event
    predicted: frozenset[str]  # those with a table that predict wrote, left out
    notes: tuple[str, ...]  # remarks for the user, such as tables without a recording


class UnknownTable(RequestError):
    """A file that is in no known format."""


class Recordings:
    """Finds recordings by the names that tables give them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.named = defaultdict[str, list[str]](list)  # by name, with and without .wav
        for path in paths:
            name = plain_path(path)
            for text in {name.name, name.stem}:
                self.named[text].append(path)

    def find(self, name: PurePosixPath, where: str) -> str:
        """The recording of this name whose folders agree best; '' without one."""
        fitting = self.named.get(name.name) or self.named.get(name.stem) or [""]
        whole = [path for path in fitting if plain_path(path).name == name.name]
        fitting = whole or fitting
        for depth in range(2, len(name.parts) + 1):
            folders = name.parts[-depth:-1]
            closer = [p for p in fitting if plain_path(p).parts[-depth:-1] == folders]
            fitting = closer or fitting
        if len(fitting) > 1:
            raise RequestError(
                f"{where}: {name} may be {' or '.join(fitting[:3])}; expected one"
                " recording of this name: write its folder into the table, or rename"
                " the others"
            )
        return fitting[0]

    def of_table(self, path: Path, name: str) -> str:
        """The recording with a table's name without its extensions, else ''."""
        words = plain_path(name)
        while words.suffix:
            words = words.with_suffix("")
            if recording := self.find(words, str(path)):
                return recording
        return ""


def plain_path(text: str) -> PurePosixPath:
    """A path with all accents and slashes in one form; disks and tables use two."""
    return PurePosixPath(unicodedata.normalize("NFC", text.replace("\\", "/")))


def read_events(
    tables: Path,
    recordings: Mapping[str, float],
    options: LabelOptions,
    places: Mapping[str, Path] | None = None,
) -> Annotations:
    """Read the events of annotation tables; a RequestError names the file and the line.

    recordings  the path of each recording below its folder -> its seconds, NaN if they
                are not known
    places      the same paths -> the files; then tables about other recordings of these
                names are left out
    """
    noted: Noted = defaultdict(dict)
    paths, uncorrected = table_paths(tables)
    noted[UNCORRECTED] = dict.fromkeys(uncorrected)
    known = Recordings(recordings)
    predicted = {known.of_table(path, name) for name, path in uncorrected.items()}
    parts = [pd.DataFrame(columns=[*ROWS, "where"])]
    annotated = set[str]()
    absent = "recordings that are not in AUDIO=, left out"
    for name, path in paths.items():
        recording = known.of_table(path, name)
        if not recording and len(paths) == len(recordings) == 1:
            (recording,) = recordings
        try:
            rows = read_annotations(path, options)
        except UnknownTable:
            if recording or len(paths) == 1:
                raise
            rows = parts[0]  # any other file of the folder
        if not recording and not rows["file"].any():
            noted["tables that match no recording, left out"][name] = None
            continue
        where = [f"{path}, line {line}" for line in rows.index]
        files = [
            known.find(plain_path(file), place) if file else recording
            for file, place in zip(rows["file"], where)
        ]
        if places:
            pairs = zip(files, rows["file"])
            about = {pair: is_about(path, *pair, places) for pair in {*pairs}}
            if not all(about.values()):
                noted[OTHER_TABLES][name] = None
                continue
        named = zip(rows["file"], files)
        noted[absent] |= {name: None for name, file in named if not file}
        rows = rows.assign(file=files, where=where)
        parts.append(rows[rows["file"] != ""])
        annotated |= {recording, *files} - {""}
    if not annotated:
        first = next(iter(paths))
        wanted = next(iter(noted[absent]), "no recording")
        if noted[OTHER_TABLES]:
            wanted = "another recording of this name"
        raise RequestError(
            f"no table of TABLES={tables} matches a recording: the first table is"
            f" {first}, which names {shortened(wanted)}, the first recording"
            f" {next(iter(recordings))}; expected names as in a.wav and a.txt, or a"
            " column file"
        )
    rows = pd.concat(parts, ignore_index=True)
    events = events_in(rows, recordings, options.label, noted)
    notes = [
        f"{remark}: {len(of):,}, the first {shortened(next(iter(of)))}"
        for remark, of in noted.items()
        if of
    ]
    left_out = frozenset(predicted - annotated - {""})
    return Annotations(events, frozenset(annotated), left_out, tuple(notes))


def is_about(
    table: Path, recording: str, named: str, places: Mapping[str, Path]
) -> bool:
    """Whether a table is about a recording and not about another one of its name, by
    the content of the file that it names, or by the recordings whose predictions are in
    its folder.
    """
    content = identity.hash_or_blank(places[recording]) if recording else ""
    if not content:
        return True
    if Path(named).is_absolute() and is_file(named):
        return identity.hash_or_blank(named) == content
    for folder in table.absolute().parents:
        if owner := OwnFiles(folder, PREDICTED).identity:
            sounds = identity.Identity.parse(owner).sounds
            some = len(sounds) >= identity.SAMPLE
            return some or content[: identity.DIGITS] in sounds
    return True


def table_paths(tables: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The tables of TABLES=, by their names below it, and those of them that predict
    wrote and nobody has corrected, by the records of the folders below and above it.
    """
    if not tables.exists():
        hint = beside_hint(tables, TEXT_TABLES)
        raise RequestError(f"TABLES={tables} does not exist{hint}")
    if tables.is_file():
        return {tables.name: tables}, {}
    names = [n for n in files_below(tables) if Path(n).suffix.lower() in TEXT_TABLES]
    paths = {name: tables / name for name in names}
    uncorrected = {}
    below = [record.parent.absolute() for record in tables.rglob(DETECTED)]
    for folder in (*below, *tables.absolute().parents):
        predicted = OwnFiles(folder, DETECTED)
        written = {folder / n for n in filter(predicted.is_own, predicted.hashes)}
        for name in [n for n, path in paths.items() if path.absolute() in written]:
            uncorrected[name] = paths.pop(name)
    if not paths:
        raise RequestError(
            f"TABLES={tables} holds no table of annotations: expected files in"
            f" {', '.join(TEXT_TABLES)}, and not only tables that predict wrote"
        )
    return paths, uncorrected


def events_in(
    rows: pd.DataFrame,
    recordings: Mapping[str, float],
    unnamed: str,
    noted: Noted,
) -> pd.DataFrame:
    """The events in rows, which have ROWS and `where`, the place of each for messages;
    `unnamed` is the label of events that have none.
    """
    timeless = rows["start"].isna() & rows["end"].isna()  # of a silent recording
    lost = rows["where"][timeless & (rows["label"] != "")]
    noted["events without a time, left out"] |= dict.fromkeys(lost)
    rows = rows[~timeless].astype({"start": float, "end": float})
    seconds = rows["file"].map(recordings).astype(float)
    point = rows["start"] == rows["end"]
    noted[f"marks without a length, made {POINT} s long"] |= dict.fromkeys(
        rows["where"][point]
    )
    start = rows["start"].mask(point, (rows["start"] - POINT / 2).clip(lower=0))
    end = rows["end"].mask(point, rows["end"] + POINT / 2)
    start, end = start.round(TIME_DECIMALS), end.round(TIME_DECIMALS)
    possible = (start >= 0) & (start <= end) & ~(start >= seconds) & (end < np.inf)
    if not possible.all():
        row = rows[~possible].iloc[0]
        raise RequestError(
            f"{row['where']}: the event lasts from {row['times']}; expected a start and"
            f" an end, in seconds, within the {recordings[row['file']]:.6g} s of"
            f" {row['file']}{others(rows['where'][~possible])}; columns of milliseconds"
            " are called start_ms and end_ms"
        )
    longer = end > seconds
    cut = "events that outlast their recording, cut at its end"
    noted[cut] |= dict.fromkeys(rows["where"][longer])
    labels = rows["label"].replace("", unnamed).str.split(SEPARATOR)
    rows = rows.assign(start=start, end=np.fmin(end, seconds), label=labels)
    rows = rows.explode("label")
    rows["label"] = rows["label"].str.strip()
    unlabelled = rows["where"][rows["label"] == ""]
    if len(unlabelled):
        raise RequestError(
            f"{unlabelled.iloc[0]}: the event has no label; write one, or give LABEL="
            f" for such events{others(unlabelled)}"
        )
    events = rows[[*EVENT_COLUMNS]].drop_duplicates()
    return events.sort_values([*EVENT_COLUMNS], ignore_index=True)


def others(places: "pd.Series[str]") -> str:
    """How many more lines have the fault of the first one, as the end of a message."""
    more = len(places) - 1
    return f"; {counted(more, 'more such line')}" if more else ""


# ---- one table

# (path, text, options) -> ROWS of a table, indexed by line
Reader = Callable[[Path, str, LabelOptions], pd.DataFrame]


class Format(NamedTuple):
    """A format of annotation tables."""

    shape: str  # what a table looks like, for messages
    recognises: Callable[[str], bool]  # whether a first line that is not empty is of it
    read: Reader


FORMATS: Registry[Format] = Registry("format of annotation tables")  # tried in order


def table_format(
    name: str, shape: str, recognises: Callable[[str], bool]
) -> Callable[[Reader], Reader]:
    """Decorator: register the function that reads this format."""

    def register(read: Reader) -> Reader:
        FORMATS[name] = Format(shape, recognises, read)
        return read

    return register


def read_annotations(path: Path, options: LabelOptions) -> pd.DataFrame:
    """ROWS of a table in any known format, indexed by line."""
    text = read_text(path)
    if not text.strip():
        return pd.DataFrame(columns=[*ROWS])
    first, *more = text.lstrip("\n").split("\n", 2)
    if re.fullmatch(SEPARATOR_LINE, first.strip()) and more:
        first = more[0]
    for known in FORMATS.values():
        if known.recognises(first):
            return known.read(path, text, options)
    expected = "; ".join(f"{name}: {known.shape}" for name, known in FORMATS.items())
    raise UnknownTable(
        f"{path}, line 1: {first[:200]!r} begins no table of a known format; expected"
        f" one of {expected}"
    )


def seconds_of(text: str) -> float:
    """The seconds in a cell, NaN for a blank one, inf if it is not a number."""
    number = cell_number(text) if text else math.nan
    return math.inf if number is None else number


def times_of(start: str, end: str) -> str:
    return f"{shortened(start)!r} to {shortened(end)!r}"


def begins_with_a_number(first: str) -> bool:
    return cell_number(first.partition("\t")[0]) is not None


@table_format("Audacity", "start TAB end TAB label, no header", begins_with_a_number)
def label_track(path: Path, text: str, options: LabelOptions) -> pd.DataFrame:
    """The events of a label track; a label without an end is a point, and a line that
    begins with a backslash has frequencies.
    """
    rows = {}
    for line, content in enumerate(text.split("\n"), 1):
        first, *cells = map(str.strip, content.split("\t"))
        if first.startswith("\\") or not (first or any(cells)):
            continue
        last = first
        if cells and (cells[0] == "" or cell_number(cells[0]) is not None):
            last = cells.pop(0) or first
        label = cells[0] if cells else ""
        times = seconds_of(first), seconds_of(last)
        rows[line] = ("", *times, label, times_of(first, last))
    return pd.DataFrame(rows.values(), [*rows], [*ROWS])


def has_times(first: str) -> bool:
    columns = role_columns(re.split(r"[\t,;]", first.replace('"', "")))
    return bool(columns["start"] and columns["end"])


@table_format("Raven", "a header with Begin Time (s), End Time (s)", has_times)
@table_format("CSV", "a header with file, start, end, label, in s or ms", has_times)
def table_rows(path: Path, text: str, options: LabelOptions) -> pd.DataFrame:
    """The rows below a header; a row without times is about a silent recording. Raven
    writes a row for each view of a selection; in its table about several files, `Begin
    File` and `File Offset (s)` say where a selection begins.
    """
    table = parse_csv(path, text)
    column = find_columns(path, table, options)
    cells = {role: table[name] if name else "" for role, name in column.items()}
    rows = pd.DataFrame(cells, table.index).map(str.strip)
    rows = rows[(rows != "").any(axis=1)]
    rows["times"] = [*map(times_of, rows["start"], rows["end"])]
    for role in ("start", "end", "file offset"):
        _, unit = plain_name(column[role])
        rows[role] = [
            round(seconds_of(cell) * unit, TIME_DECIMALS) for cell in rows[role]
        ]
    rows["file"] = [  # Raven's Begin Path may be only a folder
        file if file.endswith(name) else str(PurePosixPath(file, name))
        for file, name in zip(rows["file"], rows["begin file"])
    ]
    rows["end"] = rows["end"].fillna(rows["start"])
    moved = (rows["file offset"] - rows["start"]).fillna(0.0)
    for role in ("start", "end"):
        rows[role] = (rows[role] + moved).round(TIME_DECIMALS)
    return rows[[*ROWS]]


def plain_name(header: str) -> tuple[str, float]:
    """A header in lower case without unit and punctuation, and the unit in seconds.

    >>> plain_name("Begin Time (ms)"), plain_name("onset_s")
    (('begintime', 0.001), ('onset', 1.0))
    """
    unit = UNIT.search(header)
    bare = header[: unit.start()] if unit else header
    seconds = 0.001 if unit and unit[1].lower() == "ms" else 1.0
    return re.sub(r"[\W_]+", "", bare).casefold(), seconds


def role_columns(header: Sequence[str]) -> dict[str, str]:
    """The column of a header for each key of ANNOTATION_COLUMNS, '' if it has none."""
    plain = {plain_name(name)[0]: name for name in reversed(header)}
    return {
        role: next((plain[name] for name in names.split() if name in plain), "")
        for role, names in ANNOTATION_COLUMNS.items()
    }


def find_columns(
    path: Path, table: pd.DataFrame, options: LabelOptions
) -> dict[str, str]:
    """This table's column for each key of ANNOTATION_COLUMNS, '' if it has none."""
    header = [*table]
    column = role_columns(header)
    if options.column:
        if options.column not in header:
            unknown = nearest("column", options.column, header)
            given = quoted(f"COLUMN={options.column}")
            raise RequestError(f"{path}, line 1: {given}: {unknown}")
        column["label"] = options.column
    if len(table) and not (column["label"] or options.label):
        raise RequestError(
            f"{path}, line 1: no column is known to hold labels (label, Annotation,"
            f" Species, …): give COLUMN=, one of {listed(header)}, or LABEL=, the same"
            " for all events"
        )
    return column
