"""Figures of clips and features: counts, one clip's features, class means,
separability, projections.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    MANY_CLASSES,
    MARKERS,
    MUTED,
    RATES,
    SERIES,
    figure,
    grid_lines,
    heat_map,
    panels,
    row_height,
    shorten,
    signed_colours,
)


@figure(
    "Clips of each class in each fold",
    row_height("counts", 0.6, 0.19),
    COLUMN_WIDTH,
)
def draw_clips_per_fold(ax: Axes, *, counts: pd.DataFrame) -> Axes:
    """Draw `counts` (classes, folds) as a shaded table with its numbers."""
    values = counts.to_numpy()
    word = "fold {}" if values.shape[1] <= 5 else "{}"
    texts = counts.rename(columns=word.format).astype(str)
    return heat_map(
        ax, texts, RATES(values / max(3 * values.max(initial=0), 1)), top=True
    )


# up to so many feature rows are all named; if there are more, seven are
NAMED_ROWS = 16


# most clips to draw from a dataset; more take longer and hardly change a bar
SAMPLED_CLIPS = 150


def format_plain(value: float) -> str:
    """A number with three significant digits, or rounded to a whole number from 100 on:
    31.2, 682, 15400.
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


@figure(
    "Mean of a feature by class, in standard deviations from the mean of all clips;"
    f" orange is above; of at most {SAMPLED_CLIPS} clips, drawn by chance: classes"
    " without one of them are left out",
    row_height("means", 1.0, 0.19),
)
def draw_class_means(
    ax: Axes,
    *,
    means: pd.DataFrame,
    row_unit: str,
    title: str = "",
) -> Axes:
    """Draw `means` (classes, feature rows), in standard deviations from the mean over
    clips, as colours.
    """
    no_texts = means.map(lambda _: "")
    colours = signed_colours(-means.to_numpy())
    heat_map(ax, no_texts, colours, turn=45)
    rows = means.columns
    if len(rows) > NAMED_ROWS:
        places = np.linspace(0, len(rows) - 1, 7).round().astype(int)
        ax.set_xticks(places, rows[places], rotation=0, ha="center")
    ax.set_xlabel(row_unit)
    ax.set_title(title)
    return ax


@figure(
    "Separability of the classes by each feature: share of the clips whose nearest"
    f" clip of another source recording has their class; of at most {SAMPLED_CLIPS}"
    " clips, drawn by chance",
    row_height("accuracy", 0.6, 0.17),
    COLUMN_WIDTH,
)
def draw_separability(ax: Axes, *, accuracy: pd.Series) -> Axes:
    """Draw a bar for each feature: `accuracy` of the nearest neighbour, in the order
    given.
    """
    bars = len(accuracy)
    names = [shorten(name) for name in accuracy.index]
    ax.barh(range(bars), 100 * accuracy, color=SERIES[0], height=0.74)
    ax.set_yticks(range(bars), names)
    ax.set(xlabel="accuracy of the nearest neighbour, %", ylim=(bars - 0.4, -0.6))
    grid_lines(ax, "x")
    return ax


PROJECTIONS_A_ROW = 4
# more classes repeat colours, with other markers
POINT_COLOURS = (*SERIES, "#c2b100", "#9b1d4f")


@figure(
    f"Projections of the clips, one dot per clip; at most {SAMPLED_CLIPS} clips, drawn"
    f" by chance; of more than {MANY_CLASSES} classes, those with the most of these"
    " clips are coloured, the others are grey",
    row_height("points", 0.9, 1.65, PROJECTIONS_A_ROW),
)
def draw_projections(
    ax: Axes,
    *,
    points: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
) -> Axes:
    """Draw a panel for each title: each clip at its place in `points` (clips, 2),
    coloured by its class.

    A legend of hundreds of classes would leave no room for the panels.
    """
    classes, clips = np.unique(np.concatenate([*labels.values()]), return_counts=True)
    others = np.empty(0, classes.dtype)
    if len(classes) > MANY_CLASSES:
        ranked = np.argsort(-clips, kind="stable")
        others = classes[ranked[MANY_CLASSES:]]
        classes = np.sort(classes[ranked[:MANY_CLASSES]])
    columns = min(PROJECTIONS_A_ROW, len(points))
    drawn = panels(ax, len(points), columns, wide=0.06, high=0.12)
    for panel, (title, places) in zip(drawn, points.items()):
        if len(others):
            panel.plot(
                *places[np.isin(labels[title], others)].T,
                "o",
                color=MUTED,
                markersize=2,
                markeredgewidth=0,
                alpha=0.5,
                label=f"{len(others)} other classes",
                rasterized=True,
            )
        for number, name in enumerate(classes):
            panel.plot(
                *places[labels[title] == name].T,
                linestyle="",
                marker=MARKERS[(number // len(POINT_COLOURS) + number) % len(MARKERS)],
                color=POINT_COLOURS[number % len(POINT_COLOURS)],
                markersize=3.4,
                markeredgewidth=0,
                alpha=0.75,
                label=shorten(name, 20),
                rasterized=True,
            )
        panel.set(xticks=[], yticks=[])
        panel.set_title(title, weight="normal")
        panel.spines[:].set_visible(True)
    ax.figure.legend(
        *panel.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        markerscale=1.3,
        handletextpad=0.2,
        columnspacing=1,
    )
    return ax
