"""Figures that compare runs, and predicted with actual classes; their heat maps, and
which of them a report has.

The confusion matrix is for papers and notebooks; the page has it in HTML.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from featurestack.analysis.figures.drawing import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    figure,
    grid_lines,
    is_narrow,
    row_height,
    shorten,
)
from featurestack.analysis.figures.saving import FigureWriter
from featurestack.analysis.findings import Findings
from featurestack.commandline.quantities import points
from featurestack.scores.metrics import Floats, Ints, largest_first

# If there are more, a confusion matrix shows the classes with the most errors, and
# figures of recall and of importance the classes in which runs or features differ most.
MANY_CLASSES = 20
# Each map has one hue that darkens evenly, so that rates read the same on screen, on
# paper and in grey.
GREYS = LinearSegmentedColormap.from_list("greys", ["#f6f8fb", "#dde2e8", "#b3bcc6"])
ERRORS = LinearSegmentedColormap.from_list("errors", ["#fdf0e6", "#f5b27c", "#e87722"])
SIGNED = "PuOr"
# Text on a data colour, also in dark mode: one of the two always has a contrast over
# 4.5.
ON_LIGHT, ON_DARK = "#000000", "#ffffff"
# most sets in a figure that has a row for each set; the page's table has all runs
SETS_SHOWN = 24
# kind of ablation -> its figure's file
STEMS = {"features": "additions", "augmentation": "augmentation"}
ERROR_SHADE = 1.3  # the page's style sheets have the same


def text_on(colour: np.ndarray) -> str:
    """ON_LIGHT or ON_DARK, whichever has more contrast with a colour (3,)."""
    # nearly the luminance of WCAG 2
    luminance = np.dot(colour[:3] ** 2.2, (0.2126, 0.7152, 0.0722))
    return ON_DARK if luminance < 0.179 else ON_LIGHT


def signed_colours(values: np.ndarray, least: float = 1e-9) -> np.ndarray:
    """(…, 4): violet above zero, orange below, transparent for NaN.

    The largest magnitude, or `least` if all are smaller, has the darkest colour.
    """
    largest = float(np.nanmax(np.abs(values), initial=0))
    bound = max(largest, least)
    places = np.nan_to_num(values / bound + 1) / 2  # from 0 to 1 in the colour map
    colours = colormaps[SIGNED](places)
    colours[np.isnan(values)] = 0
    return colours


def differing_most(values: Floats) -> Ints:
    """The columns of `values` (R, K) whose rows differ most; NaN counts as 0."""
    spread = np.nan_to_num(values).std(axis=0)
    order = largest_first(spread)
    return np.sort(order[:MANY_CLASSES])


def heat_map(
    ax: Axes,
    texts: pd.DataFrame,  # (rows, columns); '' or NaN for an empty cell
    colours: np.ndarray,  # (rows, columns, 4)
    *,
    bold: np.ndarray | None = None,  # (rows, columns) bool
) -> Axes:
    """Draw a table of coloured cells; column names are turned."""
    ax.imshow(colours, aspect="auto", interpolation="nearest")
    filled = texts.astype(object).fillna("")
    for (row, column), words in np.ndenumerate(filled):
        if words:
            weight = "bold" if bold is not None and bold[row, column] else "normal"
            colour = text_on(colours[row, column])
            ax.text(
                column,
                row,
                words,
                ha="center",
                va="center",
                color=colour,
                weight=weight,
            )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_yticks(range(len(texts)), list(map(shorten, texts.index)))
    names = [shorten(name, 22) for name in texts]
    ax.set_xticks(
        range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor"
    )
    return ax


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
    label: str = "points of accuracy",
) -> Axes:
    """Draw each estimate as a dot with its interval, the largest at the top, and a
    dashed line at `line`.

    The columns of `intervals` are name, estimate, low and high (NaN for no interval),
    and filled (bool); values are shown times 100.
    """
    rows = intervals.sort_values(
        "estimate", ascending=False, kind="stable", ignore_index=True
    )
    ax.axvline(100 * line, color=MUTED, linewidth=1, linestyle="--")
    ends = 100 * rows["low"], 100 * rows["high"]
    ax.hlines(rows.index, *ends, color=SERIES[0], linewidth=2.2, alpha=0.55)
    for filled, fill in ((True, SERIES[0]), (False, PAPER)):
        dots = 100 * rows["estimate"][rows["filled"] == filled]
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


@figure(
    "Accuracy of each configuration with its 95 % interval, by bootstrap over source"
    " recordings; hollow: no clear difference from the best; dashed: chance",
    row_height("intervals", 0.7, 0.2),
)
def draw_accuracy_by_set(
    ax: Axes, *, intervals: pd.DataFrame, line: float, label: str = "accuracy, %"
) -> Axes:
    return draw_intervals(ax, intervals=intervals, line=line, label=label)


def points_or_dot(value: float) -> str:
    """A difference from -1 to 1 in points: `+3`, `−12`, `·` if it rounds to 0."""
    text = points(value, 0)
    return "·" if text == "0" else text


@figure(
    "Confusion matrix: a row is the actual class with its number of predictions, a"
    " column the predicted one; correct predictions are grey, errors orange; a box"
    f" holds the classes of one category; of more than {MANY_CLASSES} classes, those"
    " with the most errors are shown, the others are summed",
    lambda classes, **_: 1.5 + min(0.4 * len(classes), 4.6),
)
def draw_confusion_matrix(
    ax: Axes,
    *,
    # (classes, classes), rows are actual classes; means over seeds need not be whole
    counts: np.ndarray,
    classes: Sequence[str],
    categories: Sequence[str] | None = None,
) -> Axes:
    """Shade each cell by its share of the row; its text is the count.

    Classes have the order given, and a box surrounds neighbours of one category. If
    there are more than MANY_CLASSES classes, those with the most errors are shown; the
    last row and column sum the others.
    """
    classes = list(classes)
    categories = list(categories or [""] * len(classes))
    if len(classes) > MANY_CLASSES:
        clips = counts.sum(axis=0) + counts.sum(axis=1)
        errors = clips - 2 * counts.diagonal()
        ranked = largest_first(errors)
        starts = np.arange(MANY_CLASSES + 1)
        kept = np.sort(ranked[:MANY_CLASSES])
        others = ranked[MANY_CLASSES:]
        for axis in (0, 1):
            ordered = counts.take([*kept, *others], axis)
            counts = np.add.reduceat(ordered, starts, axis)
        classes = [*(classes[row] for row in kept), f"{len(others)} other classes"]
        categories = [*(categories[row] for row in kept), ""]
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1e-9)[:, None]
    # Errors are few: the square root makes a share of 1 in 40 visible; 3 in 5 has the
    # darkest shade.
    correct = np.eye(len(classes))
    grey = (correct > 0) | (counts == 0)
    greys = GREYS(share * correct)
    of_errors = ERRORS(ERROR_SHADE * np.sqrt(share))
    colours = np.where(grey[..., None], greys, of_errors)

    def text(count: float) -> str:
        return f"{count:.1f}".removesuffix(".0") if count else ""

    rows = []
    for name, clips_of_class in zip(classes, total):
        rows.append(f"{shorten(name, 21)} ({clips_of_class:.0f})")
    texts = np.vectorize(text)(counts)
    heat_map(ax, pd.DataFrame(texts, rows, classes), colours)
    ax.set_aspect("auto" if is_narrow(ax) else "equal")
    _box_categories(ax, categories)
    ax.set(xlabel="Predicted", ylabel="Actual")
    return ax


def _box_categories(ax: Axes, categories: Sequence[str]) -> None:
    """Draw a box on the diagonal around neighbouring classes of one category."""
    start = 0
    for category, neighbours in groupby(categories):
        side = len(list(neighbours))
        corner = (start - 0.5, start - 0.5)
        if category and side > 1:
            box = Rectangle(corner, side, side, fill=False, edgecolor=INK, linewidth=1)
            ax.add_patch(box)
        start += side


def submit_comparison(writer: FigureWriter, found: Findings) -> None:
    """Submit the figures of several runs; with PAPER=1 also those that the page shows
    in HTML.

    A figure of intervals is left out if no row has an interval.
    """
    rows = pd.DataFrame(found.rows)
    shown = rows[:SETS_SHOWN]
    if writer.for_print:
        columns = {
            "label": "name",
            "accuracy": "estimate",
            "accuracy_low": "low",
            "accuracy_high": "high",
        }
        intervals = shown.rename(columns=columns).assign(
            filled=shown["verdict"] != "tied"
        )
        if intervals["low"].notna().any():
            writer.submit(
                "accuracy_by_set",
                intervals=intervals,
                line=found.chance,
                label=f"{found.score}, %",
            )
    ablations = found.tables.get("ablations", pd.DataFrame({"kind": []}))
    for kind, pairs in ablations.groupby("kind", sort=False):
        gains = pairs[:SETS_SHOWN].rename(columns={"difference": "estimate"})
        if gains["model"].nunique() == 1:
            gains["name"] = gains["name"].str.replace(
                f" ({gains['model'].iloc[0]})", "", regex=False
            )
        gains["filled"] = gains["verdict"].str.startswith("clear")
        if gains["low"].notna().any():
            writer.submit(
                "intervals",
                STEMS[str(kind)],
                intervals=gains,
                label=f"points of {found.score}",
            )
