"""Figures of one run: its predictions, learning curves, channels and augmentations."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    COLUMN_WIDTH,
    MUTED,
    SERIES,
    figure,
    grid_lines,
    is_narrow,
    panels,
)

SPLITS = (
    ("train", "training", SERIES[7], ":"),
    ("val", "validation", SERIES[2], "--"),
    ("test", "test fold", SERIES[0], "-"),
)
FEWEST_IN_BIN = 10  # predictions; the accuracy of fewer is too uncertain to draw


@figure(
    "Learning curves: mean over folds, the test fold shaded from the lowest to the"
    " highest; nothing was selected by the test fold",
    lambda **_: 2.6,
)
def draw_learning_curves(
    ax: Axes, *, history: Mapping[int, pd.DataFrame], title: str = ""
) -> Axes:
    """Draw score and loss by epoch; `history` is fold -> table of history.csv, whose
    first score of the test fold is drawn, with a title.
    """
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
        panel.set_ylim(bottom=0, top=None if metric == "loss" else 102)
        panel.legend()
    return ax


@figure(
    "Reliability diagram: accuracy against confidence in ten bins, all folds together;"
    f" bins of fewer than {FEWEST_IN_BIN} predictions have no dot; the bars count them",
    lambda **_: 3.7,
    COLUMN_WIDTH,
)
def draw_reliability(
    ax: Axes, *, confidence: np.ndarray, accuracy: np.ndarray, clips: np.ndarray
) -> Axes:
    """Draw accuracy against mean confidence, and the predictions: (bins,) each."""
    ax.set_axis_off()
    above = ax.inset_axes((0, 0.3, 1, 0.7))
    below = ax.inset_axes((0, 0, 1, 0.22))
    above.plot([0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=1)
    line = above.text(
        4, 12, "perfect calibration", color=MUTED, rotation=45, rotation_mode="anchor"
    )
    line.set_transform_rotates_text(True)
    enough = clips >= FEWEST_IN_BIN
    x = 100 * confidence[enough]
    y = 100 * accuracy[enough]
    gap = np.minimum(x, y), np.maximum(x, y)  # between confidence and accuracy
    above.vlines(x, *gap, color=MUTED, linewidth=1)
    above.plot(x, y, "o-", color=SERIES[0], markersize=5, linewidth=1)
    above.set(xlim=(0, 102), ylim=(0, 103), ylabel="accuracy, %", xticklabels=[])
    width = 100 / len(clips)
    below.bar(
        (np.arange(len(clips)) + 0.5) * width,
        clips,
        width=0.9 * width,
        color=SERIES[0],
        alpha=0.6,
    )
    below.set(
        xlim=(0, 102),
        xlabel="confidence (predicted probability), %",
        ylabel="predictions",
    )
    for panel in (above, below):
        grid_lines(panel)
    return ax
