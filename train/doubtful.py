"""`predict DOUBTFUL=20`: the windows whose annotation would teach a model most, to look
at next.

The margin of a window is the smallest distance between a class's probability and its
threshold; without thresholds, between the two most probable classes. (Margin sampling,
Scheffer et al. 2001.)
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.pipeline import audio
from featurestack.results.windows import BACKGROUND
from featurestack.storage.files import replace_file
from featurestack.train.detect import Detections, Rules, detection_formats

CONTEXT = 1.0  # seconds before and after a window in its cut


def margins(probabilities: pd.DataFrame, rules: Rules) -> pd.Series:
    """The margin (W,) of windows, from probabilities (W, K)."""
    values = probabilities.to_numpy(float)
    if rules:
        names = probabilities.columns.drop(BACKGROUND, errors="ignore")
        thresholds = np.array([rules[name].threshold for name in names])
        distance = np.abs(probabilities[names].to_numpy(float) - thresholds)
        return pd.Series(distance.min(axis=1), probabilities.index)
    ordered = np.sort(values, axis=1)
    return pd.Series(ordered[:, -1] - ordered[:, -2], probabilities.index)


def doubtful_windows(
    windows: pd.DataFrame,
    probabilities: pd.DataFrame,
    rules: Rules,
    count: int,
) -> pd.DataFrame:
    """The `count` windows of smallest margin that do not overlap, most doubtful first.

    windows        (W) file, start, end
    probabilities  (W, K)

    The columns are those of `join_windows`; the label is the most probable class.
    """
    names = probabilities.columns.drop(BACKGROUND, errors="ignore")
    table = windows[["file", "start", "end"]].assign(
        label=probabilities[names].idxmax(axis=1),
        mean=probabilities[names].max(axis=1),
        largest=probabilities[names].max(axis=1),
    )
    ordered = table.loc[margins(probabilities, rules).sort_values(kind="stable").index]
    taken: dict[str, list[tuple[float, float]]] = {}
    rows: list[object] = []
    for row in ordered.itertuples():
        if len(rows) == count:
            break
        spans = taken.setdefault(row.file, [])
        if all(row.end <= start or end <= row.start for start, end in spans):
            spans.append((row.start, row.end))
            rows.append(row.Index)
    return table.loc[rows].reset_index(drop=True)


def write_doubtful(
    detections: Detections,
    recordings: Mapping[str, Path],
    rules: Rules,
    count: int,
    folder: Path,
) -> None:
    """Write doubtful.selections.txt (Raven), and a cut of each window, with CONTEXT, to
    doubtful/.
    """
    decided = detections.decided
    table = doubtful_windows(decided.windows, decided.probabilities, rules, count)
    rate = detections.windowing.sample_rate
    raven = detection_formats(table, detections.seconds, rate / 2)["selections.txt"]
    cuts = folder / "doubtful"
    cuts.mkdir(parents=True, exist_ok=True)
    for former in cuts.glob("[0-9]*@*.wav"):
        former.unlink()
    digits = len(str(len(table)))
    for number, row in enumerate(table.itertuples(), start=1):
        start = max(0.0, row.start - CONTEXT)
        end = min(row.end + CONTEXT, float(detections.durations[row.file]))
        samples = round((end - start) * rate)
        y = audio.load_clip(recordings[row.file], rate, samples, (start, end))
        name = f"{number:0{digits}}-{Path(row.file).stem}@{row.start:g}.wav"
        soundfile.write(cuts / name, y, rate)
    replace_file(folder / "doubtful.selections.txt", raven)
    tell(
        f"{folder / 'doubtful.selections.txt'}, {cuts}:"
        f" {counted(len(table), 'window')}, the most doubtful first"
    )
