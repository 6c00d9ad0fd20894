"""A long recording window by window: a CSV, labels for Audacity, a figure.

Of an hour of audio no more than a batch of windows is ever in memory, and the predictions.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import soxr

from commandline.terminal import as_csv, tell
from storage.files import replace_file
from train.bundle import Probabilities
from train.rejection import Samples

DRAWN = 8  # classes in the figure: those that are ever the most probable, the commonest first

Span = tuple[float, float]  # where a window begins and ends, in seconds


def windows(
    blocks: Iterable[Samples], sample_rate: int, samples: int, hop: int
) -> Iterator[tuple[Span, Samples]]:
    """Windows of `samples`, one each `hop`, from blocks of any length.

    The last one is the first to reach the recording's end, and may be shorter; of a recording without a
    sample there is one, empty.
    """
    rest = np.zeros(0, np.float32)
    start = 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) > samples:  # more than one window: this one does not reach the end
            yield (start / sample_rate, (start + samples) / sample_rate), rest[:samples]
            rest = rest[hop:]
            start = start + hop
    yield (start / sample_rate, (start + len(rest)) / sample_rate), rest


def resampled(blocks: Iterable[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Blocks at `rate` as blocks at `sample_rate`, without a seam between them."""
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def output_paths(files: Sequence[Path], folder: Path) -> list[Path]:
    """A place in `folder` for each file's timeline, without an ending, as the files lie to each other.

    Those that differ in their ending alone keep it.
    """
    root = os.path.commonpath([file.parent for file in files])
    places = [file.relative_to(root) for file in files]
    same = Counter(place.with_suffix("") for place in places)
    return [
        folder / (place if same[place.with_suffix("")] > 1 else place.with_suffix("")) for place in places
    ]


def write_timeline(
    predictions: Iterable[tuple[Span, Probabilities, str]], classes: list[str], target: Path, title: str
) -> None:
    """<target>.csv, <target>.txt with Audacity's labels, <target>.png; and its segments, in lines.

    predictions  of each window its span, (K,) probabilities, its class, empty without an answer
    """
    spans, each, predicted = zip(*predictions)
    probabilities = np.stack(each)  # (windows, K)
    table = pd.DataFrame(np.round(spans, 3), columns=["start", "end"]).assign(predicted=predicted)
    table = pd.concat([table, pd.DataFrame(probabilities, columns=classes)], axis=1)
    replace_file(Path(f"{target}.csv"), as_csv(table))
    segments = merge_windows(spans, predicted, probabilities, classes)
    labels = "".join(f"{start:.3f}\t{end:.3f}\t{name}\n" for start, end, name, _ in segments)
    replace_file(Path(f"{target}.txt"), labels)
    replace_file(Path(f"{target}.png"), draw(spans, probabilities, classes, title))
    for start, end, name, probability in segments:
        print(f"{start:8.1f} {end:8.1f}  {name}  {probability:.2f}")
    tell(f"{target}.csv .txt .png")


def merge_windows(
    spans: Sequence[Span], predicted: Sequence[str], probabilities: Probabilities, classes: list[str]
) -> list[tuple[float, float, str, float]]:
    """Segments of one class: start, end (where the next window begins), class, mean probability.

    predicted  of each window its class, empty without an answer: then it is in no segment
    """
    segments = []
    for name, group in groupby(range(len(predicted)), key=predicted.__getitem__):
        places = list(group)
        if name:
            after = places[-1] + 1
            end = spans[after][0] if after < len(spans) else spans[-1][1]
            mean = float(probabilities[places, classes.index(name)].mean())
            segments.append((spans[places[0]][0], end, name, mean))
    return segments


def draw(spans: Sequence[Span], probabilities: Probabilities, classes: list[str], title: str) -> bytes:
    """The probabilities of the commonest classes over time, as PNG."""
    from matplotlib.figure import Figure

    drawn = pd.Series(probabilities.argmax(axis=1)).value_counts().index[:DRAWN]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(drawn)), layout="constrained")
    ax = figure.subplots()
    edges = [*(start for start, _ in spans), spans[-1][1]]
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
    return content.getvalue()
