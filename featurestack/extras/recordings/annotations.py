"""Annotation tables: sounds with a beginning and an end, as people mark them in
recordings.

    Raven      selection tables: a selection has a row for each view; if a table is
               about several files, `Begin File` and `File Offset (s)` say where a
               selection begins
    Audacity   label tracks: start TAB end TAB label, no header; lines that begin with
               a backslash have frequencies
    CSV, TSV   file, start, end, label, under the names in COLUMNS

If a row names no recording, the table's own name does: `a.txt` and
`a.Table.1.selections.txt` belong to `a.wav`.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd

from featurestack.base.csv_files import (
    FILE_COLUMNS,
    SPREADSHEETS,
    cell_number,
    parse_csv,
    read_text,
)
from featurestack.base.errors import (
    RequestError,
    nearest,
    quoted,
    shortened,
)
from featurestack.base.files import hash_of
from featurestack.base.own_files import DETECTED, OwnFiles
from featurestack.base.quantities import counted, listed
from featurestack.extras.recordings.options import LabelOptions
from featurestack.features_cache.datasets import (
    DATASET_TABLES,
    beside_hint,
)
from featurestack.features_cache.table import SEPARATOR
from featurestack.pipeline.audio import AUDIO_FILE
from featurestack.pipeline.datasets.readers import files_below

EVENT_COLUMNS = ("file", "start", "end", "label")
OF_PREDICT = "File Offset (s)", "Score"  # the column of labels is between them there
# The last column of predict's tables. All its cells are `check_mark`, so that a change
# by any program is seen; detections.csv has its two words in two columns, and a label
# track after each label. NOTHING_FOUND is the column of a table without a detection.
CHECKED, NOTHING_FOUND = "Checked", "Not checked"
UNCHECKED = "tables as predict wrote them"
MARK_THEM = (
    f"write yes in the column {CHECKED} of tables that are correct, or export a label"
    " track from Audacity"
)
CORRECTED = "tables corrected from detections; scores by them are optimistic"
# its columns: frequencies in Hz, and the column of the label in its table
MARK_COLUMNS = (*EVENT_COLUMNS, "low", "high", "column")
# Column -> its names in tables, in lower case, without units in brackets and
# punctuation. If a table has several of these names, the first one listed here counts.
COLUMNS = {
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
    "low": "lowfreq lowfrequency freqlow minfreq fmin low",
    "high": "highfreq highfrequency freqhigh maxfreq fmax high",
    "checked": "checked",
    "rows code": "rowscode",
}
# a unit at the end of a header, in brackets or after a blank or _
UNIT = re.compile(r"[\s_(\[]+(s|sec|seconds|ms|hz)[)\]]?\s*$", re.IGNORECASE)
# columns of a table's rows: '' or NaN for what a row lacks, inf for a time that is no
# number; `written` has the times as they are in the table, the index is the line
ROWS = ("file", "start", "end", "label", "low", "high", "column", "written")
DIGITS = 9  # decimals of a second that sums and products of a table's numbers keep
POINT = 0.1  # seconds
HALF = 0.5  # share of the rows; if more begin too late, the unit may be wrong
LOST = "left out, in the missing part of a recording"
ABSENT = "recordings that are not in AUDIO=, left out"
NUMBERS = dict.fromkeys(("start", "end", "low", "high"), float)
OF_RAVEN = ("Selection", "View", "Channel")  # Raven's own columns hold no labels
Noted = defaultdict[str, dict[str, None]]  # remark -> tables, lines or files


@dataclass(frozen=True)
class Annotations:
    """The content of annotation tables."""

    # MARK_COLUMNS by file and start, and `where`, the file and line; NaN: unknown
    # frequencies
    events: pd.DataFrame
    # recordings that have a table, or a row in one, even without an event
    annotated: frozenset[str]
    # others, whose tables are left out because they are as predict wrote them
    unchecked: frozenset[str]
    notes: tuple[str, ...]  # remarks for the user, such as tables without a recording


class UnknownTable(RequestError):
    """A file that is in no known format."""


class NoTable(RequestError):
    """No table of annotations, or only tables that nobody has checked."""


class Rows(NamedTuple):
    """The content of one table."""

    rows: pd.DataFrame  # ROWS
    unchecked: bool = False  # whether it is as predict wrote it
    corrected: bool = False  # whether predict wrote it, and a person changed it
    lacking: str = ""  # the message if COLUMN= is absent and a known column was read


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
        for depth in range(2, len(name.parts) + 1):
            folders = name.parts[-depth:-1]
            own = [p for p in fitting if plain_path(p).parts[-depth:-1] == folders]
            fitting = own or fitting
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

    def named_by(self, path: Path, name: str, rows: pd.DataFrame) -> set[str]:
        """The recordings that a table's name and its rows name."""
        files = [self.find(plain_path(file), name) for file in {*rows["file"]} if file]
        return {self.of_table(path, name), *files} - {""}


def plain_path(text: str) -> PurePosixPath:
    """A path with all accents and slashes in one form; disks and tables use two."""
    return PurePosixPath(unicodedata.normalize("NFC", text.replace("\\", "/")))


def read_events(
    tables: Path,
    recordings: Mapping[str, float],
    options: LabelOptions | None = None,
    usual: str = "",
    truncated: Collection[str] = (),
) -> Annotations:
    """Read the events of annotation tables.

    recordings  the path of each recording below its folder -> its seconds, NaN if they
                are not known
    usual       the column of labels in other tables, which counts if a table has it
    truncated   recordings of which a part is missing, with the events in it

    Rows of other recordings are left out and remarked. An event that is listed twice
    counts once. An event that lasts beyond its recording ends with it. A RequestError
    about a row names the file and the line.
    """
    options = options or LabelOptions()
    noted: Noted = defaultdict(dict)
    paths, written = annotation_tables(tables, noted)
    known = Recordings(recordings)
    parts = [pd.DataFrame(columns=[*ROWS, "where"])]
    lacking: list[str] = []
    tables_of = defaultdict[str, list[str]](list)  # recording -> names
    predicted = set[str]()
    for name, path in written.items():
        noted[f"{UNCHECKED}, left out"][name] = None
        with suppress(RequestError):  # counts and scores are not tables of events
            rows = read_rows(path, LabelOptions(), usual).rows
            predicted |= known.named_by(path, name, rows)
    for name, path in [*paths.items()]:
        own = known.of_table(path, name)
        if not own and len(paths) == len(recordings) == 1:
            (own,) = recordings
            taken = "a table of another name, taken for the only recording"
            noted[taken][f"{name} for {own}"] = None
        try:
            rows, unchecked, corrected, message = read_rows(path, options, usual)
        except UnknownTable:
            if own or len(paths) == 1:
                raise
            # any other file of the folder
            rows, unchecked, corrected, message = Rows(parts[0])
        if message:
            lacking.append(message)
            column = quoted(f"COLUMN={options.column}")
            noted[f"tables without {column}; their usual column is used"][name] = None
        if unchecked:
            noted[UNCHECKED + ", left out" * tables.is_dir()][name] = None
            if tables.is_dir():
                del paths[name]
                predicted |= known.named_by(path, name, rows)
                continue
        if not own and not rows["file"].any():
            noted["tables that fit no recording"][name] = None
            continue
        if rows.empty:
            noted["tables without an event"][name] = None
        if corrected:
            noted[CORRECTED][name] = None
        parts.append(with_recordings(rows, path, own, known, noted))
        for file in {own, *parts[-1]["file"]} - {""}:
            tables_of[file].append(name)
    if not tables_of:
        refuse_tables(tables, paths, recordings, noted)
    for file, names in tables_of.items():
        if len(names) > 1:
            both = f"{file} ({listed(names)})"
            noted["recordings with several tables, which are all used"][both] = None
    rows = pd.concat(parts, ignore_index=True)
    if lacking and not (rows["column"] == options.column).any():
        raise RequestError(lacking[0])
    events = events_in(rows, recordings, options.label, truncated, noted)
    annotated = frozenset(tables_of)
    return Annotations(
        events, annotated, frozenset(predicted - annotated), remarks(noted)
    )


def with_recordings(
    rows: pd.DataFrame, path: Path, own: str, known: Recordings, noted: Noted
) -> pd.DataFrame:
    """The rows of a table, of the recording `own` if they name none, with `where`."""
    where = [f"{path}, line {line}" for line in rows.index]
    named = [*zip(rows["file"], where)]
    files = [known.find(plain_path(name), w) if name else own for name, w in named]
    missing = [name or w for (name, w), file in zip(named, files) if not file]
    noted[ABSENT] |= dict.fromkeys(missing)
    rows = rows.assign(file=files, where=where)
    return rows[rows["file"] != ""]


def remarks(noted: Noted) -> tuple[str, ...]:
    """The sentences for the user about what was noted."""
    texts = [
        f"{remark}: {len(of):,}, the first {shortened(next(iter(of)))}"
        for remark, of in noted.items()
        if of
    ]
    if f"{UNCHECKED}, left out" in noted:
        texts.append(MARK_THEM)
    return tuple(texts)


def refuse_tables(
    tables: Path,
    paths: Mapping[str, Path],
    recordings: Mapping[str, float],
    noted: Noted,
) -> NoReturn:
    """RequestError for tables that fit no recording, or that nobody has checked."""
    if not paths:
        raise NoTable(
            f"TABLES={tables} holds no table of annotations: expected files in"
            f" {', '.join(DATASET_TABLES)}, and not only tables as predict wrote them;"
            f" {MARK_THEM}"
        )
    first = next(iter(paths))
    wanted = next(iter(noted[ABSENT]), "no recording")
    raise RequestError(
        f"no table of TABLES={tables} fits a recording: the first table is {first},"
        f" which names {shortened(wanted)}, the first recording"
        f" {next(iter(recordings))}; expected names as in a.wav and a.txt, or a"
        " column file"
    )


def events_in(
    rows: pd.DataFrame,
    recordings: Mapping[str, float],
    unnamed: str,
    truncated: Collection[str],
    noted: Noted,
) -> pd.DataFrame:
    """The MARK_COLUMNS of rows, which have ROWS and `where`, the place of each for
    messages; `unnamed` is the label of events that have none.
    """
    timeless = rows["start"].isna() & rows["end"].isna()  # of a silent recording
    events = timeless & (rows["label"] != "")
    noted["events without a time, left out"] |= dict.fromkeys(rows["where"][events])
    rows = rows[~timeless].astype(NUMBERS)
    seconds = rows["file"].map(recordings).astype(float)
    lost = rows["file"].isin([*truncated]) & (rows["start"] >= seconds)
    noted[LOST] |= dict.fromkeys(rows["where"][lost])
    rows, seconds = rows[~lost], seconds[~lost]
    point = rows["start"] == rows["end"]  # a mark without length
    before = (rows["start"] - POINT / 2).round(DIGITS).clip(lower=0)
    after = (rows["end"] + POINT / 2).round(DIGITS)
    start = rows["start"].mask(point, np.minimum(rows["start"], before))
    end = rows["end"].mask(point, after)
    possible = (start >= 0) & (start <= end) & ~(start >= seconds) & (end < np.inf)
    if not possible.all():
        row = rows[~possible].iloc[0]
        first, more = first_and_others(rows["where"][~possible])
        if (start >= seconds).mean() > HALF and not (end > 1000 * seconds).any():
            more += "; if these are milliseconds, call the columns start_ms,end_ms"
        raise RequestError(
            f"{first}: the event lasts from {row['written']}; expected a start and an"
            f" end, in seconds, within the {recordings[row['file']]:.6g} s of"
            f" {row['file']}{more}"
        )
    longer = (end > seconds) & ~rows["file"].isin([*truncated])
    cut = "events that went on after the end of their recording, cut there"
    noted[cut] |= dict.fromkeys(rows["where"][longer])
    points = f"events without a length, which last {POINT} s around their time"
    noted[points] |= dict.fromkeys(rows["where"][point])
    several = rows["label"].str.contains(SEPARATOR, regex=False)
    separated = f"labels with {SEPARATOR}, read as several labels of one event"
    noted[separated] |= dict.fromkeys(rows["where"][several])
    labels = rows["label"].replace("", unnamed).str.split(SEPARATOR)
    rows = rows.assign(start=start, end=np.fmin(end, seconds), label=labels)
    rows = rows.explode("label")
    rows["label"] = rows["label"].str.strip()
    events = rows[rows["label"] != ""]
    if len(unlabelled := rows.index.difference(events.index)):
        first, more = first_and_others(rows["where"][unlabelled])
        raise RequestError(
            f"{first}: the event has no label; write one, or give LABEL= for such"
            f" events{more}"
        )
    again = events.duplicated([*EVENT_COLUMNS])
    noted["events listed again, counted once"] |= dict.fromkeys(events["where"][again])
    columns = [*MARK_COLUMNS, "where"]
    return events[~again].sort_values([*EVENT_COLUMNS], ignore_index=True)[columns]


def first_and_others(places: Iterable[str]) -> tuple[str, str]:
    """The first of these files and lines, and the others as the end of a message."""
    first, *others = places
    file, _, _ = first.rpartition(",")
    lines = [place.removeprefix(f"{file}, ") for place in others]
    more = f"; {counted(len(lines), 'more such line')}: {listed(lines)}"
    return first, more if lines else ""


def annotation_tables(
    tables: Path, noted: Noted
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The tables of TABLES=, by their names below it, and separately those that predict
    wrote in a folder below it and nobody corrected.
    """
    paths = {tables.name: tables}
    if tables.is_dir():
        names = files_below(tables)
        endings = {name: Path(name).suffix.lower() for name in names}
        paths = {n: tables / n for n in names if endings[n] in DATASET_TABLES}
        sheets = [name for name in names if endings[name] in SPREADSHEETS]
        noted["spreadsheets, left out: save them as CSV"] |= dict.fromkeys(sheets)
    written = {}
    for record in tables.rglob(DETECTED):
        own = OwnFiles(record.parent, DETECTED)
        unchanged = [own.folder / name for name in filter(own.is_own, own.hashes)]
        for name in [name for name, path in paths.items() if path in unchanged]:
            written[name] = paths.pop(name)
    if not tables.exists():
        hint = beside_hint(tables, DATASET_TABLES)
        raise RequestError(f"TABLES={tables} does not exist{hint}")
    return paths, written


def read_rows(path: Path, options: LabelOptions, usual: str) -> Rows:
    """The rows of a table in any known format."""
    text = read_text(path)
    first = text.lstrip("\n").partition("\n")[0]
    if cell_number(first.partition("\t")[0]) is not None:
        return label_track(text)
    if text.strip():
        return table_rows(path, text, options, usual)
    return Rows(pd.DataFrame(columns=[*ROWS]))


def seconds_of(text: str) -> float:
    """The seconds in a cell, NaN for a blank one, inf if it is not a number."""
    number = cell_number(text) if text else math.nan
    return math.inf if number is None else number


def written_times(start: str, end: str) -> str:
    return f"{shortened(start)!r} to {shortened(end)!r}"


def frequency(text: str) -> float:
    """The frequency in Hz; NaN for a cell without one, such as Audacity's -1."""
    number = cell_number(text)
    return math.nan if number is None or number < 0 else number


def label_track(text: str) -> Rows:
    """The events of an Audacity track; other cells after the label than predict's are
    left out.
    """
    rows: dict[int, list[object]] = {}
    marks = set[str]()
    for line, content in enumerate(text.split("\n"), 1):
        first, *cells = map(str.strip, content.split("\t"))
        if first.startswith("\\") and rows:
            before = [*rows][-1]
            rows[before][4:6] = (frequency(cell) for cell in (*cells, "", "")[:2])
        if first.startswith("\\") or not (first or any(cells)):
            continue
        last = first
        if cells and (cells[0] == "" or cell_number(cells[0]) is not None):
            last = cells.pop(0) or first
        label, mark = (*cells, "", "")[:2]
        marks.add(mark)
        times = seconds_of(first), seconds_of(last)
        written = written_times(first, last)
        rows[line] = ["", *times, label, math.nan, math.nan, "", written]
    events = pd.DataFrame(rows.values(), [*rows], [*ROWS])
    return Rows(events, marks == {check_mark(events)})


def check_mark(rows: pd.DataFrame) -> str:
    """The content of CHECKED in a table with these rows (start, end, label): no, and a
    code of the rows.
    """
    times = rows[["start", "end"]].map("{:.4f}".format)
    events = {*zip(times["start"], times["end"], rows["label"])}  # Raven has two views
    text = "\n".join(map("\t".join, sorted(events)))
    return f"no {hash_of(text.encode())[:8]}"


def table_rows(path: Path, text: str, options: LabelOptions, usual: str) -> Rows:
    """The rows below a header; a row without times is about a silent recording."""
    table = parse_csv(path, text)
    of, lacking = find_columns(path, table, options.column, usual)
    if options.label in table and not options.column:
        column = quoted(f"COLUMN={options.label}")
        raise RequestError(
            f"{quoted(f'LABEL={options.label}')} labels events that have no label,"
            f" and {path} has a column {options.label}: {column} takes labels from it"
        )
    labels = of["label"] not in OF_RAVEN and (of["label"] or options.label)
    if len(table) and not labels:
        others = [name for name in table if name not in {*of.values(), *OF_RAVEN}]
        typed = [quoted(f"COLUMN={name}") for name in others or ["NAME"]]
        raise RequestError(
            f"{path}, line 1: no column is known to hold labels (label, Annotation,"
            f" Species, …): rename it to label in this table, or give"
            f" {' or '.join(typed)} for all tables, or LABEL=NAME, the same for all"
            " events"
        )
    cells = {role: table[name] if name else "" for role, name in of.items()}
    rows = pd.DataFrame(cells, table.index).map(str.strip)
    rows = rows[(rows != "").any(axis=1)]
    rows["written"] = [*map(written_times, rows["start"], rows["end"])]
    for role in ("start", "end", "file offset"):
        _, unit = plain_name(of[role])
        rows[role] = [round(seconds_of(cell) * unit, DIGITS) for cell in rows[role]]
    rows["file"] = [  # Raven's Begin Path may be only a folder
        file if file.endswith(name) else str(PurePosixPath(file, name))
        for file, name in zip(rows["file"], rows["begin file"])
    ]
    rows["end"] = rows["end"].fillna(rows["start"])
    moved = (rows["file offset"] - rows["start"]).fillna(0.0)
    for role in ("start", "end"):
        rows[role] = (rows[role] + moved).round(DIGITS)
    for role in ("low", "high"):
        rows[role] = rows[role].map(frequency)
    found = rows.assign(column=of["label"])[[*ROWS]]
    if "View" in table:  # an event has a row in each of Raven's views
        found = found[~found.duplicated([*EVENT_COLUMNS])]
    marks = (rows["checked"] + " " + rows["rows code"]).str.strip().unique()
    empty = rows.empty and NOTHING_FOUND in table
    unchecked = empty or [*marks] == [check_mark(rows)]
    of_predict = of["checked"] != "" and "score" in map(str.lower, table)
    return Rows(found, unchecked, of_predict and not unchecked, lacking)


def plain_name(header: str) -> tuple[str, float]:
    """A header in lower case without unit and punctuation, and the unit in seconds.

    >>> plain_name("Begin Time (ms)"), plain_name("onset_s")
    (('begintime', 0.001), ('onset', 1.0))
    """
    unit = UNIT.search(header)
    bare = header[: unit.start()] if unit else header
    seconds = 0.001 if unit and unit[1].lower() == "ms" else 1.0
    return re.sub(r"[\W_]+", "", bare).casefold(), seconds


def renaming(table: pd.DataFrame) -> str:
    """The new names of four columns whose cells show what they are, else of all."""
    numbers = table.map(cell_number).dropna(axis=1).sum().sort_values(kind="stable")
    names = [name for name in table if table[name].str.fullmatch(AUDIO_FILE).all()]
    labels = [name for name in table if name not in {*numbers.index, *names}]
    if len(table) == 0 or (len(names), len(numbers), len(labels)) != (1, 2, 1):
        return f"its columns to {','.join(EVENT_COLUMNS)}"
    pairs = zip([*names, *numbers.index, *labels], EVENT_COLUMNS)
    return ", ".join(f"{name} to {new}" for name, new in pairs if name != new)


def find_columns(
    path: Path, table: pd.DataFrame, column: str, usual: str
) -> tuple[dict[str, str], str]:
    """This table's column for each key of COLUMNS, '' if it has none; and the message
    if it lacks `column` but has a known column of labels.
    """
    header = [*table]
    plain = {plain_name(name)[0]: name for name in reversed(header)}
    of = {
        role: next((plain[name] for name in names.split() if name in plain), "")
        for role, names in COLUMNS.items()
    }
    if not (of["start"] and of["end"]):
        raise UnknownTable(
            f"{path}, line 1: {', '.join(header)[:200]!r} is not a header of a known"
            " table; expected Raven's (Begin Time (s), End Time (s), …), one with"
            " start,end,label in s or ms, or an Audacity label track, which has none:"
            f" rename {renaming(table)} (COLUMN= names only labels)"
        )
    if usual in header:
        of["label"] = usual
    for before, name, after in zip(header, header[1:], header[2:]):
        if (before, after) == OF_PREDICT and usual not in header:
            of["label"] = name
    if not column or column in header:
        return {**of, "label": column or of["label"]}, ""
    unknown = nearest("column", column, header)
    lacking = f"{path}, line 1: {quoted(f'COLUMN={column}')}: {unknown}"
    if not of["label"]:
        raise RequestError(lacking)
    return of, lacking
