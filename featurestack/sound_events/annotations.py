"""Annotation tables: sounds with a beginning and an end, as people mark them in
recordings.

    Raven      selection tables: a selection has a row for each view; if a table is
               about several files, `Begin File` and `File Offset (s)` say where a
               selection begins
    Audacity   label tracks: start TAB end TAB label, no header; lines that begin with
               a backslash have frequencies
    CSV, TSV   file, start, end, label, under the names in COLUMNS

Frequencies are kept for the tables of detections: a model of frames has none.

If a row names no recording, the table's own name does: `a.txt` and
`a.Table.1.selections.txt` belong to `a.wav`. Times are in seconds, or in milliseconds
if a header says so: `Start (ms)`, `onset_ms`. Another unit is refused. A mark without
an end, or whose end is its start, is an event of POINT seconds around it.

`make events` writes them as events.csv next to the table of clips: MARK_COLUMNS, with
absolute paths; `read_marks` reads it. Tables that `predict` wrote and nobody corrected
are no annotations: a folder's are left out, those of its own folder `raven` are named.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.commandline.errors import (
    RequestError,
    make_command,
    nearest,
    quoted,
    shortened,
)
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import EVENT_COLUMNS
from featurestack.features_cache.table import SEPARATOR
from featurestack.pipeline.audio import AUDIO_FILE
from featurestack.pipeline.datasets.layouts import TABLE_ENDINGS, files_below
from featurestack.results.run_folder import damage_named
from featurestack.sound_events.options import RECORD, LabelOptions
from featurestack.storage.csv_files import (
    FILE_COLUMNS,
    cell_number,
    parse_csv,
    read_text,
)
from featurestack.storage.own_files import OwnFiles

EVENTS_FILE = "events.csv"
# its columns: frequencies in Hz, and the column of the label in its table
MARK_COLUMNS = (*EVENT_COLUMNS, "low", "high", "column")
# Column -> its names in tables, in lower case, without units in brackets and
# punctuation. If a table has several of these names, the first one listed here counts.
COLUMNS = {
    "file": FILE_COLUMNS,
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
    "low": "lowfreq lowfrequency freqlow minfreq fmin low",
    "high": "highfreq highfrequency freqhigh maxfreq fmax high",
}
KNOWN = frozenset(" ".join(COLUMNS.values()).split())
TIMES = ("start", "end", "file offset")
# unit in a header, in lower case -> seconds
SECONDS = {"": 1.0, "s": 1.0, "ms": 0.001, "sec": 1.0, "seconds": 1.0}
DIGITS = 9  # decimals of a second that sums and products of a table's numbers keep
POINT = 0.1  # seconds
UNCHANGED = LabelOptions()


@dataclass(frozen=True)
class Annotations:
    """The content of annotation tables.

    `events` has MARK_COLUMNS, sorted by file and start; start and end are seconds;
    unknown frequencies are NaN.
    """

    events: pd.DataFrame
    # recordings that have a table, or a row in one, even without an event
    annotated: frozenset[str]
    notes: tuple[str, ...]  # remarks for the user, such as tables without a recording


class Row(NamedTuple):
    """A row of a table: '' or NaN for what it lacks."""

    where: str  # table and line, for messages
    file: str
    start: float
    end: float
    label: str
    low: float = math.nan  # Hz
    high: float = math.nan
    column: str = ""  # of the label


class UnknownTable(RequestError):
    """A file that is in no known format."""


class Recordings:
    """Finds recordings by the names that tables give them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self.by_end = defaultdict[tuple[str, ...], list[str]](list)
        for path in self.paths:
            *folders, name = plain_path(path).parts
            for last in {name, PurePosixPath(name).stem}:
                for depth in range(len(folders) + 1):
                    self.by_end[*folders[depth:], last].append(path)

    def find(self, name: PurePosixPath, where: str) -> str:
        """The recording of this name whose folders agree best; '' without one."""
        for depth in range(len(name.parts)):
            *folders, last = name.parts[depth:]
            fitting = self.by_end.get((*folders, last), [])
            fitting = fitting or self.by_end.get((*folders, name.stem), [])
            if len(fitting) > 1:
                raise RequestError(
                    f"{where}: {name} may be {' or '.join(fitting[:3])}; expected one"
                    " recording of this name: write its folder into the table, or"
                    " rename the others"
                )
            if fitting:
                return fitting[0]
        return ""

    def of_table(self, path: Path, name: str, alone: bool) -> str:
        """The recording of a table's own name without its extensions, '' without one;
        a table that is `alone` may have any name for the only recording.
        """
        if alone and len(self.paths) == 1:
            return self.paths[0]
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
    options: LabelOptions = UNCHANGED,
) -> Annotations:
    """Read the events of annotation tables.

    recordings  the path of each recording below its folder -> its seconds, NaN if they
                are not known

    Rows of other recordings are left out and remarked. An event that is listed twice
    counts once. An event that lasts beyond its recording ends with it. A RequestError
    about a row names the file and the line.
    """
    paths = annotation_tables(tables)
    known = Recordings(recordings)
    events: list[tuple[object, ...]] = []
    annotated = set[str]()
    noted = defaultdict[str, dict[str, None]](dict)  # remark -> tables, lines or files
    detections, left_out = own_detections(tables, paths)
    if detections:
        remark = "tables of detections by predict, as they are"
        noted[f"{remark}, left out" if left_out else remark] = detections
    if left_out:
        paths = {name: path for name, path in paths.items() if name not in detections}
    for name, path in paths.items():
        own = known.of_table(path, name, alone=len(paths) == 1)
        rows = read_rows(path, options, is_table=bool(own or len(paths) == 1))
        if not own and not any(row.file for row in rows):
            noted["tables that fit no recording"][name] = None
            continue
        if not rows:
            noted["tables without an event"][name] = None
        annotated |= {own} - {""}
        for row in rows:
            file = known.find(plain_path(row.file), row.where) if row.file else own
            if not file:
                missing = noted["recordings that are not in AUDIO=, left out"]
                missing[row.file or row.where] = None
                continue
            annotated.add(file)
            seconds = recordings[file]
            if row.start == row.end:
                row = around(row)
            if row.end > seconds:
                noted["events that end with their recording"][row.where] = None
            for own_label in labels_of_event(row, options.label, file, seconds):
                span = row.start, min(row.end, seconds)
                events.append((file, *span, own_label, *row[5:]))
    if not annotated:
        first, path = next(iter(paths.items()))
        raise RequestError(
            f"no table of TABLES={tables} fits a recording: the first table is {first},"
            f" the first recording {next(iter(recordings))}; expected names as in a.wav"
            f" and a.txt, or a column file{remedy_of_files(path)}"
        )
    remarks = [
        f"{remark}: {len(of):,}, the first {shortened(next(iter(of)))}"
        for remark, of in noted.items()
    ]
    table = pd.DataFrame(events, columns=[*MARK_COLUMNS])
    table = table.astype(dict.fromkeys(("start", "end", "low", "high"), float))
    table = table.drop_duplicates([*EVENT_COLUMNS])  # Raven's views of one event
    table = table.sort_values([*EVENT_COLUMNS], ignore_index=True)
    return Annotations(table, frozenset(annotated), tuple(remarks))


def annotation_tables(tables: Path) -> dict[str, Path]:
    """The tables of TABLES=, by their names below it."""
    if not tables.is_dir():
        return {tables.name: tables}
    names = [n for n in files_below(tables) if Path(n).suffix.lower() in TABLE_ENDINGS]
    if not names:
        raise RequestError(
            f"TABLES={tables} holds no table: expected files in"
            f" {', '.join(TABLE_ENDINGS)}"
        )
    return {name: tables / name for name in names}


def own_detections(
    tables: Path, paths: Mapping[str, Path]
) -> tuple[dict[str, None], bool]:
    """The tables that `predict` wrote and nobody has changed, and whether they lie
    among others: in TABLES= itself, not in a folder of `predict` that it names.
    """
    within = [file.parent for file in tables.rglob(RECORD)] if tables.is_dir() else []
    records = {place: OwnFiles(place, RECORD) for place in within or tables.parents}
    own = {
        name: None
        for name, path in paths.items()
        for place, record in records.items()
        if path.is_relative_to(place)
        and record.is_own(path.relative_to(place).as_posix())
    }
    return own, bool(within)


def read_rows(path: Path, options: LabelOptions, *, is_table: bool) -> list[Row]:
    """The rows of a table in any known format; a file that may be none has none."""
    text = read_text(path)
    first = text.lstrip("\n").partition("\n")[0]
    if cell_number(first.partition("\t")[0]) is not None:
        return label_track(path, text)
    try:
        return list(table_rows(path, text, options)) if text.strip() else []
    except UnknownTable:
        if is_table:
            raise
        return []


def around(point: Row) -> Row:
    """The event of POINT seconds around a mark without length."""
    start = min(point.start, max(0.0, point.start - POINT / 2))
    end = point.start + POINT / 2
    return point._replace(start=round(start, DIGITS), end=round(end, DIGITS))


def labels_of_event(row: Row, default: str, file: str, seconds: float) -> list[str]:
    """The labels of a row's event, separated by `;`; none without an event."""
    if math.isnan(row.start):
        return []
    if row.start < 0 or row.end < row.start or row.start >= seconds:
        raise RequestError(
            f"{row.where}: the event lasts from {row.start:g} to {row.end:g} s;"
            f" expected a start and an end, in seconds, within the {seconds:.6g} s"
            f" of {file}"
        )
    cell = row.label or default
    labels = [label.strip() for label in cell.split(SEPARATOR) if label.strip()]
    if not labels:
        raise RequestError(
            f"{row.where}: the event has no label; write one, or give LABEL= for such"
            " events"
        )
    return labels


def seconds_of(where: str, column: str, text: str) -> float:
    if (number := cell_number(text)) is not None:
        return number
    raise RequestError(
        f"{where}: {column} is {shortened(text)!r}; expected seconds, as 12.5 or 12,5"
    )


def frequency(text: str) -> float:
    """Hz; NaN for what is none, as Audacity's -1."""
    number = cell_number(text)
    return math.nan if number is None or number < 0 else number


def label_track(path: Path, text: str) -> list[Row]:
    """The events of an Audacity track; cells after the label are left out."""
    rows: list[Row] = []
    for line, content in enumerate(text.split("\n"), 1):
        first, *cells = map(str.strip, content.split("\t"))
        if first.startswith("\\"):
            low, high = (frequency(cell) for cell in (*cells, "", "")[:2])
            rows[-1:] = [row._replace(low=low, high=high) for row in rows[-1:]]
        if first.startswith("\\") or not (first or any(cells)):
            continue
        where = f"{path}, line {line}"
        start = end = seconds_of(where, "the start", first)
        if cells and (cells[0] == "" or cell_number(cells[0]) is not None):
            last = cells.pop(0) or first
            end = seconds_of(where, "the end", last)
        rows.append(Row(where, "", start, end, cells[0] if cells else ""))
    return rows


def table_rows(path: Path, text: str, options: LabelOptions) -> Iterator[Row]:
    """The rows below a header; a row without times is about a silent recording."""
    table = parse_csv(path, text)
    of = find_columns(path, list(table), options.column)
    if len(table) and not (of["label"] or options.label):
        raise RequestError(
            f"{path}, line 1: no column is known to hold labels (label,"
            f" Annotation, Species, …); {remedy_of_labels(table, of)}"
        )
    units = units_of(path, of)
    cells = {
        role: table[name].str.strip() if name else [""] * len(table)
        for role, name in of.items()
    }

    def seconds(role: str) -> float:
        number = seconds_of(where, of[role], cell[role])
        return round(number * units[role], DIGITS)

    for line, row in zip(table.index, zip(*cells.values())):
        cell = dict(zip(cells, row))
        if not any(row):
            continue
        where = f"{path}, line {line}"
        start = end = math.nan
        if cell["start"] or cell["end"]:
            start = seconds("start")
            end = seconds("end") if cell["end"] else start
            if cell["file offset"]:
                begin = seconds("file offset")
                start, end = begin, round(begin + (end - start), DIGITS)
        box = frequency(cell["low"]), frequency(cell["high"])
        yield Row(where, cell["file"], start, end, cell["label"], *box, of["label"])


def plain_name(header: str) -> tuple[str, str]:
    """A header in lower case without punctuation, and its unit: that in brackets, or
    the last word if the rest is a known name and the whole is not.

    >>> plain_name("Begin Time (ms)"), plain_name("onset_ms")
    (('begintime', 'ms'), ('onset', 'ms'))
    """
    text = header.casefold()
    brackets = re.search(r"[(\[](.*?)[)\]]", text)
    unit = brackets[1].strip() if brackets else ""
    bare = text.replace(brackets[0], "") if brackets else text
    words = re.findall(r"[^\W_]+", bare)
    name = "".join(words)
    if name not in KNOWN and not brackets and "".join(words[:-1]) in KNOWN:
        return "".join(words[:-1]), words[-1]
    return name, unit


def find_columns(path: Path, header: Sequence[str], column: str) -> dict[str, str]:
    """Each key of COLUMNS -> this table's column, '' if it has none."""
    plain = {plain_name(name)[0]: name for name in reversed(header)}
    of = {
        role: next((plain[name] for name in names.split() if name in plain), "")
        for role, names in COLUMNS.items()
    }
    if not (of["start"] and of["end"]):
        raise UnknownTable(
            f"{path}, line 1: {', '.join(header)[:200]!r} is no header of a known"
            " table; expected Raven's (Begin Time (s), End Time (s), …), one with"
            " start,end,label, or an Audacity label track, which has none"
        )
    if column and column not in header:
        raise RequestError(
            f"{path}, line 1: COLUMN={column}: {nearest('column', column, header)}"
        )
    return {**of, "label": column or of["label"]}


def remedy_of_labels(table: pd.DataFrame, of: Mapping[str, str]) -> str:
    """The words that give a table's events labels: its other columns of text, those of
    fewest values first.
    """
    others = table.drop(columns=[name for name in of.values() if name])
    texts = others.columns[others.map(cell_number).isna().any()]
    names = others[texts].nunique().sort_values(kind="stable").index[:3]
    ways = [quoted(f"COLUMN={name}") for name in names]
    return f"give {' or '.join([*ways, 'LABEL=NAME, the same for all events'])}"


def remedy_of_files(path: Path) -> str:
    """`; rename take to file` for a table of audio files under an unusual name."""
    try:
        table = parse_csv(path, read_text(path)).head(1)
    except RequestError:
        return ""
    files = [name for name in table if table[name].str.fullmatch(AUDIO_FILE).any()]
    return f"; rename {files[0]} to file" if files else ""


def units_of(path: Path, of: Mapping[str, str]) -> dict[str, float]:
    """Role in TIMES -> the seconds of its column's unit."""
    units = {}
    for role in TIMES:
        _, unit = plain_name(of[role])
        if unit not in SECONDS:
            raise RequestError(
                f"{path}, line 1: the unit of {shortened(of[role])!r} is not known;"
                f" expected {', '.join(filter(None, SECONDS))}"
            )
        units[role] = SECONDS[unit]
    return units


def read_marks(cache: Cache) -> pd.DataFrame:
    """MARK_COLUMNS of events.csv; RequestError if it is missing or damaged."""
    file = Path(cache.source).with_name(EVENTS_FILE)
    if not file.is_file():
        raise RequestError(
            f"{cache.source} is a dataset of clips, without {EVENTS_FILE}: TASK=events"
            f" needs one of {make_command('events')}"
        )
    with damage_named(file, "make events writes it again"):
        events = pd.read_csv(
            file,
            dtype=dict.fromkeys(("file", "label", "column"), str),
            keep_default_na=False,
            na_values=dict.fromkeys(("low", "high"), ""),
        )
        if tuple(events) != MARK_COLUMNS:
            raise ValueError(f"expected the columns {', '.join(MARK_COLUMNS)}")
        for column in ("start", "end", "low", "high"):
            events[column] = pd.to_numeric(events[column])
        times = events[["start", "end"]].to_numpy(float)
        if not (np.isfinite(times).all() and (times[:, 0] <= times[:, 1]).all()):
            raise ValueError("an event ends before it begins, or has no time")
    return events


def read_dataset_events(cache: Cache) -> pd.DataFrame:
    """EVENT_COLUMNS of events.csv."""
    return read_marks(cache)[[*EVENT_COLUMNS]]
