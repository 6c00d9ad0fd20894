"""Runs beside each other."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from analysis.figures.drawing import (
    GREYS,
    INK,
    MANY_CLASSES,
    MUTED,
    PAPER,
    RATES,
    SERIES,
    figure,
    grid_lines,
    heat_map,
    is_narrow,
    points_or_dot,
    row_height,
    shorten,
    signed_colours,
)
from commandline.terminal import percent


@figure(
    "Difference in accuracy with its interval, corrected for all pairs; hollow: no clear difference",
    row_height("names", 0.7, 0.2),
)
def draw_intervals(
    ax: Axes,
    *,
    names: Sequence[str],
    estimate: np.ndarray,  # (names,)
    low: np.ndarray,  # NaN without an interval
    high: np.ndarray,
    filled: np.ndarray,  # (names,) bool
    line: float = 0.0,
    scale: float = 100,
    label: str = "points of accuracy",
) -> Axes:
    """A dot and a whisker a name, the largest above, beside a dashed line; all `scale` times as large."""
    order = np.argsort(-np.asarray(estimate), kind="stable")
    estimate, low, high = (scale * np.asarray(values, float)[order] for values in (estimate, low, high))
    filled = np.asarray(filled, bool)[order]
    places = np.arange(len(names))
    ax.axvline(scale * line, color=MUTED, linewidth=1, linestyle="--")
    ax.hlines(places, low, high, color=SERIES[0], linewidth=2.2, alpha=0.55)
    for mask, fill in ((filled, SERIES[0]), (~filled, PAPER)):
        ax.plot(estimate[mask], places[mask], "o", color=SERIES[0], markerfacecolor=fill, markersize=5.5)
    ax.set_yticks(places, [shorten(names[row], 26 if is_narrow(ax) else 48) for row in order])
    ax.set(xlabel=label, ylim=(len(names) - 0.3, -0.7))
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


figure(
    "Accuracy of each configuration with its 95 % interval, by bootstrap over source recordings; hollow: no "
    "clear difference from the best; dashed: chance",
    row_height("names", 0.7, 0.2),
    name="accuracy_by_set",
)(partial(draw_intervals, label="accuracy, %"))


@figure(
    "Accuracy in %, a row a feature set, a column a model; bold: the best",
    row_height("features", 1.0, 0.22),
)
def draw_accuracy_heat_map(
    ax: Axes, *, features: Sequence[str], models: Sequence[str], accuracy: np.ndarray, deviation: np.ndarray
) -> Axes:
    """`accuracy` and its `deviation` over folds (features, models); NaN for what was not trained."""
    low = np.nanmin(accuracy)
    high = np.nanmax(accuracy)
    colours = RATES((np.nan_to_num(accuracy) - low + 0.1 * (high - low)) / (1.6 * (high - low) or 1))
    colours[np.isnan(accuracy)] = 0  # transparent

    def text(mean: float, spread: float) -> str:
        if np.isnan(mean):
            return ""
        return f"{percent(mean)} ± {percent(spread)}" if np.isfinite(spread) else percent(mean)

    texts = np.vectorize(text)(accuracy, deviation)
    return heat_map(ax, features, models, colours, texts, bold=accuracy == high, top=True)


@figure(
    "Recall by class: of the best run in percent, below it what each other run has more (violet) or less "
    "(orange), in points",
    row_height("names", 1.5, 0.22),
)
def draw_recall_by_set(ax: Axes, *, names: Sequence[str], classes: Sequence[str], recall: np.ndarray) -> Axes:
    """`recall` (sets, classes), the best set first, as differences from that one.

    Of more than MANY_CLASSES classes those are drawn in which the sets differ most.
    """
    spread = np.nan_to_num(recall - recall[0]).std(axis=0)
    shown = np.sort(np.argsort(-spread, kind="stable")[:MANY_CLASSES])
    recall = recall[:, shown]
    difference = recall - recall[0]
    colours = signed_colours(difference, least=0.1)
    colours[0] = np.where(np.isnan(recall[:1].T), 0, GREYS(recall[0]))

    texts = np.vectorize(points_or_dot)(difference).astype(object)
    texts[0] = ["" if np.isnan(best) else percent(best, 0) for best in recall[0]]
    ax.axhline(0.5, color=INK, linewidth=0.8)
    return heat_map(ax, names, [classes[place] for place in shown], colours, texts, turn=45)
