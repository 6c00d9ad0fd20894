"""Runs beside each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from analysis.figures.drawing import (
    GREYS,
    INK,
    MANY_CLASSES,
    MUTED,
    PAPER,
    RATES,
    SERIES,
    SIGNED,
    cells,
    escape_math,
    figure,
    grid_lines,
    is_narrow,
    shorten,
    ticks,
)
from commandline.terminal import percent, points


def draw_whiskers(
    ax: Axes,
    names: Sequence[str],
    estimate: np.ndarray,
    low: np.ndarray,  # NaN without an interval
    high: np.ndarray,
    filled: np.ndarray,  # (names,) bool
    line: float,
    label: str,
) -> Axes:
    """A dot and a whisker a name in the order given, from the top, beside a dashed line."""
    places, longest = np.arange(len(names)), 26 if is_narrow(ax) else 48
    ax.axvline(line, color=MUTED, linewidth=1, linestyle="--")
    ax.hlines(places, low, high, color=SERIES[0], linewidth=2.2, alpha=0.55)
    for mask, fill in ((filled, SERIES[0]), (~filled, PAPER)):
        ax.plot(estimate[mask], places[mask], "o", color=SERIES[0], markerfacecolor=fill, markersize=5.5)
    ax.set_yticks(places, [escape_math(shorten(name, longest)) for name in names])
    ax.set(xlabel=label, ylim=(len(names) - 0.3, -0.7))
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


@figure(
    "Accuracy of each configuration with its 95 % interval, by bootstrap over source recordings; hollow: "
    "clearly worse than the best; dashed: chance",
    height=lambda names, **_: 0.7 + 0.2 * len(names),
)
def draw_accuracy_by_set(
    ax: Axes,
    *,
    names: Sequence[str],
    accuracy: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    worse: np.ndarray,  # (names,) bool
    chance: float,
) -> Axes:
    """The forest plot of the first screen, best first; accuracies from 0 to 1."""
    estimate, low, high = (100 * np.asarray(values, float) for values in (accuracy, low, high))
    filled = ~np.asarray(worse, bool)
    return draw_whiskers(ax, names, estimate, low, high, filled, 100 * chance, "accuracy, %")


@figure(
    "Difference in accuracy with its interval, corrected like the verdicts; hollow: no clear difference",
    height=lambda names, **_: 0.7 + 0.2 * len(names),
)
def draw_intervals(
    ax: Axes,
    *,
    names: Sequence[str],
    estimate: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    significant: np.ndarray,  # (names,) bool
    label: str = "points of accuracy",
) -> Axes:
    """Differences from 0 to 1, largest first, beside a line at zero."""
    order = np.argsort(-np.asarray(estimate), kind="stable")
    ordered = [names[row] for row in order]
    estimate, low, high = (100 * np.asarray(values, float)[order] for values in (estimate, low, high))
    chosen = np.asarray(significant, bool)[order]
    return draw_whiskers(ax, ordered, estimate, low, high, chosen, 0.0, label)


@figure(
    "Accuracy in %, a row a feature set, a column a model; bold: the best",
    height=lambda features, **_: 1.0 + 0.22 * len(features),
)
def draw_accuracy_heat_map(
    ax: Axes,
    *,
    features: Sequence[str],
    models: Sequence[str],
    accuracy: np.ndarray,
    deviation: np.ndarray,
) -> Axes:
    """`accuracy` and its `deviation` over folds (features, models); NaN for what was not trained."""
    known = np.isfinite(accuracy)
    low, high = (accuracy[known].min(), accuracy[known].max()) if known.any() else (0.0, 1.0)
    colours = RATES((np.nan_to_num(accuracy) - low + 0.1 * (high - low)) / (1.6 * (high - low) or 1))
    colours[~known] = 0  # transparent
    texts = np.full(accuracy.shape, "", dtype=object)
    for place in map(tuple, np.argwhere(known)):
        spread = f" ± {percent(deviation[place])}" if np.isfinite(deviation[place]) else ""
        texts[place] = f"{percent(accuracy[place])}{spread}"
    cells(ax, colours, texts, bold=accuracy == high)
    ticks(ax, models, "x", longest=22)
    ticks(ax, features, "y", longest=30)
    ax.xaxis.tick_top()
    return ax


@figure(
    "Recall by class: of the best run in percent, below it what each other run has more (violet) or less "
    "(orange), in points",
    height=lambda names, **_: 1.5 + 0.22 * len(names),
)
def draw_recall_by_set(ax: Axes, *, names: Sequence[str], classes: Sequence[str], recall: np.ndarray) -> Axes:
    """`recall` (sets, classes), the best set first, as differences from that one.

    Of more than MANY_CLASSES classes those are drawn in which the sets differ most.
    """
    recall = np.asarray(recall, dtype=float)
    difference = recall - recall[0]
    if len(classes) > MANY_CLASSES:
        most = np.sort(np.argsort(-np.nan_to_num(difference).std(axis=0), kind="stable")[:MANY_CLASSES])
        recall, difference = recall[:, most], difference[:, most]
        classes = [classes[place] for place in most]
    bound = max(0.1, float(np.nanmax(np.abs(difference), initial=0)))
    colours = colormaps[SIGNED]((difference / bound + 1) / 2)
    colours[0] = GREYS(recall[0])
    colours[~np.isfinite(recall)] = 0  # transparent
    texts = np.full(recall.shape, "", dtype=object)
    for row, column in np.argwhere(np.isfinite(recall)):
        text = points(difference[row, column], 0) if row else percent(recall[row, column], 0)
        texts[row, column] = "·" if row and text == "0" else text
    cells(ax, colours, texts)
    ax.axhline(0.5, color=INK, linewidth=0.8)
    ticks(ax, classes, "x", turn=45, longest=20)
    ticks(ax, names, "y", longest=24)
    return ax
