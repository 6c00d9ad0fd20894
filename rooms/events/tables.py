"""Tables of detections: their content, and the reader of the own CSV.

    detections.csv              file, start, end, label, score, low, high, time (of the
        clock, if the recording's name has one)
    detections.selections.txt   Raven, all recordings as one sequence
    detections.list.txt         the recordings in the order of that sequence
    detections.tsv              DCASE: filename, onset, offset, event_label
    raven/<recording>.Table.1.selections.txt   Raven, one table per recording; a header
        alone if it has no detection
    counts.csv                  recording, day, hour, start, recorded_seconds, class,
        detections, seconds, problem: a row for each hour of a recording and class; a
        recording that could not be read has one row, with its problem

Names stand in the tables as they are, so that every reader reads them back the same.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.results.config import digest

COLUMNS = ("file", "start", "end", "label", "score", "low", "high", "time")
LONGEST_NAME = 150  # bytes: 255 at most, less what is added to a name
HOUR = 3600.0  # seconds
DIGITS = {"start": 4, "end": 4, "score": 4, "low": 1, "high": 1}  # decimals
# a day in a recording's name, and perhaps the time after it
MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?([01]\d|2[0-3])[-_:]?([0-5]\d)(?:[-_:]?([0-5]\d))?)?(?!\d)"
)


class Moment(NamedTuple):
    """When a recording begins."""

    begins: datetime
    timed: bool  # the name has the time, and not only the day


class Hour(NamedTuple):
    """The part of a recording in one hour."""

    day: str  # '' if the recording's name has none
    hour: str  # of the clock, likewise
    start: float  # seconds in the recording
    end: float


def moment_of(name: str) -> Moment | None:
    """The day and the time in a recording's name.

    >>> moment_of("north/SMU1_20260514_053000.wav").begins.isoformat()
    '2026-05-14T05:30:00'
    """
    match = MOMENT.search(Path(name).name)
    if not match:
        return None
    year, _, month, day, *clock = match.groups(default="0")
    hour, minute, second = map(int, clock)
    try:
        begins = datetime(int(year), int(month), int(day), hour, minute, second)
        return Moment(begins, bool(match[5]))
    except ValueError:  # the 31st of February
        return None


def hours_of(name: str, seconds: float) -> list[Hour]:
    """The hours of the clock in a recording that lasts so long; if its name has no
    time, hours from its beginning.

    >>> [(part.hour, part.end) for part in hours_of("20260531_233000.wav", 5400)]
    [('23', 1800.0), ('00', 5400)]
    """
    moment = moment_of(name)
    first = HOUR
    if moment and moment.timed:
        first -= 60 * moment.begins.minute + moment.begins.second
    edges = [0.0, *np.arange(first, seconds, HOUR).tolist(), seconds]
    hours = []
    for start, end in pairwise(edges):
        day = hour = ""
        if moment:
            now = moment.begins + timedelta(seconds=start)
            day = f"{now if moment.timed else moment.begins:%Y-%m-%d}"
            hour = f"{now:%H}" if moment.timed else ""
        hours.append(Hour(day, hour, start, end))
    return hours


def clock_times(detections: pd.DataFrame) -> list[str]:
    """The time of the clock at which each detection starts; '' if it is not known."""
    moments = {name: moment_of(name) for name in detections["file"].unique()}
    times = []
    for name, start in zip(detections["file"], detections["start"]):
        moment = moments[name]
        if moment and moment.timed:
            begins = moment.begins + timedelta(seconds=start)
            times.append(begins.isoformat(timespec="milliseconds"))
        else:
            times.append("")
    return times


def file_name(name: str) -> str:
    """The name, shortened if files whose names begin with it would have too long
    ones.
    """
    content = name.encode()
    if len(content) <= LONGEST_NAME:
        return name
    begin = content[:LONGEST_NAME].decode(errors="ignore")
    return f"{begin}-{digest(name)}"


def raven_table(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    begins: Mapping[str, float],
    top: float,
) -> pd.DataFrame:
    """Raven's table of detections.

    begins  seconds of a sequence of files before each recording; Raven opens files as
            one sequence
    top     Hz, the upper edge of a box if the frequencies are not known
    """
    begin = detections["file"].map(begins).to_numpy(float)
    return pd.DataFrame(
        {
            "Selection": range(1, len(detections) + 1),
            "View": "Spectrogram 1",
            "Channel": 1,
            "Begin Time (s)": (detections["start"] + begin).round(DIGITS["start"]),
            "End Time (s)": (detections["end"] + begin).round(DIGITS["end"]),
            "Low Freq (Hz)": detections["low"].fillna(0.0),
            "High Freq (Hz)": detections["high"].fillna(top),
            "Begin File": [Path(name).name for name in detections["file"]],
            "Begin Path": [str(files[name].absolute()) for name in detections["file"]],
            "File Offset (s)": detections["start"],
            "Annotation": detections["label"],
            "Score": detections["score"],
        }
    )


def count_detections(
    detections: pd.DataFrame,
    seconds: Mapping[str, float],
    problems: Mapping[str, str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """counts.csv: of recordings that last `seconds`, and of those that could not be
    read. A detection counts in the hour in which it starts.

    problems  also of recordings that were read in part
    """
    rows: list[tuple[object, ...]] = []
    for name, lasts in seconds.items():
        own = detections[detections["file"] == name]
        hours = hours_of(name, lasts)
        begins = [hour.start for hour in hours]
        number = np.searchsorted(begins, own["start"], side="right") - 1
        for place, hour in enumerate(hours):
            inside = own[number == place]
            lasting = (inside["end"] - inside["start"]).groupby(inside["label"])
            recorded = round(hour.end - hour.start, 3)
            of_hour = (name, hour.day, hour.hour, round(hour.start, 3), recorded)
            summed = lasting.agg(["size", "sum"]).reindex([*classes], fill_value=0)
            for label, size, total in summed.itertuples():
                problem = problems.get(name, "")
                rows.append((*of_hour, label, int(size), round(total, 3), problem))
    for name in problems.keys() - seconds.keys():
        (hour,) = hours_of(name, 0.0)
        rows.append(
            (name, hour.day, hour.hour, 0.0, 0.0, "", None, None, problems[name])
        )
    columns = [
        *("recording", "day", "hour", "start", "recorded_seconds", "class"),
        *("detections", "seconds", "problem"),
    ]
    return pd.DataFrame(rows, columns=columns).astype({"detections": "Int64"})


def as_text(table: pd.DataFrame, separator: str = "\t") -> str:
    return table.to_csv(sep=separator, index=False, lineterminator="\n")


def detection_tables(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    top: float,
) -> dict[str, str]:
    """The tables of all detections in recordings that last `seconds`: name of the file
    -> its content.
    """
    rounded = detections.assign(time=clock_times(detections)).round(DIGITS)
    lasts = np.array([*seconds.values()])
    begins = dict(zip(seconds, np.cumsum(lasts) - lasts))
    dcase = rounded[["file", "start", "end", "label"]].set_axis(
        ["filename", "onset", "offset", "event_label"], axis=1
    )
    return {
        "detections.csv": as_text(rounded, ","),
        "detections.selections.txt": as_text(raven_table(rounded, files, begins, top)),
        "detections.tsv": as_text(dcase),
        "detections.list.txt": "".join(
            f"{files[name].absolute()}\n" for name in seconds
        ),
    }


def raven_tables(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    top: float,
) -> dict[str, str]:
    """A Raven table for each recording: name of the file -> its content."""
    rounded = detections.round(DIGITS)
    nothing = dict.fromkeys(seconds, 0.0)
    tables = {}
    for name in seconds:
        own = rounded[rounded["file"] == name]
        parent, base = Path(name).parent, file_name(Path(name).name)
        place = Path("raven") / parent / f"{base}.Table.1.selections.txt"
        tables[place.as_posix()] = as_text(raven_table(own, files, nothing, top))
    return tables


def read_detections(file: Path) -> pd.DataFrame:
    """COLUMNS of detections.csv; RequestError if it is missing or damaged."""
    try:
        table = pd.read_csv(
            file,
            dtype={"file": str, "label": str, "time": str},
            keep_default_na=False,
        )
        if tuple(table) != COLUMNS:
            raise ValueError(f"expected the columns {', '.join(COLUMNS)}")
        for column in DIGITS:
            table[column] = pd.to_numeric(table[column])
    except (OSError, ValueError) as reason:
        raise RequestError(f"{file} cannot be read ({reason}): predict again") from None
    return table
