"""The figures of every report: intervals of runs and of ablations, learning curves,
confusion matrices, and the features of a clip. First what each takes from a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from featurestack.analysis.figures import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    SPECTRUM,
    VISIBLE,
    figure,
    grid_lines,
    in_lines,
    is_far,
    is_narrow,
    panels,
    shorten,
    shortened_labels,
)
from featurestack.analysis.page import SHOWN_RUNS
from featurestack.analysis.report.tables import confusion_by_category
from featurestack.comparison.metrics import largest_first
from featurestack.comparison.significance import DIFFERENCE_INTERVAL
from featurestack.features_cache.feature_names import FeatureName, parse_feature_name

if TYPE_CHECKING:
    from featurestack.analysis.page import Report
    from featurestack.comparison.scores import Estimate

# most sets in a figure that has a row for each set; the page's table has all runs
SETS_SHOWN = 24
# characters of a row's name in a line, of a narrow figure and of a wide one
LINE, WIDE_LINE = 26, 48


def intervals_of(
    rows: Sequence[tuple[str, Estimate, bool]], stem: str, **given: Any
) -> dict[str, dict[str, Any]]:
    """The data of a figure of rows (name, estimate, filled), if one has an interval."""
    if not any(estimate.bounded for _, estimate, _ in rows):
        return {}
    table = [
        (text, estimate.value, estimate.low, estimate.high, full)
        for text, estimate, full in rows
    ]
    columns = ["name", "estimate", "low", "high", "filled"]
    return {stem: {"intervals": pd.DataFrame(table, columns=columns), **given}}


def additions(report: Report) -> dict[str, dict[str, Any]]:
    """What each ablation gains; a model that all have is not named."""
    gains = report.found.gains[:SETS_SHOWN]
    models = {gain.less.model for gain in gains}
    model = f" ({models.pop()})" if len(models) == 1 else ""
    names, note = without_shared(
        [added.name.replace(model, "") for added in gains],
        [added.more.features for added in gains],
    )
    steps = [(text, added.difference, added.clear) for text, added in zip(names, gains)]
    label = f"points of {report.found.score}"
    return intervals_of(steps, "additions", label=label, note=note)


def without_shared(
    names: Sequence[str], sets: Iterable[str]
) -> tuple[Sequence[str], str]:
    """Names without the parameters that all features of these sets have, and what a
    caption says of them.
    """
    channels = {
        parse_feature_name(name) for features in sets for name in features.split("+")
    }
    parameters = [{*channel.parameters} for channel in channels]
    shared = set.intersection(*parameters) if parameters else set()
    if not shared:
        return names, ""
    pairs = {}
    for channel in channels:
        kept = tuple(pair for pair in channel.parameters if pair not in shared)
        pairs[str(channel)] = str(replace(channel, parameters=kept))
    longest_first = sorted(map(re.escape, pairs), key=len, reverse=True)
    any_channel = re.compile("|".join(longest_first))
    texts = [any_channel.sub(lambda found: pairs[found[0]], name) for name in names]
    common = FeatureName("", tuple(sorted(shared)))
    return texts, f". All features have {common}"


def accuracy_by_set(report: Report) -> dict[str, dict[str, Any]]:
    found = report.found
    assert found.main, "runs that are compared have a ranking"
    shown = found.ranked[:SETS_SHOWN]
    names, note = without_shared(
        [entry.label for entry in shown],
        [entry.run.features for entry in shown if entry.run.trained],
    )
    bars = [
        (name, entry.score, entry.verdict != "no clear difference")
        for name, entry in zip(names, shown)
    ]
    given = {"line": found.main.chance, "label": f"{found.score}, %", "note": note}
    return intervals_of(bars, "accuracy_by_set", **given)


def learning_curves(report: Report) -> dict[str, dict[str, Any]]:
    """Scores by epoch of the best runs that have several, means over their seeds."""
    curves = {}
    for run in report.found.runs[:SHOWN_RUNS]:
        by_epoch = run.history.drop(columns="seed").groupby(["fold", "epoch"])
        mean = by_epoch.mean().reset_index()
        if mean["epoch"].nunique() > 1:
            title = run.metric.title
            title += " of the fold" if run.metric.multilabel else ""
            history = dict(list(mean.groupby("fold")))
            curves[f"{run.name}.curves"] = {"history": history, "title": title}
    return curves


def confusion_matrices(report: Report) -> dict[str, dict[str, Any]]:
    return {
        f"{run.name}.confusion": confusion_by_category(run)
        for run in report.found.runs[:SHOWN_RUNS]
        if not run.metric.multilabel
    }


def height_of_rows(intervals: pd.DataFrame, **_: Any) -> float:
    """In inches; a row has room for its name in a narrow figure."""
    lines = [in_lines(name, LINE).count("\n") for name in intervals["name"]]
    return 0.7 + 0.2 * len(lines) + 0.1 * sum(lines)


@figure(
    f"Points that each change of features adds, with its {DIFFERENCE_INTERVAL},"
    " corrected for the other comparisons. A hollow mark is no clear difference",
    height_of_rows,
    section="ablations",
    data=additions,
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
        [in_lines(name, LINE if is_narrow(ax) else WIDE_LINE) for name in rows["name"]],
    )
    ax.set(xlabel=label, ylim=(len(rows) - 0.3, -0.7))
    grid_lines(ax, "x")
    ax.spines["left"].set_visible(False)
    return ax


@figure(
    "Accuracy of each configuration with its 95 % interval, Wilson’s with the standard"
    " error of a bootstrap over source recordings. A hollow mark is not clearly"
    " different from the best. The dashed line is chance, where the axis reaches it",
    height_of_rows,
    section="comparison",
    data=accuracy_by_set,
    print_only=True,
)
def draw_accuracy_by_set(
    ax: Axes, *, intervals: pd.DataFrame, line: float, label: str = "accuracy, %"
) -> Axes:
    ends = intervals[["estimate", "low", "high"]]
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    if not is_far(line, low, high):
        return draw_intervals(ax, intervals=intervals, line=line, label=label)
    label += f"; the axis leaves out chance, {100 * line:.0f}"
    draw_intervals(ax, intervals=intervals, line=line, label=label)
    margin = 0.1 * (high - low)
    ax.set_xlim(100 * (low - margin), 100 * (high + margin))
    return ax


SPLITS = (
    ("train", "training", SERIES[7], ":"),
    ("val", "validation", SERIES[2], "--"),
    ("test", "test fold", SERIES[0], "-"),
)


@figure(
    "Learning curves are means over folds. The shading spans the test folds, from the"
    " lowest to the highest. Nothing was selected by a test fold",
    lambda **_: 2.6,
    section="runs",
    data=learning_curves,
)
def draw_learning_curves(
    ax: Axes, *, history: Mapping[int, pd.DataFrame], title: str = ""
) -> Axes:
    """Draw score and loss by epoch; `history` is fold -> table of history.csv."""
    epochs = pd.concat(history.values()).dropna(axis="columns", how="all")
    columns = 1 if is_narrow(ax) else 2
    tested = (name for name in epochs if str(name).startswith("test_"))
    scores = (name.removeprefix("test_") for name in tested if name != "test_loss")
    score = next(scores, "accuracy")
    for panel, metric, scale in zip(
        panels(ax, 2, columns, wide=0.25, high=0.5), (score, "loss"), (100, 1)
    ):
        for part, label, colour, dash in SPLITS:
            column = f"{part}_{metric}"
            if column not in epochs:
                continue
            curve = scale * epochs.dropna(subset=column).groupby("epoch")[column].agg(
                ["mean", "min", "max"]
            )
            if part == "test":
                low, high = curve["min"], curve["max"]
                panel.fill_between(
                    curve.index, low, high, color=colour, alpha=0.15, linewidth=0
                )
            panel.plot(
                curve.index,
                curve["mean"],
                color=colour,
                linestyle=dash,
                marker="o" if len(curve) == 1 else None,
                label=label,
            )
        heading = metric if metric == "loss" else f"{title or score}, %"
        panel.set(title=heading, xlabel="epoch")
        grid_lines(panel)
        panel.margins(x=0.02)
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        panel.set_ylim(bottom=0, top=None if metric == "loss" else 102)
        panel.legend()
    return ax


# ---- heat maps

# If there are more, a confusion matrix shows the classes with the most errors, and the
# figure of importance the classes in which features differ most.
MANY_CLASSES = 20
SQUARE = 12  # classes whose names are readable next to square cells of a narrow figure
# Each map has one hue that darkens evenly, so that rates read the same on screen, on
# paper and in grey.
GREYS = LinearSegmentedColormap.from_list("greys", ["#f6f8fb", "#dde2e8", "#b3bcc6"])
ERRORS = LinearSegmentedColormap.from_list("errors", ["#fdf0e6", "#f5b27c", "#e87722"])
# Text on a data colour, also in dark mode: one of the two always has a contrast over
# 4.5.
ON_LIGHT, ON_DARK = "#000000", "#ffffff"
ERROR_SHADE = 1.3  # the page's style sheets have the same


def text_on(colour: np.ndarray) -> str:
    """ON_LIGHT or ON_DARK, whichever has more contrast with a colour (3,)."""
    # nearly the luminance of WCAG 2
    luminance = np.dot(colour[:3] ** 2.2, (0.2126, 0.7152, 0.0722))
    return ON_DARK if luminance < 0.179 else ON_LIGHT


def heat_map(
    ax: Axes,
    texts: pd.DataFrame,  # (rows, columns); '' or NaN for an empty cell
    colours: np.ndarray,  # (rows, columns, 4)
) -> Axes:
    """Draw a table of coloured cells; column names are rotated."""
    ax.imshow(colours, aspect="auto", interpolation="nearest")
    filled = texts.astype(object).fillna("")
    for (row, column), words in np.ndenumerate(filled):
        if words:
            colour = text_on(colours[row, column])
            ax.text(column, row, words, ha="center", va="center", color=colour)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_yticks(range(len(texts)), shortened_labels(texts.index))
    names = shortened_labels(texts, 22)
    ax.set_xticks(
        range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor"
    )
    return ax


@figure(
    "Rows of the confusion matrix are true classes, with their numbers of predictions,"
    " and columns are predicted classes. Correct predictions are grey, errors orange."
    f" A box holds the classes of one category. Of more than {MANY_CLASSES} classes"
    " those with the most errors are shown, and the others are summed",
    lambda classes, **_: 1.5 + min(0.4 * len(classes), 4.6),
    section="runs",
    data=confusion_matrices,
    print_only=True,
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
    for name, clips_of_class in zip(shortened_labels(classes, 21), total):
        rows.append(f"{name} ({clips_of_class:.0f})")
    texts = np.vectorize(text)(counts)
    heat_map(ax, pd.DataFrame(texts, rows, classes), colours)
    crowded = is_narrow(ax) and len(classes) > SQUARE  # rows need their height
    ax.set_aspect("auto" if crowded else "equal")
    ax.set(xlabel="Predicted", ylabel="Actual")
    start = 0
    for category, neighbours in groupby(categories):
        side = len(list(neighbours))
        corner = (start - 0.5, start - 0.5)
        if category and side > 1:
            box = Rectangle(corner, side, side, fill=False, edgecolor=INK, linewidth=1)
            ax.add_patch(box)
        start += side
    return ax


GALLERY_COLUMNS = (3, 4, 5)  # the first that leaves no panel alone in the last row
SHARP = 64  # fewest rows of an image: fewer would blur into each other


def gallery_columns(panels: int) -> int:
    """
    >>> [gallery_columns(panels) for panels in (1, 2, 4, 6, 10)]
    [1, 2, 4, 3, 4]
    """
    if panels < GALLERY_COLUMNS[0]:
        return panels
    even = (columns for columns in GALLERY_COLUMNS if panels % columns != 1)
    return next(even, GALLERY_COLUMNS[0])


@figure(
    "All cached features of one clip",
    lambda features, **_: (
        0.5 + 1.35 * -(-len(features) // gallery_columns(len(features)))
    ),
)
def draw_gallery(ax: Axes, *, features: Sequence[Any], title: str = "") -> Axes:
    """Draw a panel for each feature, as `fs.compute` returns it: an image with its
    colour scale, or a line of one row.
    """
    columns = gallery_columns(len(features))
    drawn = panels(ax, len(features), columns, wide=0.7, high=0.75)
    for panel, feature in zip(drawn, features):
        end = float(feature.seconds[-1]) or 1.0  # 1.0 if a single frame has no extent
        if len(feature.values) == 1:
            panel.plot(
                feature.seconds, feature.values[0], color=SERIES[0], linewidth=0.6
            )
            panel.set_ylabel(feature.units, labelpad=1)
        else:
            feature_map_image(panel, feature.values, end)
            panel.set_yticks(*named_places(feature.rows, feature.row_unit))
            panel.set_ylabel(feature.row_unit, labelpad=1)
            if feature.frame_unit != "s":  # its frames need not be equally far apart
                places, names = named_places(feature.seconds)
                panel.set_xticks((places + 0.5) * end / len(feature.seconds), names)
        panel.set_xlim(0, end)
        panel.set_title(shorten(feature.name, 22), pad=3)
        panel.set_xlabel(feature.frame_unit, labelpad=0.5)
        panel.tick_params(length=1.5, pad=1.5)
    ax.set_title(title, pad=16)
    return ax


HERTZ = {100: "100", 1_000: "1k", 10_000: "10k"}
PITCH_CLASSES = {0: "C", 4: "E", 7: "G", 11: "B"}


def named_places(axis: np.ndarray, unit: str = "") -> tuple[np.ndarray, list[str]]:
    """Up to four rows or frames and their names: powers of ten of a frequency, pitch
    classes; values that are about equally far apart of any other axis.
    """
    names = {"Hz": HERTZ, "pitch class": PITCH_CLASSES}.get(unit, {})
    if unit == "index":
        steps = MaxNLocator(4, integer=True).tick_values(axis.min(), axis.max())
        names = {int(step): f"{step:.0f}" for step in steps}
    within: list[int] = [at for at in names if axis.min() <= at <= axis.max()]
    if len(within) > 1 and (np.diff(axis) > 0).all():
        places = np.interp(within, axis, np.arange(len(axis), dtype=float))
        # on a linear axis the low frequencies would lie on top of each other
        apart = np.append(np.diff(places) > 0.1 * len(axis), True)
        return places[apart], [names[at] for at, far in zip(within, apart) if far]
    spaced = np.linspace(0, len(axis) - 1, 4)
    places = np.unique(spaced.round().astype(int))
    values = [float(axis[place]) for place in places]
    return places, [f"{v:.0f}" if abs(v) >= 100 else f"{v:.3g}" for v in values]


def feature_map_image(panel: Axes, values: np.ndarray, seconds: float) -> None:
    """Draw (rows, frames), low rows at the bottom; VISIBLE values have colours."""
    values = np.asarray(values, np.float32)
    low, high = np.percentile(values, VISIBLE)
    image = panel.imshow(
        np.repeat(values, -(-SHARP // len(values)), axis=0),
        origin="lower",
        aspect="auto",
        cmap=SPECTRUM,
        vmin=low,
        vmax=high,
        extent=(0, seconds, -0.5, len(values) - 0.5),
        interpolation="antialiased",
    )
    scale = panel.inset_axes((1.03, 0, 0.035, 1))
    bar = panel.figure.colorbar(image, cax=scale, ticks=[low, high])
    bar.ax.set_yticklabels([f"{round(float(end), 4) + 0:.2g}" for end in (low, high)])
    bar.ax.tick_params(length=0, pad=1)
    bar.outline.set_visible(False)
