"""Runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from analysis.figures.drawing import (
    FONT_SIZE,
    GREYS,
    HATCHES,
    INK,
    MANY_CLASSES,
    MUTED,
    PAPER,
    RATES,
    SERIES,
    SIGNED,
    TEXT_WIDTH,
    escape_math,
    figure,
    grid_lines,
    label_ends,
    panels,
    series,
    shorten,
    spread,
    text_on,
    ticks,
)
from analysis.figures.run import CURVES, History, label_panel, over_folds
from commandline.terminal import percent, points

TWO_DECADES = 100
LEAST_APART = 0.05  # of the range of accuracies: what a number takes up
KEY_INCHES = 0.32
KEY_LINE = 0.13  # of the height: two lines of text and a gap
FAR = 2.5  # times as far as three quarters of the intervals reach: an axis that includes it hides the others


def _intervals_size(*, names: Sequence[str], models: Sequence[str] = (), **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 0.7 + 0.2 * len(names) + 0.32 * len(set(models))


@figure(
    "Difference in accuracy with its 95 % interval, by bootstrap over source recordings; "
    "hollow: not significant after correction; an arrow: outside the axis",
    size=_intervals_size,
)
def draw_intervals(
    ax: Axes,
    *,
    names: Sequence[str],
    estimate: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    significant: np.ndarray,  # (names,) bool
    models: Sequence[str] = (),
    label: str = "points of accuracy",
) -> Axes:
    """A dot and a whisker a name, largest first, beside a line at zero; of several `models` a group each.

    What would squash the axis is drawn as an arrow at its edge with its value.
    """
    models = list(models) or [""] * len(names)
    least, most = _axis_of_most(low, high)
    places, heads, order = _grouped(models, estimate)
    ax.axvline(0, color=MUTED, linewidth=1, linestyle="--")
    for row, place in zip(order, places, strict=True):
        if least <= estimate[row] <= most:
            ax.hlines(
                place, max(low[row], least), min(high[row], most), color=SERIES[0], linewidth=2.2, alpha=0.55
            )
            fill = SERIES[0] if significant[row] else PAPER
            ax.plot(estimate[row], place, "o", color=SERIES[0], markerfacecolor=fill, markersize=5.5)
        else:
            _write_outside(ax, estimate[row], place, least, most)
    # The group's name stands on the axis, so that a long one takes no room from the data.
    marks = sorted([*zip(places, (names[row] for row in order), strict=True), *heads], reverse=True)
    ax.set_yticks([place for place, _ in marks], [escape_math(shorten(name, 48)) for _, name in marks])
    for (place, _), text in zip(marks, ax.get_yticklabels(), strict=True):
        text.set_fontweight("bold" if place in dict(heads) else "normal")
    ax.set(xlabel=label, xlim=(least, most), ylim=(min(places) - 0.7, max([*places, *dict(heads)]) + 0.7))
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


def _axis_of_most(low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """The ends of an axis with zero on it that holds all intervals but those that would squash the others."""
    reach = np.maximum(np.abs(low), np.abs(high))
    kept = reach <= FAR * np.quantile(reach, 0.75)
    least, most = min(0.0, low[kept].min(initial=0)), max(0.0, high[kept].max(initial=0))
    margin = 0.06 * (most - least) or 1.0
    return least - margin, most + margin


def _grouped(
    models: Sequence[str], estimate: np.ndarray
) -> tuple[list[float], list[tuple[float, str]], list[int]]:
    """Heights of the rows from the top, (height, model) of each group's head, and the rows in that order."""
    groups = list(dict.fromkeys(models))
    places, heads, order, height = [], [], [], 0.0
    for model in groups:
        if len(groups) > 1:
            heads.append((height := height - 1.4, model))
        rows = [row for row in np.argsort(-estimate, kind="stable").tolist() if models[row] == model]
        for row in rows:
            places.append(height := height - 1)
            order.append(row)
    return places, heads, order


def _write_outside(ax: Axes, value: float, place: float, least: float, most: float) -> None:
    """An arrow at the edge of the axis, and the value that lies beyond it."""
    right = value > most
    ax.plot(most if right else least, place, ">" if right else "<", color=SERIES[0], clip_on=False)
    ax.annotate(
        points(value / 100),
        (most if right else least, place),
        xytext=(-7 if right else 7, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        color=INK,
    )


def _bars_size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 1.0 + len(classes) * (0.19 if len(classes) > MANY_CLASSES else 0.3)


@figure("Two runs class by class", size=_bars_size)
def draw_class_bars(
    ax: Axes, *, classes: Sequence[str], values: Mapping[str, np.ndarray], label: str = "recall"
) -> Axes:
    """One pair of bars a class, the runs distinguished by colour and hatching."""
    height = 0.8 / len(values)
    places = np.arange(len(classes))
    for number, (run, value) in enumerate(values.items()):
        ax.barh(
            places + (number - (len(values) - 1) / 2) * height,
            value,
            height=height * 0.92,
            color=SERIES[number],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor=PAPER,
            linewidth=0,
            label=escape_math(shorten(run, 44)),
        )
    ticks(ax, classes, "y")
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(label)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    grid_lines(ax, "x")
    return ax


def _recall_size(*, names: Sequence[str], **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 1.5 + 0.22 * len(names)


@figure(
    "Recall by class: of the best run in percent, below it what each other run has more (violet) or less "
    "(orange), in points",
    size=_recall_size,
)
def draw_recall_by_set(ax: Axes, *, names: Sequence[str], classes: Sequence[str], recall: np.ndarray) -> Axes:
    """`recall` (sets, classes), the best set first, as differences from that one.

    Of more than MANY_CLASSES classes those are drawn in which the sets differ most.
    """
    recall = np.asarray(recall, dtype=float)
    difference = recall - recall[0]
    if len(classes) > MANY_CLASSES:
        most = np.sort(np.argsort(-np.nan_to_num(difference).std(axis=0), kind="stable")[:MANY_CLASSES])
        recall, difference, classes = recall[:, most], difference[:, most], [classes[one] for one in most]
    bound = max(0.1, float(np.nanmax(np.abs(difference), initial=0)))
    shades = [GREYS(recall[:1]), colormaps[SIGNED]((difference[1:] / bound + 1) / 2)]
    colours = np.concatenate(shades)
    colours[~np.isfinite(recall)] = 0  # transparent
    ax.imshow(colours, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isfinite(recall)):
        value = recall[row, column] if row == 0 else difference[row, column]
        text = percent(value, 0) if row == 0 else points(value, 0)
        colour = text_on(colours[row, column])
        ax.text(column, row, "·" if text == "0" and row else text, ha="center", va="center", color=colour)
    ax.axhline(0.5, color=INK, linewidth=0.8)
    ticks(ax, classes, "x", turn=45, longest=20)
    ticks(ax, names, "y", longest=24)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _pareto_size(*, cost: np.ndarray, accuracy: np.ndarray, **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 0.6 + max(2.5, KEY_INCHES * pareto_front(cost, accuracy).sum())


@figure("Accuracy against cost; numbered diamonds are the Pareto front", size=_pareto_size)
def draw_pareto(
    ax: Axes, *, names: Sequence[str], cost: np.ndarray, accuracy: np.ndarray, label: str = "seconds to train"
) -> Axes:
    """A point a run, accuracy in percent; points of the front are numbered, and named beside the axes."""
    height, front = 100 * accuracy, pareto_front(cost, accuracy)
    ax.plot(cost[~front], height[~front], "o", color=MUTED, alpha=0.6, markersize=4.5)
    order = np.flatnonzero(front)[np.argsort(cost[front], kind="stable")]
    ax.step(cost[order], height[order], where="post", color=SERIES[0], linewidth=1, alpha=0.6)
    ax.plot(cost[order], height[order], "D", color=SERIES[0], markersize=5.5)
    spread_of = cost.max() / max(cost[cost > 0].min(initial=cost.max()), 1e-9)
    if spread_of > 20:
        ax.set_xscale("log")
        if spread_of < TWO_DECADES:  # powers of ten alone would leave the axis with a tick or two
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.tick_params(axis="x", which="minor", length=0)
    numbers = spread(height[order].tolist(), LEAST_APART * np.ptp(height))
    for number, (place, beside) in enumerate(zip(order, numbers, strict=True), start=1):
        ax.annotate(  # nothing is cheaper and better, so there is room on the upper left
            str(number), (cost[place], beside), xytext=(-4, 3), textcoords="offset points", ha="right"
        )
        said = f"{number}  {shorten(names[place], 30)}\n    {percent(accuracy[place])} %"
        down = (len(order) - number) * min(KEY_LINE, 1 / len(order))
        ax.text(1.03, 1 - down, escape_math(said), va="top", transform=ax.transAxes)
    ax.set(xlabel=label, ylabel="accuracy, %")
    ax.margins(x=0.12, y=0.12)
    grid_lines(ax, "both")
    return ax


def pareto_front(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Mask of the points that no other beats at the same or a lower cost; of equal points the first."""
    cheaper = cost[None, :] <= cost[:, None]
    better = (accuracy[None, :] > accuracy[:, None]) | (
        (accuracy[None, :] == accuracy[:, None]) & (cost[None, :] < cost[:, None])
    )
    equal = (cost[None, :] == cost[:, None]) & (accuracy[None, :] == accuracy[:, None])
    return ~((cheaper & better) | np.tril(equal, -1)).any(axis=1)


def _pairs_size(*, names: Sequence[str], **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 1.3 + min(0.36 * len(names), 4.6)


@figure(
    "Accuracy of the ensemble of each pair of runs, %; of each run alone on the diagonal", size=_pairs_size
)
def draw_ensemble_accuracy(ax: Axes, *, names: Sequence[str], accuracy: np.ndarray) -> Axes:
    """`accuracy` (runs, runs) of the ensemble of each pair, on the diagonal of each run alone."""
    known = accuracy[np.isfinite(accuracy)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    colours = RATES((accuracy - low + 0.1 * (high - low)) / (1.2 * (high - low) or 1))
    colours[~np.isfinite(accuracy)] = 0
    ax.imshow(colours, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isfinite(accuracy)):
        ax.text(
            column,
            row,
            percent(accuracy[row, column]),
            ha="center",
            va="center",
            color=text_on(colours[row, column]),
            weight="bold" if row == column else "normal",
        )
    ticks(ax, names, "x", turn=45, longest=22)
    ticks(ax, names, "y", longest=22)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _ranks_size(*, ranks: Mapping[str, float], **_: Any) -> tuple[float, float]:
    return TEXT_WIDTH, 1.1 + 0.11 * len(ranks) + 0.3


@figure(
    "Critical difference diagram: mean rank over folds; bars join runs that do not differ significantly",
    size=_ranks_size,
)
def draw_critical_difference_diagram(ax: Axes, *, ranks: Mapping[str, float], p_values: pd.DataFrame) -> Axes:
    """`p_values` (runs, runs) of the pairwise test after Friedman's, labelled like `ranks`.

    One colour: the runs are named, and of twelve colours two would look alike.
    """
    from scikit_posthocs import critical_difference_diagram as draw_diagram

    short = {name: escape_math(shorten(name, 26)) for name in ranks}
    draw_diagram(
        pd.Series({short[name]: rank for name, rank in ranks.items()}),
        p_values.rename(index=short, columns=short),
        ax=ax,
        label_fmt_left="{label}  {rank:.2f}",
        label_fmt_right="{rank:.2f}  {label}",
        color_palette=dict.fromkeys(short.values(), INK),
        label_props={"fontsize": FONT_SIZE},
        crossbar_props={"color": SERIES[0], "marker": None, "linewidth": 2.5},
        text_h_margin=0.05,
    )
    return ax


@figure(
    "Learning curves of several runs on the test fold, mean over folds; nothing was selected by them",
    size=(TEXT_WIDTH, 2.6),
)
def draw_learning_curves_compared(ax: Axes, *, histories: Mapping[str, History]) -> Axes:
    """One panel each for accuracy and loss, a line a run, named at its end."""
    for panel, (metric, name, scale) in zip(panels(ax, 1, 2, wide=1.45), CURVES, strict=True):
        ends = []
        for number, (run, history) in enumerate(histories.items()):
            curve = over_folds(history, f"test_{metric}")
            if curve is not None:
                epoch, mean, _, _ = curve
                look = series(number)
                panel.plot(epoch, scale * mean, color=look["color"], linestyle=look["linestyle"])
                ends.append((scale * mean[-1], shorten(run, 22), look["color"]))
        label_panel(panel, f"test {name}")
        label_ends(panel, ends)
    return ax
