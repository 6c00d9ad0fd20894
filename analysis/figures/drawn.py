"""The figures of every report: intervals of runs and of ablations, learning curves."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from featurestack.analysis.figures import (
    MUTED,
    PAPER,
    SERIES,
    figure,
    grid_lines,
    is_narrow,
    panels,
    row_height,
    shorten,
)


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
