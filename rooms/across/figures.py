"""Figures of the page over all datasets."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.comparison import points_or_dot
from featurestack.analysis.figures.drawing import (
    GREYS,
    INK,
    MUTED,
    PAPER,
    SERIES,
    figure,
    grid_lines,
    heat_map,
    is_narrow,
    panels,
    shorten,
    signed_colours,
)
from featurestack.scores.metrics import Floats

COLUMNS = 4  # panels in a row; 2 in the column of a paper
LEAST_WIDTH = 5  # points to either side of zero that a panel shows


def gains_height(*, gains: pd.DataFrame, pooled: pd.DataFrame) -> float:
    rows = -(-len(pooled) // COLUMNS)
    return 0.7 + rows * (0.55 + 0.14 * (gains["dataset"].nunique() + 1))


@figure(
    "Gain of each feature set over the base in points, by dataset, with 95 % intervals"
    " by source recording, not corrected. A filled dot is a clear gain or loss,"
    " corrected for all feature sets; a hollow dot is not clear or could not be tested,"
    " although its interval may exclude zero. Diamond: mean over datasets, with its"
    " interval and, thinner, the range of a new dataset (from five datasets on)."
    " Triangles: the interval goes on outside the panel",
    gains_height,
)
def draw_across_gains(ax: Axes, *, gains: pd.DataFrame, pooled: pd.DataFrame) -> Axes:
    """Draw a panel for each row of `pooled` (mean, low, high, new_low, new_high, by
    feature set), with the rows of `gains` (feature_set, dataset, gain, low, high,
    verdict).
    """
    datasets = sorted(gains["dataset"].unique())
    places = {name: place for place, name in enumerate(datasets)}
    columns = min(len(pooled), 2 if is_narrow(ax) else COLUMNS)
    width = max(LEAST_WIDTH, 130 * gains["gain"].abs().max())
    for number, (panel, (name, mean)) in enumerate(
        zip(panels(ax, len(pooled), columns, wide=0.08, high=0.45), pooled.iterrows())
    ):
        rows = gains[gains["feature_set"] == name]
        here = rows["dataset"].map(places)
        last = len(datasets)
        panel.axvline(0, color=MUTED, linewidth=1, linestyle="--")
        draw_gains(panel, rows, here)
        draw_mean(panel, mean, last)
        lows = np.append(100 * rows["low"], 100 * mean["new_low"])
        highs = np.append(100 * rows["high"], 100 * mean["new_high"])
        mark_outside(panel, lows, highs, np.append(here, last), width)
        panel.set(xlim=(-width, width), ylim=(last + 0.6, -0.6))
        panel.set_title(shorten(str(name), 22))
        labels = [shorten(dataset, 16) for dataset in datasets] + ["mean"]
        shown = labels if number % columns == 0 else [""] * len(labels)
        panel.set_yticks(range(last + 1), shown)
        if number >= len(pooled) - columns:
            panel.set_xlabel("gain, points")
        grid_lines(panel, "x")
        panel.spines["left"].set_visible(False)
    return ax


def draw_gains(panel: Axes, rows: pd.DataFrame, heights: pd.Series) -> None:
    """Draw each dataset's gain with its interval; a dot is filled if it is clear."""
    low, high = 100 * rows["low"], 100 * rows["high"]
    panel.hlines(heights, low, high, color=SERIES[0], linewidth=1.8, alpha=0.55)
    for clear, fill in ((True, SERIES[0]), (False, PAPER)):
        dots = rows["verdict"].isin(["gain", "loss"]) == clear
        panel.plot(
            100 * rows["gain"][dots],
            heights[dots],
            "o",
            color=SERIES[0],
            markerfacecolor=fill,
            markersize=4,
        )


def draw_mean(panel: Axes, mean: pd.Series, height: int) -> None:
    """Draw the mean gain with its interval (thick) and that of a new dataset (thin)."""
    colour = SERIES[7]
    for prefix, linewidth in (("new_", 1), ("", 3)):
        low, high = 100 * mean[f"{prefix}low"], 100 * mean[f"{prefix}high"]
        panel.hlines(height, low, high, color=colour, linewidth=linewidth)
    panel.plot(100 * mean["mean"], height, "D", color=colour, markersize=4)


def mark_outside(
    panel: Axes, lows: Floats, highs: Floats, heights: Floats, width: float
) -> None:
    """Mark intervals that leave the panel, whose axis is from -width to width."""
    for edge, marker, outside in (
        (-width, "<", lows < -width),
        (width, ">", highs > width),
    ):
        panel.plot(
            np.full(outside.sum(), edge),
            heights[outside],
            marker,
            color=MUTED,
            markersize=4,
            clip_on=False,
        )


@figure(
    "Gain over the base in points, coloured by size: violet for more, orange for less."
    " Bold: clear by the dataset's own test. Others are not clear, or have too few"
    " recordings for a test. Empty: not trained, or the feature cannot exist there."
    " Last: datasets with a gain / a tie / a loss",
    lambda joint, **_: 0.8 + 0.19 * len(joint),
)
def draw_across_heat_map(ax: Axes, *, gains: pd.DataFrame, joint: pd.DataFrame) -> Axes:
    """Draw feature sets, in the order of `joint`, by datasets."""
    order = joint["feature_set"]
    values = gains.pivot(index="feature_set", columns="dataset", values="gain")
    verdicts = gains.pivot(index="feature_set", columns="dataset", values="verdict")
    values = values.loc[order]
    clear = verdicts.loc[order].isin(["gain", "loss"]).to_numpy()
    colours = signed_colours(values.to_numpy(float), least=0.01)
    texts = values.map(points_or_dot, na_action="ignore").astype(object)
    counts = joint.set_index("feature_set").loc[order]
    texts["gain / tie / loss"] = [
        f"{row.gained} / {row.tied} / {row.lost}" for row in counts.itertuples()
    ]
    light = np.tile(GREYS(0.0), (len(order), 1, 1))
    ax.axvline(len(values.columns) - 0.5, color=INK, linewidth=0.8)
    bold = np.pad(clear, ((0, 0), (0, 1)))
    colours = np.concatenate([colours, light], axis=1)
    return heat_map(ax, texts, colours, bold=bold, top=True)
