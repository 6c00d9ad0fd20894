"""A long recording window by window: a CSV, labels for Audacity, a figure.

Of an hour of audio no more than a batch of windows is ever in memory, and the predictions.
"""

import csv
import io
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soxr

from commandline.files import replace_file, replaced
from commandline.terminal import no_formula, tell
from train.bundle import Probabilities
from train.rejection import Rejection, Samples

if TYPE_CHECKING:
    from train.predict import FeatureExtractor

DRAWN = 8  # classes in the figure: those that are ever the most probable, the commonest first


class Window(NamedTuple):
    """A piece of a recording: where it begins and ends, in seconds, and its samples."""

    start: float
    end: float
    y: Samples


def windows(blocks: Iterable[Samples], sample_rate: int, samples: int, hop: int) -> Iterator[Window]:
    """Windows of `samples`, one each `hop`, from blocks of any length.

    The last one is the first to reach the recording's end, and may be shorter; of a recording without a
    sample there is one, empty.
    """
    rest, start = np.zeros(0, np.float32), 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) > samples:  # more than one window: this one does not reach the end
            yield Window(start / sample_rate, (start + samples) / sample_rate, rest[:samples])
            rest, start = rest[hop:], start + hop
    yield Window(start / sample_rate, (start + len(rest)) / sample_rate, rest)


def resampled(blocks: Iterable[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without a seam between them."""
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


class Row(NamedTuple):
    """The prediction for `start` to `end` seconds: (K,) probabilities, which may count as no answer."""

    start: float
    end: float
    probabilities: Probabilities
    answered: bool = True


def output_paths(files: Sequence[Path], folder: Path) -> list[Path]:
    """A place in `folder` for each file's timeline, without an ending, as the files lie to each other.

    Those that differ in their ending alone keep it.
    """
    root = os.path.commonpath([file.parent for file in files])
    places = [file.relative_to(root) for file in files]
    same = Counter(place.with_suffix("") for place in places)
    paths = [place if same[place.with_suffix("")] > 1 else place.with_suffix("") for place in places]
    return [folder / place for place in paths]


def write_timeline(rows: Iterable[Row], classes: list[str], target: Path, title: str) -> None:
    """<target>.csv, <target>.txt with Audacity's labels, <target>.png; and its segments, in lines."""
    kept = []
    with replaced(Path(f"{target}.csv")) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["start", "end", "predicted", *map(no_formula, classes)])
        for row in rows:
            kept.append(row)
            predicted = classes[int(row.probabilities.argmax())] if row.answered else ""
            numbers = (f"{p:.6g}" for p in row.probabilities)
            table.writerow([f"{row.start:.3f}", f"{row.end:.3f}", no_formula(predicted), *numbers])
    segments = merge_windows(kept, classes)
    labels = "".join(f"{start:.3f}\t{end:.3f}\t{name}\n" for start, end, name, _ in segments)
    replace_file(Path(f"{target}.txt"), labels.encode("utf-8"))
    plot(kept, classes, Path(f"{target}.png"), title)
    for start, end, name, probability in segments:
        print(f"{clock(start)}  {clock(end)}  {name}  {probability:.2f}")
    tell(f"{target}.csv .txt .png")


def predict_windows(
    recording: Iterable[Window],
    extractor: "FeatureExtractor",
    probabilities: Callable[..., Probabilities],
    rejection: Rejection,
) -> Iterator[Row]:
    """The predictions for windows, as they come, by `TrainedModel.probabilities`."""
    waiting: deque[tuple[float, float, bool]] = deque()  # start, end, loud enough

    def clips() -> Iterator[Samples]:
        for start, end, y in recording:
            waiting.append((start, end, rejection.loud(y, extractor.sample_rate)))
            yield y

    for values, filled in extractor.batches(clips()):
        predicted = probabilities(values, filled=filled)
        for answer, sure in zip(predicted, rejection.sure(predicted)):
            start, end, loud = waiting.popleft()
            yield Row(start, end, answer, bool(loud and sure))


def merge_windows(rows: Sequence[Row], classes: list[str]) -> list[tuple[float, float, str, float]]:
    """Segments of one class: start, end (where the next window begins), class, mean probability.

    Windows without an answer are in none.
    """
    best = [int(row.probabilities.argmax()) if row.answered else -1 for row in rows]
    cuts = [0, *(i for i in range(1, len(rows)) if best[i] != best[i - 1]), len(rows)]
    segments = []
    for first, last in pairwise(cuts):
        if best[first] < 0:
            continue
        end = rows[last].start if last < len(rows) else rows[-1].end
        mean = float(np.mean([row.probabilities[best[first]] for row in rows[first:last]]))
        segments.append((rows[first].start, end, classes[best[first]], mean))
    return segments


def plot(rows: Sequence[Row], classes: list[str], file: Path, title: str) -> None:
    """The probabilities of the commonest classes over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    probabilities = np.array([row.probabilities for row in rows])  # (windows, K)
    won = np.bincount(probabilities.argmax(axis=1), minlength=len(classes))
    drawn = [k for k in np.argsort(-won, kind="stable")[:DRAWN] if won[k]]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(drawn)), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    edges = [*(row.start for row in rows), rows[-1].end]
    image = ax.pcolormesh(
        edges, np.arange(len(drawn) + 1), probabilities[:, drawn].T, vmin=0, vmax=1, cmap="Greys"
    )
    ax.set_yticks(np.arange(len(drawn)) + 0.5, [classes[k] for k in drawn])
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    ax.set_title(title, fontsize=9, parse_math=False)
    figure.colorbar(image, ax=ax, label="probability")
    content = io.BytesIO()
    figure.savefig(content, dpi=130, format="png")
    replace_file(file, content.getvalue())


def clock(seconds: float) -> str:
    """`0:00:02.5`."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{rest:04.1f}"
