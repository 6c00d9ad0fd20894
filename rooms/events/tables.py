"""Tables of detections.

    detections.csv              file, start, end, label, score, time (of the clock, if
         the recording's name has one)
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

import numpy as np
import pandas as pd

from featurestack.results.config import digest

COLUMNS = ("file", "start", "end", "label", "score", "time")
COUNTS = (
    "recording",
    "day",
    "hour",
    "start",
    "recorded_seconds",
    "class",
    "detections",
    "seconds",
    "problem",
)
RAVEN = "raven"  # folder
LONGEST_NAME = 150  # bytes: 255 at most, less what is added to a name
HOUR = 3600.0  # seconds
DIGITS = {"start": 4, "end": 4, "score": 4}  # decimals
# a day in a recording's name, and perhaps the time after it
MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?([01]\d|2[0-3])[-_:]?([0-5]\d)(?:[-_:]?([0-5]\d))?)?(?!\d)"
)


def begin_of(name: str) -> tuple[str, datetime | None]:
    """The day in a recording's name, '' without one, and when it begins if the name
    has the time.

    >>> begin_of("north/SMU1_20260514_053000.wav")
    ('2026-05-14', datetime.datetime(2026, 5, 14, 5, 30))
    """
    match = MOMENT.search(Path(name).name)
    if not match:
        return "", None
    year, _, month, day, *clock = match.groups(default="0")
    try:
        begins = datetime(*map(int, (year, month, day, *clock)))  # type: ignore[arg-type]
    except ValueError:  # the 31st of February
        return "", None
    return f"{begins:%Y-%m-%d}", begins if match[5] else None


def hours_of(name: str, seconds: float) -> list[tuple[str, str, float, float]]:
    """Day, hour, start and end of the clock's hours in a recording of so many seconds;
    if its name has no time, of the hours from its beginning.

    >>> hours_of("20260531_233000.wav", 5400)[1]
    ('2026-06-01', '00', 1800.0, 5400)
    """
    day, begins = begin_of(name)
    first = HOUR - (60 * begins.minute + begins.second if begins else 0)
    edges = [0.0, *np.arange(first, seconds, HOUR).tolist(), seconds]
    hours = []
    for start, end in pairwise(edges):
        now = begins + timedelta(seconds=start) if begins else None
        clock = (f"{now:%Y-%m-%d}", f"{now:%H}") if now else (day, "")
        hours.append((*clock, start, end))
    return hours


def clock_times(detections: pd.DataFrame) -> list[str]:
    """The time of the clock at which each detection starts; '' if it is not known."""
    begins = {name: begin_of(name)[1] for name in detections["file"].unique()}
    times = []
    for name, start in zip(detections["file"], detections["start"]):
        begin = begins[name]
        now = begin + timedelta(seconds=start) if begin else None
        times.append(now.isoformat(timespec="milliseconds") if now else "")
    return times


def file_name(name: str) -> str:
    """The name, shortened if names that begin with it would be too long."""
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
    """Raven's table of detections; Raven opens files as one sequence, in which `begins`
    (s) are the recordings' places. Boxes end at the frequency `top` (Hz).
    """
    begin = detections["file"].map(begins).to_numpy(float)
    return pd.DataFrame(
        {
            "Selection": range(1, len(detections) + 1),
            "View": "Spectrogram 1",
            "Channel": 1,
            "Begin Time (s)": (detections["start"] + begin).round(DIGITS["start"]),
            "End Time (s)": (detections["end"] + begin).round(DIGITS["end"]),
            "Low Freq (Hz)": 0.0,
            "High Freq (Hz)": top,
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
    """
    rows: list[tuple[object, ...]] = []
    for name, lasts in seconds.items():
        own = detections[detections["file"] == name]
        for day, hour, start, end in hours_of(name, lasts):
            inside = own[own["start"].between(start, end, inclusive="left")]
            lasting = (inside["end"] - inside["start"]).groupby(inside["label"])
            summed = lasting.agg(["size", "sum"]).reindex([*classes], fill_value=0)
            of_hour = name, day, hour, round(start, 3), round(end - start, 3)
            for label, size, total in summed.itertuples():
                counts = label, int(size), round(total, 3)
                rows.append((*of_hour, *counts, problems.get(name, "")))
    for name in problems.keys() - seconds.keys():
        ((day, hour, *_),) = hours_of(name, 0.0)
        rows.append((name, day, hour, 0.0, 0.0, "", None, None, problems[name]))
    return pd.DataFrame(rows, columns=[*COUNTS]).astype({"detections": "Int64"})


def detection_tables(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    top: float,
) -> dict[str, str]:
    """Name of each table of detections (COLUMNS) -> its content."""
    tables = {"detections.csv": as_text(detections, ",")}
    for name in seconds:
        own = detections[detections["file"] == name]
        base = f"{file_name(Path(name).name)}.Table.1.selections.txt"
        place = (Path(RAVEN) / name).with_name(base)
        tables[place.as_posix()] = as_text(raven_table(own, files, {name: 0.0}, top))
    return tables


def as_text(table: pd.DataFrame, separator: str = "\t") -> str:
    return table.to_csv(sep=separator, index=False, lineterminator="\n")
