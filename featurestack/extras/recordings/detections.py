"""Detections: `make predict AUDIO=recordings THRESHOLD=0.5`.

    detections.csv                             file, start, end, label, score
    raven/<recording>.Table.1.selections.txt   a selection table for each recording,
                                               whose ending is left out if it can be
    audacity/<recording>.txt                   a label track, if there is a detection

A detection is a row of consecutive windows whose probability of a class is above its
threshold; its score is their highest. Each window stands for the hop in its middle, the
first and the last one of a recording up to its ends.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featurestack.base.files import without_dots
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import tell, text_table
from featurestack.extras.recordings import DETECTED
from featurestack.extras.recordings.check import write_check_page
from featurestack.predict.options import PredictOptions, class_thresholds

if TYPE_CHECKING:
    from featurestack.predict.model import Model

DETECTION_COLUMNS = ("file", "start", "end", "label", "score")
NO_COUNT = (
    "neighbouring sounds closer than one window are one stretch: this is no count of"
    " calls"
)
TABLE_DECIMALS = 4  # decimals of seconds and scores
CANDIDATE = 0.5  # share of the thresholds above which a check draws candidates too


def single_windows(
    windows: pd.DataFrame, thresholds: Mapping[str, float]
) -> pd.DataFrame:
    """DETECTION_COLUMNS of every window and class above the class's threshold."""
    every = windows.melt(["file", "start", "end"], [*thresholds], "label", "score")
    return every[every["score"] > every["label"].map(thresholds)]


def merge_windows(
    windows: pd.DataFrame, thresholds: Mapping[str, float]
) -> pd.DataFrame:
    """DETECTION_COLUMNS of the detections in windows (file, start, end, a probability
    for each class).
    """

    def of_class(
        file: str, edges: np.ndarray, label: str, probability: np.ndarray
    ) -> Iterator[tuple[str, float, float, str, float]]:
        above = probability > thresholds[label]
        changes = np.flatnonzero(np.diff(above, prepend=False, append=False))
        for first, after in changes.reshape(-1, 2):
            score = probability[first:after].max()
            yield file, edges[first], edges[after], label, score

    rows: list[tuple[str, float, float, str, float]] = []
    for file, of_file in windows.sort_values(["file", "start"]).groupby("file"):
        middle = (of_file["start"] + of_file["end"]).to_numpy() / 2
        between = (middle[1:] + middle[:-1]) / 2
        edges = np.concatenate([of_file["start"][:1], between, of_file["end"][-1:]])
        for label in thresholds:
            rows += of_class(str(file), edges, label, of_file[label].to_numpy(float))
    return pd.DataFrame(rows, columns=[*DETECTION_COLUMNS])


def write_detections(
    options: PredictOptions,
    model: "Model",
    files: Mapping[str, Path],
    windows: pd.DataFrame,
    folder: Path,
) -> None:
    """Write the tables of detections in the windows of recordings, and the page of
    CHECK. Without THRESHOLD, CHECK draws single windows.
    """
    name_of = {str(path): name for name, path in files.items()}
    windows = windows.assign(file=windows["file"].map(name_of))
    usual = dict.fromkeys(model.classes, 0.5) | model.thresholds
    thresholds = class_thresholds(options.threshold, model.classes, usual)
    merged = bool(options.threshold)
    every = candidates(windows, thresholds, merged=merged)
    if merged:
        found = every[every["predicted"]]
        tell_detections(found, windows["file"].nunique())
        write_tables(found, {n: files[n] for n in windows["file"].unique()}, folder)
    if options.check:
        unit = "detection" if merged else "window"
        seconds = windows.groupby("file")["end"].max().to_dict()
        write_check_page(every, unit, files, seconds, model, options, folder)


def candidates(
    windows: pd.DataFrame, thresholds: Mapping[str, float], *, merged: bool = True
) -> pd.DataFrame:
    """What a check draws from: DETECTION_COLUMNS, and whether it is `predicted`."""
    find = merge_windows if merged else single_windows
    found = find(windows, thresholds)
    less = find(windows, {n: CANDIDATE * value for n, value in thresholds.items()})
    less = less[less["score"] <= less["label"].map(thresholds)]
    parts = [found.assign(predicted=True), less.assign(predicted=False)]
    return pd.concat(parts, ignore_index=True)


def tell_detections(detections: pd.DataFrame, recordings: int) -> None:
    lasts = detections["end"] - detections["start"]
    of_class = detections.assign(lasts=lasts).groupby("label")
    rows = [
        (
            name,
            f"{len(stretches):,}",
            f"{stretches['lasts'].sum():,.1f}",
            stretches["file"].nunique(),
        )
        for name, stretches in of_class
    ]
    print(text_table(rows, ["class", "stretches", "seconds", "recordings"]))
    number = counted(len(detections), "detection")
    tell(f"{number} in {counted(recordings, 'recording')}; {NO_COUNT}")


def write_tables(
    detections: pd.DataFrame, files: Mapping[str, Path], folder: Path
) -> None:
    """Write the tables in place of an earlier call's; what a person changed stays. Each
    folder of tables has a record of its own, which a copy of the folder keeps.
    """
    rows = detections.sort_values(["file", "start", "label"]).round(TABLE_DECIMALS)
    raven, audacity = dict[str, str](), dict[str, str]()
    of_stem = Counter(Path(name).with_suffix("") for name in files)
    for name, path in files.items():
        of_file = rows[rows["file"] == name]
        stem = Path(name).with_suffix("")
        alone = of_stem[stem] == 1 and str(stem) not in files
        title = stem if alone else name  # a.wav beside a.flac
        selections = pd.DataFrame(
            {
                "Selection": range(1, len(of_file) + 1),
                "View": "Spectrogram 1",
                "Channel": 1,
                "Begin Time (s)": of_file["start"],
                "End Time (s)": of_file["end"],
                "Begin File": Path(name).name,
                "Begin Path": str(without_dots(path)),
                "File Offset (s)": of_file["start"],
                "Annotation": of_file["label"],
                "Score": of_file["score"],
            }
        )
        raven[f"{title}.Table.1.selections.txt"] = csv_text(selections, "\t")
        if len(of_file):  # an empty track would say that there is nothing
            track = of_file[["start", "end", "label"]].itertuples(index=False)
            lines = ["\t".join(" ".join(str(x).split()) for x in row) for row in track]
            audacity[f"{name}.txt"] = "\n".join([*lines, ""])
    tell(f"{folder / 'detections.csv'}, raven, audacity")
    detected = {"detections.csv": csv_text(rows)}
    for place, tables in ((".", detected), ("raven", raven), ("audacity", audacity)):
        own_files = OwnFiles(folder / place, DETECTED)
        own_files.write(tables)
        for name in own_files.remove_others():
            tell(f"{own_files.folder / name}: kept because you changed it")
