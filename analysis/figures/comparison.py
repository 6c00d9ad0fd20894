"""Figures that compare runs."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    GREYS,
    INK,
    MUTED,
    PAPER,
    SERIES,
    differing_most,
    figure,
    grid_lines,
    heat_map,
    is_narrow,
    row_height,
    shorten,
    signed_colours,
)
from featurestack.commandline.quantities import percent, points


@figure(
    "Difference with its interval, corrected for all pairs; hollow: no clear"
    " difference",
    row_height("intervals", 0.7, 0.2),
)
def draw_intervals(
    ax: Axes,
    *,
    intervals: pd.DataFrame,
    line: float = 0.0,
    scale: float = 100,
    label: str = "points of accuracy",
) -> Axes:
    """Draw each estimate as a dot with its interval, the largest at the top, and a
    dashed line at `line`.

    The columns of `intervals` are name, estimate, low and high (NaN for no interval),
    and filled (bool). Values are multiplied by `scale`.
    """
    rows = intervals.sort_values(
        "estimate", ascending=False, kind="stable", ignore_index=True
    )
    ax.axvline(scale * line, color=MUTED, linewidth=1, linestyle="--")
    ends = scale * rows["low"], scale * rows["high"]
    ax.hlines(rows.index, *ends, color=SERIES[0], linewidth=2.2, alpha=0.55)
    for filled, fill in ((True, SERIES[0]), (False, PAPER)):
        dots = scale * rows["estimate"][rows["filled"] == filled]
        ax.plot(
            dots, dots.index, "o", color=SERIES[0], markerfacecolor=fill, markersize=5.5
        )
    ax.set_yticks(
        rows.index,
        [shorten(name, 26 if is_narrow(ax) else 48) for name in rows["name"]],
    )
    ax.set(xlabel=label, ylim=(len(rows) - 0.3, -0.7))
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


figure(
    "Accuracy of each configuration with its 95 % interval, by bootstrap over source"
    " recordings; hollow: no clear difference from the best; dashed: chance",
    row_height("intervals", 0.7, 0.2),
    name="accuracy_by_set",
)(partial(draw_intervals, label="accuracy, %"))


@figure(
    "Recall by class: the best run's in percent, below it the difference of each other"
    " run in points, violet for more, orange for less",
    row_height("recall", 1.5, 0.22),
)
def draw_recall_by_set(ax: Axes, *, recall: pd.DataFrame) -> Axes:
    """Draw `recall` (sets, classes), the best set first, the others as differences from
    it; at most MANY_CLASSES classes, those in which the sets differ most.
    """
    kept = differing_most((recall - recall.iloc[0]).to_numpy())
    recall = recall.iloc[:, kept]
    best = recall.iloc[0]
    difference = recall - best
    colours = signed_colours(difference.to_numpy(), least=0.1)
    colours[0] = GREYS(best)
    colours[np.isnan(recall)] = 0  # transparent
    texts = difference.map(points_or_dot, na_action="ignore").astype(object)
    texts.iloc[0] = best.map(lambda value: percent(value, 0), na_action="ignore")
    ax.axhline(0.5, color=INK, linewidth=0.8)
    return heat_map(ax, texts, colours, turn=45)


def points_or_dot(value: float) -> str:
    """A difference from -1 to 1 in points: `+3`, `−12`, `·` if it rounds to 0."""
    text = points(value, 0)
    return "·" if text == "0" else text
