"""Tables of detections: their writers, and the reader of the own CSV.

    detections.csv              file, start, end, label, score, low, high
    detections.selections.txt   Raven, all recordings as one sequence
    detections.list.txt         the recordings in the order of that sequence
    detections.tsv              DCASE: filename, onset, offset, event_label
    raven/<recording>.Table.1.selections.txt   Raven, one table per recording
    counts.csv                  recording, day, hour, recorded_seconds, class,
        detections, seconds, problem: a row for each recording and class; a recording
        that could not be read has one row, with its problem

Names stand in the tables as they are, so that every reader reads them back the same.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.results.config import digest
from featurestack.storage.files import replace_file

COLUMNS = ("file", "start", "end", "label", "score", "low", "high")
LONGEST_NAME = 150  # bytes: 255 at most, less what is added to a name
DIGITS = {"start": 4, "end": 4, "score": 4, "low": 1, "high": 1}  # decimals
# a day in a recording's name, and perhaps the hour after it
MOMENT = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?([01]\d|2[0-3])[-_:]?[0-5]\d(?:[-_:]?[0-5]\d)?)?(?!\d)"
)


def moment_of(name: str) -> tuple[str, str]:
    """The day and the hour in a recording's name, each '' if it is not there.

    >>> moment_of("north/SMU1_20260514_053000.wav")
    ('2026-05-14', '05')
    """
    match = MOMENT.search(Path(name).name)
    if not match:
        return "", ""
    return f"{match[1]}-{match[3]}-{match[4]}", match[5] or ""


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
    read.

    problems  also of recordings that were read in part
    """
    unread = {name: own for name, own in problems.items() if name not in seconds}
    rows = pd.MultiIndex.from_product([[*seconds], classes])
    lasting = detections["end"] - detections["start"]
    by_class = lasting.groupby([detections["file"], detections["label"]])
    summed = by_class.agg(["size", "sum"]).reindex(rows, fill_value=0)
    names = [*rows.get_level_values(0), *unread]
    moments = [moment_of(name) for name in names]
    lacking = [np.nan] * len(unread)
    return pd.DataFrame(
        {
            "recording": names,
            "day": [day for day, _ in moments],
            "hour": [hour for _, hour in moments],
            "recorded_seconds": [round(seconds.get(name, 0.0), 3) for name in names],
            "class": [*rows.get_level_values(1), *[""] * len(unread)],
            "detections": pd.array([*summed["size"], *lacking], "Int64"),
            "seconds": [*summed["sum"].astype(float).round(3), *lacking],
            "problem": [problems.get(name, "") for name in names],
        }
    )


def write_detections(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    top: float,
    folder: Path,
) -> list[Path]:
    """Write the tables of detections of recordings that last `seconds`; returns the
    files of all recordings together.
    """

    def write(file: Path, table: pd.DataFrame, separator: str = "\t") -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = table.to_csv(sep=separator, index=False, lineterminator="\n")
        replace_file(file, text)
        return file

    rounded = detections.round(DIGITS)
    lasts = np.array([*seconds.values()])
    begins = dict(zip(seconds, np.cumsum(lasts) - lasts))
    nothing = dict.fromkeys(seconds, 0.0)
    for name, own in rounded.groupby("file"):
        parent, base = Path(name).parent, file_name(Path(name).name)
        place = folder / "raven" / parent / f"{base}.Table.1.selections.txt"
        write(place, raven_table(own, files, nothing, top))
    dcase = rounded[["file", "start", "end", "label"]].set_axis(
        ["filename", "onset", "offset", "event_label"], axis=1
    )
    listed = "".join(f"{files[name].absolute()}\n" for name in seconds)
    replace_file(folder / "detections.list.txt", listed)
    return [
        write(folder / "detections.csv", rounded, ","),
        write(
            folder / "detections.selections.txt",
            raven_table(rounded, files, begins, top),
        ),
        write(folder / "detections.tsv", dcase),
    ]


def read_detections(file: Path) -> pd.DataFrame:
    """COLUMNS of detections.csv; RequestError if it is missing or damaged."""
    try:
        table = pd.read_csv(
            file, dtype={"file": str, "label": str}, keep_default_na=False
        )
        if tuple(table) != COLUMNS:
            raise ValueError(f"expected the columns {', '.join(COLUMNS)}")
        for column in DIGITS:
            table[column] = pd.to_numeric(table[column])
    except (OSError, ValueError) as reason:
        raise RequestError(f"{file} cannot be read ({reason}): predict again") from None
    return table
