"""Files that predict writes about recordings: windows, labels for Audacity, a figure,
detections, scores.

`windows` and `resampled` work block by block, so that a long recording is never in
memory as a whole.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soxr

from featurestack.commandline.quantities import counted
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import tell
from featurestack.results.windows import middles
from featurestack.storage.files import replace_file
from featurestack.train.rejection import Samples

# decimal places; times are in seconds
DIGITS = {"start": 3, "end": 3, "mean": 4, "largest": 4}
# Columns of scores.csv that are printed -> their headings.
SCORES_SHOWN = {
    "window_precision": "precision",
    "window_recall": "recall",
    "window_f1": "F1",
    "window_average_precision": "AP",
    "events": "events",
    "event_recall": "found",
    "false_alarms": "false/h",
    "f1_iou": "F1 IoU",
    "best_f1_iou": "perfect",
    "f1_collar": "F1 collar",
    "best_f1_collar": "perfect",
}
# largest number of classes in a figure: those that are most probable in most windows
DRAWN = 20

Span = tuple[float, float]  # start and end of a window, in seconds


def windows(
    blocks: Iterable[Samples], sample_rate: int, samples: int, hop: int
) -> Iterator[tuple[Span, Samples]]:
    """Windows of `samples` samples, one every `hop` samples, from blocks of any length.

    The last window ends with the recording. A recording shorter than a window is one
    shorter window.
    """
    # `before`: the hop of samples before `rest`
    before = rest = np.zeros(0, np.float32)
    start = 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        # more than one window: this one does not reach the end
        while len(rest) > samples:
            yield (start / sample_rate, (start + samples) / sample_rate), rest[:samples]
            before, rest = rest[:hop], rest[hop:]
            start += hop
    end = start + len(rest)
    last = np.concatenate([before, rest])[-samples:]
    yield ((end - len(last)) / sample_rate, end / sample_rate), last


def resampled(
    blocks: Iterable[Samples], rate: int, sample_rate: int
) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without discontinuities between
    them.
    """
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def output_paths(files: Sequence[Path], folder: Path) -> list[Path]:
    """A path in `folder` for each file's timeline, without extension; relative folders
    are kept.

    Files that differ only in their extension keep it.
    """
    root = os.path.commonpath([file.parent for file in files])
    places = [file.relative_to(root) for file in files]
    same = Counter(place.with_suffix("") for place in places)
    return [
        folder / (place if same[place.with_suffix("")] > 1 else place.with_suffix(""))
        for place in places
    ]


def write_timeline(
    windows: pd.DataFrame,
    probabilities: pd.DataFrame,
    detections: pd.DataFrame,
    target: Path,
) -> None:
    """Write <target>.csv, .txt with Audacity's labels and .png of one recording; print
    its detections.

    windows        file, start, end, `predicted` (see `AudioModel.predict`)
    probabilities  (windows, K), a column for each class
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    spans = windows[["start", "end", "predicted"]].round(3)
    replace_file(
        Path(f"{target}.csv"), as_csv(pd.concat([spans, probabilities], axis=1))
    )
    labels = detections[["start", "end", "label"]]
    replace_file(
        Path(f"{target}.txt"),
        labels.to_csv(sep="\t", header=False, index=False, float_format="%.3f"),
    )
    replace_file(Path(f"{target}.png"), draw(windows, probabilities, target.name))
    tell(f"{target}.csv .txt .png")
    print(f"{windows['file'].iloc[0]}: {counted(len(detections), 'detection')}")
    for _, start, end, name, mean, _ in detections.itertuples(index=False):
        print(f"{start:10.3f} {end:10.3f}  {name}  {mean:.2f}")


def write_detections(
    detections: pd.DataFrame, durations: pd.Series, top: float, folder: Path
) -> None:
    """Write the detections of all recordings: detections.csv, .selections.txt (Raven),
    .tsv (DCASE).

    durations  name of a recording -> seconds
    top        Hz, the upper edge of Raven's boxes
    """
    table = detections.rename(columns={"label": "class"}).round(DIGITS)
    # Raven opens files as one sequence
    begin = detections["file"].map(durations.cumsum() - durations)
    raven = {
        "Selection": range(1, len(table) + 1),
        "View": "Spectrogram 1",
        "Channel": 1,
        "Begin Time (s)": table["start"] + begin,
        "End Time (s)": table["end"] + begin,
        "Low Freq (Hz)": 0,
        "High Freq (Hz)": top,
        "Begin File": table["file"],
        "File Offset (s)": table["start"],
        "Annotation": table["class"],
        "Score": table["largest"],
    }
    dcase = table.iloc[:, :4].set_axis(
        ["filename", "onset", "offset", "event_label"], axis=1
    )
    written = {"csv": as_csv(table)}
    for ending, columns in {
        "selections.txt": pd.DataFrame(raven).round(DIGITS),
        "tsv": dcase,
    }.items():
        written[ending] = columns.to_csv(sep="\t", index=False, lineterminator="\n")
    for ending, text in written.items():
        replace_file(folder / f"detections.{ending}", text)
    tell(
        f"{folder / 'detections'}.{{{','.join(written)}}}:"
        f" {counted(len(table), 'detection')}"
    )


def write_scores(scores: pd.DataFrame, folder: Path) -> None:
    """Write scores.csv from the table of `detection_scores`; print its main columns."""
    replace_file(folder / "scores.csv", as_csv(scores.reset_index()))
    digits = {
        name: 0 if name in ("events", "false_alarms") else 2 for name in SCORES_SHOWN
    }
    columns = [
        scores[name].map(f"{{:,.{places}f}}".format) for name, places in digits.items()
    ]
    rows = zip(scores.index, *(column.replace("nan", "-") for column in columns))
    print(text_table(list(rows), ["", *SCORES_SHOWN.values()]))
    tell(f"{folder / 'scores.csv'}")


def time_edges(windows: pd.DataFrame) -> list[float]:
    """The borders of the times that the windows of one recording stand for, as in its
    detections: each stands for the hop in its middle.
    """
    middle = middles(windows, hop=np.inf)
    return [*middle["start"], middle["end"].iloc[-1]]


def draw(windows: pd.DataFrame, probabilities: pd.DataFrame, title: str) -> bytes:
    """A figure of the probabilities of up to DRAWN classes over time, as PNG."""
    from matplotlib.figure import Figure

    drawn = probabilities.idxmax(axis=1).value_counts().index[:DRAWN]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(drawn)), layout="constrained")
    ax = figure.subplots()
    image = ax.pcolormesh(
        time_edges(windows),
        np.arange(len(drawn) + 1),
        probabilities[drawn].T,
        vmin=0,
        vmax=1,
        cmap="Greys",
    )
    ax.set_yticks(np.arange(len(drawn)) + 0.5, drawn)
    ax.set_ylabel(f"{len(drawn)} of {probabilities.shape[1]} classes")
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    ax.set_title(title, fontsize=9, parse_math=False)
    figure.colorbar(image, ax=ax, label="probability")
    content = io.BytesIO()
    figure.savefig(content, dpi=130, format="png")
    return content.getvalue()
