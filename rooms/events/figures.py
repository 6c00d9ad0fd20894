"""The time line of a recording's events and detections."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    INK,
    PAPER,
    SERIES,
    figure,
    grid_lines,
    shorten,
)


@figure(
    "Time line of one recording: annotated events above, detections below",
    lambda events, detections, **_: (
        0.7 + 0.3 * len({*events["label"], *detections["label"]})
    ),
)
def draw_time_line(
    ax: Axes,
    *,
    events: pd.DataFrame,  # start, end, label
    detections: pd.DataFrame,
    begin: float,  # seconds
    end: float,
) -> Axes:
    """Draw a row for each class, events above its detections."""
    classes = sorted({*events["label"], *detections["label"]})
    for table, top, colour, name in (
        (events, 0.1, INK, "event"),
        (detections, 0.5, SERIES[1], "detection"),
    ):
        for row, label in enumerate(classes):
            own = table[table["label"] == label]
            spans = list(zip(own["start"], own["end"] - own["start"]))
            ax.broken_barh(
                spans,
                (row + top, 0.35),
                facecolor=colour,
                edgecolor=PAPER,  # parts of a divided detection touch
                linewidth=0.4,
                label="" if row else name,
            )
    names = [shorten(label, 21) for label in classes]
    ax.set_yticks(np.arange(len(classes)) + 0.5, names)
    ax.set(xlim=(begin, end), ylim=(len(classes), 0), xlabel="seconds")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    grid_lines(ax, "x")
    return ax
