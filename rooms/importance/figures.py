"""Figures of the tables of `make importance`."""

import re
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.comparison import draw_intervals
from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    MANY_CLASSES,
    MARKERS,
    SERIES,
    differing_most,
    figure,
    grid_lines,
    heat_map,
    row_height,
    shorten,
    signed_colours,
)
from featurestack.commandline.quantities import plural

UNIT = "nats per clip"

figure(
    "Share of each feature in the information that all give, with its interval; hollow:"
    " no clear difference from 0",
    row_height("intervals", 0.7, 0.2),
    name="importance",
)(partial(draw_intervals, scale=1, label=UNIT))


@figure(
    f"Share of each feature by class, in {UNIT}; bold: clear; up to {MANY_CLASSES}"
    " classes, those in which the features differ most",
    lambda classes, **_: 1.2 + 0.19 * min(classes["class"].nunique(), MANY_CLASSES),
)
def draw_importance_by_class(ax: Axes, *, classes: pd.DataFrame) -> Axes:
    """Draw Shapley values of classes (rows) and features (columns)."""
    shares = square(classes, "mean")
    kept = differing_most(shares.to_numpy().T)
    shares = shares.iloc[kept]
    clear = square(classes, "significant").to_numpy()[kept]
    colours = signed_colours(shares.to_numpy(), least=0.01)
    return heat_map(ax, shares.map(two_decimals), colours, bold=clear, turn=45)


def square(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of a table as a matrix by its first two columns."""
    names = list(table.columns[:2])
    cells = table.set_index(names)[column]
    return cells.unstack(sort=False)


def two_decimals(value: float) -> str:
    """A number with two decimals and no leading zero: `.25`, `-.25`."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.2f}")


@figure(
    "Accuracy of the best set of each size, selected on the other folds, by extraction"
    " time; the line joins those above every faster one",
    lambda **_: 2.8,
    COLUMN_WIDTH,
)
def draw_importance_sets(
    ax: Axes, *, sets: pd.DataFrame, score: str = "accuracy"
) -> Axes:
    """Draw the table `sets` by extraction time, or by size without all times."""
    x = "size"
    xlabel = "features"
    if sets["milliseconds"].notna().all():
        x = "milliseconds"
        xlabel = "ms per clip"
    sets = sets.assign(x=sets[x], y=100 * sets["accuracy"]).sort_values("x")
    best_so_far = sets["y"].cummax().shift(fill_value=0)
    front = sets[sets["y"] > best_so_far]
    ax.plot(front["x"], front["y"], color=SERIES[0], drawstyle="steps-post")
    ax.plot(sets["x"], sets["y"], "o", color=SERIES[0])
    for best in front.itertuples():
        ax.annotate(
            str(best.size),
            (best.x, best.y),
            (0, 6),
            textcoords="offset points",
            ha="center",
        )
    ax.set(xlabel=xlabel, ylabel=f"{score}, %")
    grid_lines(ax)
    return ax


@figure(
    "Score against the number of training recordings; dashes: 95 % interval of the"
    " accuracy",
    lambda **_: 2.8,
    COLUMN_WIDTH,
)
def draw_curve(ax: Axes, *, curve: pd.DataFrame, group: str = "recording") -> Axes:
    """Draw `make curve`; `group` is the dataset's word for a recording."""
    scores = {"map": "mAP", "accuracy": "accuracy"}
    score = next(name for name in scores if name in curve)
    titles = {name: shorten(name) for name in curve["features"]}
    for number, (features, rows) in enumerate(curve.groupby("features", sort=False)):
        colour = SERIES[number % len(SERIES)]
        marker = MARKERS[number % len(MARKERS)]
        x, y = rows["recordings"], 100 * rows[score]
        ax.plot(x, y, color=colour, marker=marker, label=titles[str(features)])
        if "low" in rows:
            ax.vlines(x, 100 * rows["low"], 100 * rows["high"], color=colour)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xticks(sorted(set(curve["recordings"])))
    ax.minorticks_off()
    ax.set_xlabel(f"training {plural(group)}")
    ax.set_ylabel(f"{scores[score]}, %")
    grid_lines(ax)
    ax.legend()
    return ax
