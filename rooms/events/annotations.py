"""Annotation tables: sounds with a beginning and an end, as people mark them in
recordings.

    Raven      selection tables: a selection has a row for each view; if a table is
               about several files, `Begin File` and `File Offset (s)` say where a
               selection begins
    Audacity   label tracks: start TAB end TAB label, no header; without an end the
               event is a point; a line that begins with a backslash has the
               frequencies of the event before
    CSV, TSV   file, start, end, label, perhaps low and high frequency, under the names
               in COLUMNS

If a row names no recording, the table's own name does: `a.txt` and
`a.Table.1.selections.txt` belong to `a.wav`. Times are in seconds, or in the unit that
a header names: `Start (ms)`, `onset_samples`.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import pandas as pd

from featurestack.commandline.errors import RequestError, nearest, shortened
from featurestack.features_cache.table import SEPARATOR
from featurestack.pipeline.datasets.layouts import TABLE_ENDINGS, files_below
from featurestack.pipeline.datasets.readers import parse_csv
from featurestack.rooms.events.recordings import Recordings

EVENT_COLUMNS = ["file", "start", "end", "label"]
# Column -> its names in tables, in lower case, without units in brackets and
# punctuation. If a table has several of these names, the first one listed here counts.
COLUMNS = {
    "file": (
        "beginpath beginfile file filename files audiofile audiofilename soundfile"
        " soundfiles wavfile infile notatedpath audiopath filepath path fname recording"
    ),
    "file offset": "fileoffset",
    "start": (
        "start starttime starts startseconds startsec begin begintime onset onsets"
        " onsettime tmin mint"
    ),
    "end": (
        "end endtime ends endseconds endsec stop stoptime offset offsets offsettime"
        " tmax maxt"
    ),
    "duration": "duration durations durationseconds length",
    "label": (
        "label labels annotation annotations species commonname tags tag eventlabel"
        " class manualid scientificname"
    ),
    "low": "lowfreq lowfrequency lowf minfreq minfrequency freqmin fmin low",
    "high": "highfreq highfrequency highf maxfreq maxfrequency freqmax fmax high",
}
KNOWN = frozenset(" ".join(COLUMNS.values()).split())
FREQUENCIES = ("low", "high")
TIMES = ("start", "end", "duration", "file offset")
# unit in a header, in lower case -> seconds
SECONDS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
SAMPLES = ("sample", "samples")
HERTZ = {"": 1.0, "hz": 1.0, "khz": 1000.0}
# 1,000 or 1,000,000: the comma may separate thousands
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
DIGITS = 9  # decimals of a second that sums and products of a table's numbers keep


@dataclass(frozen=True)
class Annotations:
    """The content of annotation tables.

    `events` has EVENT_COLUMNS and FREQUENCIES, sorted by file and start; start and end
    are seconds, equal for a point; low and high are Hz, NaN if they are not known.
    """

    events: pd.DataFrame
    # recordings that have a table, or a row in one, even without an event
    annotated: frozenset[str]
    notes: tuple[str, ...]  # remarks for the user, such as tables without a recording


class Row(NamedTuple):
    """A row of a table; `label` and `file` are '' if it has none, start and end NaN if
    it has no event.
    """

    line: int
    file: str
    start: float
    end: float
    label: str
    low: float = math.nan  # Hz
    high: float = math.nan
    in_samples: bool = False  # start and end are samples

    def at_rate(self, rate: int | None, where: str) -> "Row":
        """The row in seconds, of a recording with so many samples a second."""
        if not self.in_samples:
            return self
        if not rate:
            raise RequestError(
                f"{where}: times are samples, and the recording's sample rate is not"
                " known: write seconds"
            )
        return self._replace(start=self.start / rate, end=self.end / rate)

    @property
    def has_frequencies(self) -> bool:
        return not (math.isnan(self.low) and math.isnan(self.high))


class UnknownTable(RequestError):
    """A file that is in no known format."""


def read_events(
    tables: Path,
    recordings: Mapping[str, float],
    column: str = "",
    label: str = "",
    missing: Literal["refuse", "ignore"] = "refuse",
    rates: Mapping[str, int] = MappingProxyType({}),
) -> Annotations:
    """Read the events of annotation tables.

    tables      a folder of annotation tables, or one table
    recordings  the path of each recording below its folder -> its seconds, NaN if they
                are not known
    column      the column of labels; by default one of the names in use
    label       the label of events that have none
    missing     whether rows of a recording that is not there are refused or left out
    rates       samples a second of the recordings, for tables that count samples

    An event that is listed twice counts once, with the frequencies of the first. An
    event that lasts beyond its recording ends with it. A RequestError about a row names
    the file and the line.

        read_events(Path("labels"), {"dawn.flac": 60.0}).events
    """
    folder, names = annotation_tables(tables)
    known = Recordings(recordings)
    events: dict[tuple[str, float, float, str], tuple[float, float]] = {}
    annotated = set[str]()
    strange = list[str]()
    empty = list[str]()
    beyond = list[str]()
    absent = list[str]()
    alone = len(names) == 1
    for name in names:
        path = folder / name
        own = known.of_table(path, name, alone=alone)
        rows = read_rows(path, column, label, optional=not (own or alone))
        if not own and not any(row.file for row in rows):
            strange.append(name)
            continue
        if own:
            annotated.add(own)
        if not rows:
            empty.append(name)
        for row in rows:
            where = f"{path}, line {row.line}"
            if missing == "ignore" and row.file and not known.named(row.file, where):
                absent.append(row.file)
                continue
            file = known.of_row(row.file, own, where)
            annotated.add(file)
            seconds = recordings[file]
            if math.isnan(row.start):  # a recording without an event
                continue
            row = row.at_rate(rates.get(file), where)
            if row.end > seconds:
                beyond.append(where)
            for own_label in labels_of_event(row, label, file, seconds, where):
                event = file, row.start, min(row.end, seconds), own_label
                events.setdefault(event, (row.low, row.high))
    if not annotated:
        raise no_table_fits(tables, names[0], next(iter(recordings)))
    places = {
        "tables that fit no recording": strange,
        "tables without an event": empty,
        "events that last beyond their recording and end with it": beyond,
        "recordings that are not in AUDIO=, left out": absent,
    }
    found = [(*event, *events[event]) for event in sorted(events)]
    table = pd.DataFrame(found, columns=[*EVENT_COLUMNS, *FREQUENCIES])
    table = table.astype(dict.fromkeys(("start", "end", *FREQUENCIES), float))
    return Annotations(table, frozenset(annotated), remarks_of(places))


def no_table_fits(tables: Path, name: str, recording: str) -> RequestError:
    """The error if no table is one of a recording; `name` and `recording` are the first
    of each.
    """
    return RequestError(
        f"no table of TABLES={tables} fits a recording: the first table is {name}, the"
        f" first recording {recording}; expected names as in a.wav and a.txt, or a"
        " column file"
    )


def remarks_of(places: Mapping[str, list[str]]) -> tuple[str, ...]:
    """A remark for each kind of places that there are: their number, and the first."""
    remarks = []
    for kind, names in places.items():
        distinct = [*dict.fromkeys(names)]
        if distinct:
            first = shortened(distinct[0])
            remarks.append(f"{kind}: {len(distinct):,}, the first {first}")
    return tuple(remarks)


def annotation_tables(tables: Path) -> tuple[Path, list[str]]:
    """The folder of TABLES=, and the names of its tables below it."""
    if not tables.is_dir():
        return tables.parent, [tables.name]
    names = [
        name
        for name in files_below(tables)
        if Path(name).suffix.lower() in TABLE_ENDINGS
    ]
    if not names:
        raise RequestError(
            f"TABLES={tables} holds no table: expected files in"
            f" {', '.join(TABLE_ENDINGS)}"
        )
    return tables, names


def read_rows(path: Path, column: str, label: str, *, optional: bool) -> list[Row]:
    """The rows of a table in any known format, see `read_events`.

    optional  a file in no known format has no rows, instead of an UnknownTable
    """
    text = read_text(path)
    if is_label_track(text):
        return list(label_track(path, text))
    try:
        return list(table_rows(path, text, column, label))
    except UnknownTable:
        if not optional:
            raise
        return []


def labels_of_event(
    row: Row,
    default: str,
    file: str,
    seconds: float,
    where: str,
) -> list[str]:
    """The labels of a row's event, several if its cell separates them by `;`;
    RequestError if the event has none, or does not lie in its recording.
    """
    if row.start < 0 or row.end < row.start or row.start > seconds:
        raise RequestError(
            f"{where}: the event lasts from {row.start:g} to {row.end:g} s;"
            f" expected a start and an end, in seconds, within the {seconds:.6g} s"
            f" of {file}"
        )
    cell = row.label or default
    if not cell:
        raise RequestError(
            f"{where}: the event has no label; write one, or give LABEL= for such"
            " events"
        )
    labels = [label.strip() for label in cell.split(SEPARATOR) if label.strip()]
    if not labels:
        raise RequestError(
            f"{where}: the label {shortened(cell)!r} has separators alone; expected a"
            " label, or several separated by ;"
        )
    return labels


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16, cp1252 or Latin-1; lines end with \\n."""
    if not path.is_file():
        raise RequestError(f"{path} cannot be read as a table: there is no such file")
    content = path.read_bytes()
    encodings = ("utf-16",) if b"\0" in content else ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            return re.sub("\r\n?", "\n", content.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise RequestError(f"{path} is no text")


def number_of(text: str, thousands: bool | None = False) -> float | None:
    """The number in `1.5` or `1,5`, with `thousands` in `1,500`; None if the text is no
    finite number, or if it has a comma and `thousands` is not known.
    """
    if thousands is None and "," in text:
        return None
    try:
        number = float(text.replace(",", "" if thousands else ".").replace("_", "?"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def commas_are_thousands(numbers: Iterable[str]) -> bool | None:
    """Whether commas in a table's numbers separate thousands, and not decimals; None if
    the table does not tell: all have three digits behind each comma.

    >>> commas_are_thousands(["1,5", "1,000"]), commas_are_thousands(["1,000", "2.5"])
    (False, True)
    """
    texts = [text.strip() for text in numbers]
    with_comma = [text for text in texts if "," in text]
    if not all(map(GROUPED.fullmatch, with_comma)):
        return False
    if any("." in text or text.count(",") > 1 for text in texts):
        return True
    return None if with_comma else False


def hertz_of(text: str, unit: float = 1.0, thousands: bool | None = False) -> float:
    """NaN if the text is no frequency: Audacity writes -1."""
    number = number_of(text, thousands)
    return math.nan if number is None or number < 0 else number * unit


def seconds_of(
    where: str, column: str, text: str, thousands: bool | None = False
) -> float:
    number = number_of(text, thousands)
    if number is not None:
        return number
    if thousands is None and "," in text:
        raise RequestError(
            f"{where}: {column} is {shortened(text)!r}, whose comma may separate"
            " thousands or decimals: write the table's numbers with a point, as"
            f" {shortened(text.replace(',', ''))} or"
            f" {shortened(text.replace(',', '.', 1))}"
        )
    raise RequestError(
        f"{where}: {column} is {shortened(text)!r}; expected seconds, as 12.5 or 12,5"
    )


def is_label_track(text: str) -> bool:
    first = text.lstrip("\n").partition("\n")[0]
    return number_of(first.partition("\t")[0]) is not None


def label_track(path: Path, text: str) -> Iterator[Row]:
    """The events of an Audacity track; a label may be empty, cells after it are left
    out.
    """
    event = None
    lines = [line.split("\t") for line in text.split("\n")]
    numbers = [cell for cells in lines for cell in cells[:2] if number_of(cell)]
    thousands = commas_are_thousands(numbers)
    for line, columns in enumerate(lines, 1):
        first, *cells = (cell.strip() for cell in columns)
        if first.startswith("\\") and event and not event.has_frequencies:
            low, high, *_ = [*map(hertz_of, cells), *2 * [math.nan]]
            event = event._replace(low=low, high=high)
        if first.startswith("\\") or not "".join(columns).strip():
            continue
        if event:
            yield event
        where = f"{path}, line {line}"
        start = end = seconds_of(where, "the start", first, thousands)
        if cells and (cells[0] == "" or number_of(cells[0]) is not None):
            end = seconds_of(where, "the end", cells.pop(0) or first, thousands)
        event = Row(line, "", start, end, cells[0] if cells else "")
    if event:
        yield event


def table_rows(path: Path, text: str, column: str, label: str) -> Iterator[Row]:
    """The rows below a header; a row without start and end means that its recording
    holds no event.
    """
    if not text.strip():
        return
    table = parse_csv(path, text)
    of = find_columns(path, list(table), column)
    if len(table) and not (of["label"] or label):
        raise RequestError(
            f"{path}, line 1: no column is known to hold labels (label,"
            f" Annotation, Species, …); COLUMN= names one of {', '.join(table)}, or"
            " LABEL= gives all events one label"
        )
    units, in_samples = units_of(path, of)
    cells = {
        role: table[name].str.strip() if name else [""] * len(table)
        for role, name in of.items()
    }
    thousands = commas_are_thousands(chain(*(cells[role] for role in units)))

    def seconds(role: str, cell: Mapping[str, str], where: str) -> float:
        number = seconds_of(where, of[role], cell[role], thousands)
        return round(number * units[role], DIGITS)

    for line, row in zip(table.index, zip(*cells.values())):
        cell = dict(zip(cells, row))
        if not any(row):
            continue
        where = f"{path}, line {line}"
        start = end = math.nan
        if cell["start"] or cell["end"]:
            start = seconds("start", cell, where)
            end = seconds("end", cell, where) if cell["end"] else start
            if cell["duration"] and not cell["end"]:
                end = round(start + seconds("duration", cell, where), DIGITS)
            if cell["file offset"]:
                begin = seconds("file offset", cell, where)
                start, end = begin, round(begin + (end - start), DIGITS)
        low, high = (
            hertz_of(cell[edge], units[edge], thousands) for edge in FREQUENCIES
        )
        yield Row(line, cell["file"], start, end, cell["label"], low, high, in_samples)


def plain_name(header: str, known: Collection[str]) -> tuple[str, str]:
    """A header in lower case without punctuation, and its unit: that in brackets, or
    the last word if the rest is a known name and the whole is not.

    >>> plain_name("Begin Time (ms)", []), plain_name("onset_ms", ["onset"])
    (('begintime', 'ms'), ('onset', 'ms'))
    """
    text = header.casefold()
    brackets = re.search(r"[(\[](.*?)[)\]]", text)
    unit = re.sub(r"[^a-z]", "", brackets[1]) if brackets else ""
    bare = text.replace(brackets[0], "") if brackets else text
    words = re.findall(r"[a-z0-9]+", bare)
    name = "".join(words)
    if name not in known and not brackets and "".join(words[:-1]) in known:
        return "".join(words[:-1]), words[-1]
    return name, unit


def find_columns(path: Path, header: Sequence[str], column: str) -> dict[str, str]:
    """Each key of COLUMNS -> this table's column, '' if it has none; UnknownTable
    without times.
    """
    plain = {plain_name(name, KNOWN)[0]: name for name in reversed(header)}
    of = {
        role: next((plain[name] for name in names.split() if name in plain), "")
        for role, names in COLUMNS.items()
    }
    if not of["start"] and of["duration"] and of["end"] == plain.get("offset"):
        of["start"], of["end"] = of["end"], ""  # PyHa's columns OFFSET and DURATION
    if not (of["start"] and (of["end"] or of["duration"])):
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


def units_of(path: Path, of: Mapping[str, str]) -> tuple[dict[str, float], bool]:
    """Role -> the seconds or Hz of its column's unit, and whether times are samples.

    of  role -> column, as `find_columns` gives it
    """
    units, counted_in = dict[str, float](), dict[str, bool]()
    for role in (*TIMES, *FREQUENCIES):
        known = SECONDS if role in TIMES else HERTZ
        _, unit = plain_name(of[role], KNOWN)
        samples = role in TIMES and unit in SAMPLES
        if unit not in known and not samples:
            expected = "s, ms, min, h or samples" if role in TIMES else "Hz or kHz"
            raise RequestError(
                f"{path}, line 1: the unit of {shortened(of[role])!r} is not known;"
                f" expected {expected}"
            )
        units[role] = 1.0 if samples else known[unit]
        if role in TIMES and of[role]:
            counted_in[of[role]] = samples
    if len({*counted_in.values()}) > 1:
        raise RequestError(
            f"{path}, line 1: {', '.join(counted_in)}: some of these times are samples;"
            " expected one unit"
        )
    return units, any(counted_in.values())
