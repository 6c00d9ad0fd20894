"""Figures of clips and features: counts, class means, separability."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    RATES,
    SERIES,
    figure,
    grid_lines,
    heat_map,
    row_height,
    shorten,
    signed_colours,
)


@figure(
    "Clips of each class in each fold", row_height("counts", 0.6, 0.19), COLUMN_WIDTH
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
    """A number with three significant digits, whole from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


@figure(
    "Mean of a feature by class, in standard deviations from the mean of all clips;"
    f" orange is above; of at most {SAMPLED_CLIPS} clips, drawn by chance: classes"
    " without one of them are left out",
    row_height("means", 1.0, 0.19),
)
def draw_class_means(
    ax: Axes, *, means: pd.DataFrame, row_unit: str, title: str = ""
) -> Axes:
    """Draw `means` (classes, rows), in standard deviations, as colours."""
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
    """Draw a bar for each feature's `accuracy`."""
    bars = len(accuracy)
    names = [shorten(name) for name in accuracy.index]
    ax.barh(range(bars), 100 * accuracy, color=SERIES[0], height=0.74)
    ax.set_yticks(range(bars), names)
    ax.set(xlabel="accuracy of the nearest neighbour, %", ylim=(bars - 0.4, -0.6))
    grid_lines(ax, "x")
    return ax
