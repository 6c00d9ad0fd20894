"""A long recording window by window: a CSV, labels for Audacity, a picture.

Of an hour of sound no more than a batch of windows is ever in memory, and the answers.
"""

import csv
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from commandline import tell
from train.trained import Probabilities, Values
from train.windows import Samples, Window

SHOWN = 8  # classes in the picture: those that are ever the most probable, the commonest first


class Row(NamedTuple):
    """What was heard from `start` to `end` seconds: (K,) probabilities."""

    start: float
    end: float
    answer: Probabilities


def targets(files: Sequence[Path], folder: Path) -> list[Path]:
    """A place in `folder` for each file's timeline, without an ending, as the files lie to each other.

    Those that differ in their ending alone keep it.
    """
    root = os.path.commonpath([file.parent for file in files])
    places = [file.relative_to(root) for file in files]
    alike = Counter(place.with_suffix("") for place in places)
    bare = [place if alike[place.with_suffix("")] > 1 else place.with_suffix("") for place in places]
    return [folder / place for place in bare]


def write(rows: Iterable[Row], classes: list[str], target: Path, title: str) -> None:
    """<target>.csv, <target>.txt with Audacity's labels, <target>.png; and what was heard, in lines."""
    with Path(f"{target}.csv").open("w", newline="", encoding="utf-8") as table:
        kept = list(_writing(table, classes, rows))
    spans = merge(kept, classes)
    labels = "".join(f"{start:.3f}\t{end:.3f}\t{name}\n" for start, end, name, _ in spans)
    Path(f"{target}.txt").write_text(labels, encoding="utf-8")
    picture(kept, classes, Path(f"{target}.png"), title)
    for start, end, name, probability in spans:
        print(f"{clock(start)}  {clock(end)}  {name}  {probability:.2f}")
    tell(f"{target}.csv .txt .png")


def answered(
    pieces: Iterable[Window],
    batches: Callable[[Iterator[Samples]], Iterator[Values]],
    probabilities: Callable[[Values], Probabilities],
) -> Iterator[Row]:
    """The answers for windows, as they come: `batches` computes features, `probabilities` answers."""
    waiting: deque[Window] = deque()

    def clips() -> Iterator[Samples]:
        for window in pieces:
            waiting.append(window._replace(y=window.y[:0]))
            yield window.y

    for values in batches(clips()):
        for answer in probabilities(values):
            window = waiting.popleft()
            yield Row(window.start, window.end, answer)


def _writing(table: TextIO, classes: list[str], rows: Iterable[Row]) -> Iterator[Row]:
    """Rows on their way, each written as it passes."""
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["start", "end", "predicted", *classes])
    for row in rows:
        predicted = classes[int(row.answer.argmax())]
        numbers = (f"{p:.6g}" for p in row.answer)
        writer.writerow([f"{row.start:.3f}", f"{row.end:.3f}", predicted, *numbers])
        yield row


def merge(rows: Sequence[Row], classes: list[str]) -> list[tuple[float, float, str, float]]:
    """Stretches of one class: start, end (where the next window begins), class, mean probability."""
    best = [int(row.answer.argmax()) for row in rows]
    cuts = [0, *(i for i in range(1, len(rows)) if best[i] != best[i - 1]), len(rows)]
    spans = []
    for first, last in pairwise(cuts):
        end = rows[last].start if last < len(rows) else rows[-1].end
        mean = float(np.mean([row.answer[best[first]] for row in rows[first:last]]))
        spans.append((rows[first].start, end, classes[best[first]], mean))
    return spans


def picture(rows: Sequence[Row], classes: list[str], file: Path, title: str) -> None:
    """The probabilities of the commonest classes over time, as an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    answers = np.array([row.answer for row in rows])  # (windows, K)
    won = np.bincount(answers.argmax(axis=1), minlength=len(classes))
    shown = [k for k in np.argsort(-won, kind="stable")[:SHOWN] if won[k]]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    edges = [*(row.start for row in rows), rows[-1].end]
    image = ax.pcolormesh(edges, np.arange(len(shown) + 1), answers[:, shown].T, vmin=0, vmax=1, cmap="Greys")
    ax.set_yticks(np.arange(len(shown)) + 0.5, [classes[k] for k in shown])
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    ax.set_title(title, fontsize=9, parse_math=False)
    figure.colorbar(image, ax=ax, label="probability")
    figure.savefig(file, dpi=130)


def clock(seconds: float) -> str:
    """`0:00:02.5`."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{rest:04.1f}"
