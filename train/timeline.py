"""A long recording window by window: a CSV, labels for Audacity, a picture.

Of an hour of sound no more than a batch of windows is ever in memory, and the answers.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from commandline import RequestError, duration, progress
from pipeline import audio
from train.hearing import Hearing, Samples
from train.trained import Probabilities, Trained
from train.trained_options import PredictOptions
from train.windows import Window, file_blocks, windows

SHOWN = 8  # classes in the picture: those that are ever the most probable, the commonest first


class Row(NamedTuple):
    """What was heard from `start` to `end` seconds: (K,) probabilities."""

    start: float
    end: float
    answer: Probabilities


def write_all(trained: Trained, files: Sequence[Path], options: PredictOptions) -> int:
    """A timeline of each file in <reports>/<dataset>/timelines/; 1 where a file could not be heard."""
    length = trained.config["duration"]
    if not 0 < options.hop <= length:
        raise RequestError(f"HOP={options.hop:g}: expected seconds from 0 to the {length:g} of a window")
    folder = options.reports / trained.config["dataset"] / "timelines"
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for file in files:
        try:
            write(trained, file, folder / file.stem, options.hop)
        except audio.AudioError as error:
            failed += 1
            print(f"{file}: {error}", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(files)} files could not be heard", file=sys.stderr)
    return 1 if failed else 0


def write(trained: Trained, file: Path, target: Path, hop: float) -> None:
    """<target>.csv, <target>.txt with Audacity's labels, <target>.png; and what was heard, in lines."""
    with target.with_suffix(".csv").open("w", newline="", encoding="utf-8") as table:
        rows = list(_writing(table, trained.classes, listen(trained, file, hop)))
    spans = merge(rows, trained.classes)
    labels = "".join(f"{start:.3f}\t{end:.3f}\t{name}\n" for start, end, name, _ in spans)
    target.with_suffix(".txt").write_text(labels, encoding="utf-8")
    picture(rows, trained.classes, target.with_suffix(".png"), title=file.name)
    for start, end, name, probability in spans:
        print(f"{clock(start)}  {clock(end)}  {name}  {probability:.2f}")
    print(f"{target}.csv .txt .png", file=sys.stderr)


def listen(trained: Trained, file: Path, hop: float) -> Iterator[Row]:
    """The answers for windows through a file, in order, as they come."""
    hearing = Hearing(trained.config)
    rate = hearing.sample_rate
    total = audio.info(file)
    seconds = total.frames / total.sample_rate
    expected = 1 + max(0, int(np.ceil((seconds - hearing.samples / rate) / hop)))
    pieces = windows(file_blocks(file, rate), rate, hearing.samples, max(1, round(hop * rate)))
    waiting: list[Window] = []
    label = f"{file.name} ({duration(seconds)})"

    def clips() -> Iterator[Samples]:
        for window in progress(pieces, total=expected, label=label, unit="windows"):
            waiting.append(window._replace(y=window.y[:0]))
            yield window.y

    for values in hearing.batches(clips()):
        for answer in trained.probabilities(values):
            window = waiting.pop(0)
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
