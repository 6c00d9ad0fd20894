"""Tables of detections.

    detections.csv              file, start, end, label, score
    raven/<recording>.Table.1.selections.txt   Raven, one table per recording; a header
        alone if it has no detection. The column of labels is called as in the
        annotation tables; boxes have the median frequencies of the class's marks
    counts.csv                  recording, seconds, problem; then the number of
        detections of each class

Names stand in the tables as they are, so that every reader reads them back the same.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from featurestack.sound_events.frames import Rule

RECORD = ".predict.json"  # the record of the tables in a folder
COLUMNS = ("file", "start", "end", "label", "score")
RAVEN = "raven"  # folder
DIGITS = {"start": 4, "end": 4, "score": 4}  # decimals


def raven_table(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    rules: Mapping[str, Rule],
    top: float,
) -> pd.DataFrame:
    """Raven's table of detections; boxes of unknown frequencies end at `top` (Hz)."""
    own = [rules[label] for label in detections["label"]]
    column = next(iter(rules.values())).column
    return pd.DataFrame(
        {
            "Selection": range(1, len(detections) + 1),
            "View": "Spectrogram 1",
            "Channel": 1,
            "Begin Time (s)": detections["start"],
            "End Time (s)": detections["end"],
            "Low Freq (Hz)": [rule.low for rule in own],
            "High Freq (Hz)": [rule.high or top for rule in own],
            "Begin File": [Path(name).name for name in detections["file"]],
            "Begin Path": [str(files[name].absolute()) for name in detections["file"]],
            "File Offset (s)": detections["start"],
            column: detections["label"],
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
    names = [*dict.fromkeys([*seconds, *problems])]
    counts = pd.crosstab(detections["file"], detections["label"])
    counts = counts.reindex(index=names, columns=[*classes], fill_value=0)
    counts.insert(0, "seconds", [round(seconds.get(name, 0.0), 3) for name in names])
    counts.insert(1, "problem", [problems.get(name, "") for name in names])
    return counts.rename_axis("recording").reset_index()


def detection_tables(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    rules: Mapping[str, Rule],
    top: float,
) -> dict[str, str]:
    """Name of each table of detections (COLUMNS) -> its content."""
    tables = {"detections.csv": as_text(detections, ",")}
    for name in seconds:
        own = detections[detections["file"] == name]
        base = f"{Path(name).name}.Table.1.selections.txt"
        place = (Path(RAVEN) / name).with_name(base)
        table = raven_table(own, files, rules, top)
        tables[place.as_posix()] = as_text(table)
    return tables


def as_text(table: pd.DataFrame, separator: str = "\t") -> str:
    return table.to_csv(sep=separator, index=False, lineterminator="\n")
