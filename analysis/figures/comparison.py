"""Runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.drawing import (
    HATCHES,
    INK,
    MANY_CLASSES,
    MUTED,
    ON_DARK,
    ON_LIGHT,
    PAPER,
    RATES,
    SERIES,
    escape_math,
    figure,
    grid_lines,
    panels,
    series,
    shorten,
    ticks,
)
from analysis.figures.run import CURVES, History, label_panel, over_folds
from commandline import percent

LINE = 0.035  # of the accuracies' range: what a line of text takes up


def _one_line_each(*, names: Sequence[str], **_: Any) -> tuple[float, float]:
    return 7.0, 1.0 + 0.28 * len(names)


@figure(
    "Difference in accuracy with its 95 % interval, by bootstrap over source recordings; "
    "hollow: not significant after correction",
    size=_one_line_each,
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
    """A dot and a whisker a name, the first on top, beside a line at zero."""
    places = np.arange(len(names))[::-1]
    ax.axvline(0, color=MUTED, linewidth=1, linestyle="--")
    ax.hlines(places, low, high, color=SERIES[0], linewidth=2.2, alpha=0.55)
    for mask, fill in ((significant, SERIES[0]), (~significant, PAPER)):
        ax.plot(estimate[mask], places[mask], "o", color=SERIES[0], markerfacecolor=fill, markersize=6)
    ax.set_yticks(places, [escape_math(shorten(name, 64)) for name in names])
    ax.set_xlabel(label)
    ax.set_ylim(-0.7, len(names) - 0.3)
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


def _bars_size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    return 6.4, 1.0 + len(classes) * (0.18 if len(classes) > MANY_CLASSES else 0.34)


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
    ticks(ax, classes, "y", size=6.5 if len(classes) > MANY_CLASSES else 8)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(label)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    grid_lines(ax, "x")
    return ax


def _recall_size(*, names: Sequence[str], classes: Sequence[str], **_: Any) -> tuple[float, float]:
    wide = 0.19 if len(classes) > MANY_CLASSES else 0.56
    return 2.2 + wide * len(classes), 1.5 + 0.24 * len(names)


@figure(
    "Recall of each run in each class; a ring marks the highest of a class",
    size=_recall_size,
)
def draw_recall_by_set(ax: Axes, *, names: Sequence[str], classes: Sequence[str], recall: np.ndarray) -> Axes:
    """`recall` (sets, classes) as a shaded table, of more than MANY_CLASSES without numbers."""
    ax.imshow(recall, cmap=RATES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    few = len(classes) <= MANY_CLASSES
    for row, column in np.argwhere(np.isfinite(recall)) if few else ():
        share = recall[row, column]
        colour = ON_DARK if share > 0.6 else ON_LIGHT
        ax.text(column, row, percent(share, 0), ha="center", va="center", fontsize=7.5, color=colour)
    places = np.flatnonzero(np.isfinite(recall).all(axis=0))
    best = recall[:, places].argmax(axis=0)
    ring = 300 if few else 40
    ax.scatter(places, best, s=ring, facecolors="none", edgecolors=SERIES[1], linewidths=1.4, clip_on=False)
    ticks(ax, classes, "x", turn=45 if few else 90, size=8 if few else 6.5)
    ticks(ax, names, "y")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


@figure("Accuracy against cost; diamonds are the Pareto front", size=(6.4, 4.2))
def draw_pareto(
    ax: Axes, *, names: Sequence[str], cost: np.ndarray, accuracy: np.ndarray, label: str = "seconds to train"
) -> Axes:
    """A point a run; the Pareto front is joined and named."""
    front = pareto_front(cost, accuracy)
    ax.plot(cost[~front], accuracy[~front], "o", color=MUTED, alpha=0.6, markersize=5)
    order = np.flatnonzero(front)[np.argsort(cost[front])]
    ax.step(cost[order], accuracy[order], where="post", color=SERIES[0], linewidth=1, alpha=0.6)
    ax.plot(cost[order], accuracy[order], "D", color=SERIES[0], markersize=6)
    spread = cost.max() / max(cost[cost > 0].min(initial=cost.max()), 1e-9)
    if spread > 20:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    for place in _named(order[::-1], accuracy):
        ax.annotate(  # nothing is cheaper and better, so there is room on the upper left
            escape_math(shorten(names[place], 34)),
            (cost[place], accuracy[place]),
            xytext=(-5, 4),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=INK,
        )
    ax.set_xlabel(label)
    ax.set_ylabel("accuracy")
    ax.margins(x=0.2, y=0.12)
    grid_lines(ax, "both")
    return ax


def _named(places: np.ndarray, accuracy: np.ndarray) -> list[int]:
    """Of the front, best first, those whose names do not overlap."""
    named: list[int] = []
    for place in places.tolist():
        if not named or accuracy[named[-1]] - accuracy[place] > LINE * np.ptp(accuracy):
            named.append(place)
    return named


def pareto_front(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Mask of the points that no other beats at the same or a lower cost."""
    cheaper = cost[None, :] <= cost[:, None]
    better = (accuracy[None, :] > accuracy[:, None]) | (
        (accuracy[None, :] == accuracy[:, None]) & (cost[None, :] < cost[:, None])
    )
    return ~(cheaper & better).any(axis=1)


def _pairs_size(*, names: Sequence[str], **_: Any) -> tuple[float, float]:
    return 3.4 + 0.42 * len(names), 2.4 + 0.42 * len(names)


@figure("Accuracy of the ensemble of each pair of runs; of each run alone on the diagonal", size=_pairs_size)
def draw_ensemble_accuracy(ax: Axes, *, names: Sequence[str], accuracy: np.ndarray) -> Axes:
    """`accuracy` (runs, runs) of the ensemble of each pair, on the diagonal of each run alone."""
    known = accuracy[np.isfinite(accuracy)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    ax.imshow(
        accuracy,
        cmap=RATES,
        vmin=low - 0.1 * (high - low),
        vmax=high + 0.1 * (high - low),
        interpolation="nearest",
    )
    for row, column in np.argwhere(np.isfinite(accuracy)):
        dark = accuracy[row, column] > low + 0.45 * (high - low)
        ax.text(
            column,
            row,
            percent(accuracy[row, column]),
            ha="center",
            va="center",
            fontsize=7,
            color=ON_DARK if dark else ON_LIGHT,
            weight="bold" if row == column else "normal",
        )
    ticks(ax, names, "x", turn=45)
    ticks(ax, names, "y")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _ranks_size(*, ranks: Mapping[str, float], **_: Any) -> tuple[float, float]:
    return 7.4, 1.4 + 0.2 * len(ranks)


@figure(
    "Critical difference diagram: mean rank over folds; bars join runs that do not differ significantly",
    size=_ranks_size,
)
def draw_critical_difference_diagram(ax: Axes, *, ranks: Mapping[str, float], p_values: pd.DataFrame) -> Axes:
    """`p_values` (runs, runs) of the pairwise test after Friedman's, labelled like `ranks`."""
    from scikit_posthocs import critical_difference_diagram as draw_diagram

    draw_diagram(
        pd.Series(dict(ranks)),
        p_values,
        ax=ax,
        label_fmt_left="{label}  {rank:.2f}",
        label_fmt_right="{rank:.2f}  {label}",
        color_palette={name: series(number)["color"] for number, name in enumerate(ranks)},
        label_props={"fontsize": 8},
        crossbar_props={"color": INK, "marker": None, "linewidth": 2.5},
        text_h_margin=0.05,
    )
    return ax


@figure(
    "Learning curves of several runs on the test fold, mean over folds; nothing was selected by them",
    size=(9.0, 3.4),
)
def draw_learning_curves_compared(ax: Axes, *, histories: Mapping[str, History]) -> Axes:
    """One panel each for accuracy, macro F1 and loss, a line a run."""
    drawn = panels(ax, 1, 3, wide=0.22)
    for panel, (metric, name) in zip(drawn, CURVES, strict=True):
        for number, (run, history) in enumerate(histories.items()):
            curve = over_folds(history, f"test_{metric}")
            if curve is not None:
                epoch, mean, low, high = curve
                look = series(number)
                panel.fill_between(epoch, low, high, color=look["color"], alpha=0.1, linewidth=0)
                panel.plot(
                    epoch, mean, **look, markersize=3.5, markevery=0.15, label=escape_math(shorten(run, 40))
                )
        label_panel(panel, name)
    drawn[0].legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2, borderaxespad=0)
    return ax
