"""Figures of one run: its predictions, learning curves, channels and augmentations."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
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
