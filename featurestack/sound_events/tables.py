"""Tables of detections.

    detections.csv              file, start, end, label, score
    raven/<recording>.Table.1.selections.txt   Raven, one table per recording; a header
        alone if it has no detection
    counts.csv                  recording, recorded_seconds, class, detections, seconds,
        problem: a row for each recording and class; a recording that could not be read
        has one row, with its problem

Names stand in the tables as they are, so that every reader reads them back the same.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

COLUMNS = ("file", "start", "end", "label", "score")
RAVEN = "raven"  # folder
DIGITS = {"start": 4, "end": 4, "score": 4}  # decimals


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
    read.
    """
    lasts = detections["end"] - detections["start"]
    sums = lasts.groupby([detections["file"], detections["label"]]).agg(["size", "sum"])
    every = pd.MultiIndex.from_product(
        [[*seconds], [*classes]], names=["recording", "class"]
    )
    counts = sums.reindex(every, fill_value=0).reset_index()
    counts = counts.rename(columns={"size": "detections", "sum": "seconds"})
    names = counts["recording"]
    counts.insert(1, "recorded_seconds", names.map(seconds))
    counts["problem"] = [problems.get(name, "") for name in names]
    unread = {n: text for n, text in problems.items() if n not in seconds}
    rows = pd.DataFrame({"recording": [*unread], "problem": [*unread.values()]})
    counts = pd.concat([counts, rows.assign(recorded_seconds=0.0)], ignore_index=True)
    return counts.astype({"detections": "Int64"}).round(3)


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
        base = f"{Path(name).name}.Table.1.selections.txt"
        place = (Path(RAVEN) / name).with_name(base)
        tables[place.as_posix()] = as_text(raven_table(own, files, {name: 0.0}, top))
    return tables


def as_text(table: pd.DataFrame, separator: str = "\t") -> str:
    return table.to_csv(sep=separator, index=False, lineterminator="\n")
