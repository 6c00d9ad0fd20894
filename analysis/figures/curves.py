"""Learning curves, and whether stated probabilities can be believed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.registry import figure
from analysis.figures.style import MUTED, PAPER, SERIES, escape, grid, panels, series, short

PARTS = (
    ("train", "training clips", SERIES[7], ":"),
    ("val", "validation clips", SERIES[2], "--"),
    ("test", "test fold, not used for any choice", SERIES[0], "-"),
)
METRICS = (("accuracy", "accuracy"), ("f1", "macro F1"), ("loss", "loss"))

History = Mapping[int, pd.DataFrame]  # fold -> its history.csv


@figure("Learning curves: mean over folds, the shade from the lowest to the highest fold", size=(9.0, 3.0))
def learning_curves(ax: Axes, *, history: History, title: str = "") -> Axes:
    """Accuracy, macro F1 and loss of one run by epoch."""
    for panel, (metric, name) in zip(panels(ax, 1, 3, wide=0.22), METRICS, strict=True):
        for part, label, colour, dash in PARTS:
            curve = over_folds(history, f"{part}_{metric}")
            if curve is not None:
                epoch, mean, low, high = curve
                panel.fill_between(epoch, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(epoch, mean, color=colour, linestyle=dash, label=label)
        _dress(panel, name)
        if metric == "accuracy":
            panel.legend(loc="best", fontsize=7)
    ax.set_title(title, pad=18)
    return ax


@figure(
    "Learning curves of several runs on the test fold, which no choice was made by; mean over folds",
    size=(9.0, 3.4),
)
def learning_curves_overlaid(ax: Axes, *, histories: Mapping[str, History]) -> Axes:
    """One panel each for accuracy, macro F1 and loss, a line a run."""
    drawn = panels(ax, 1, 3, wide=0.22)
    for panel, (metric, name) in zip(drawn, METRICS, strict=True):
        for number, (run, history) in enumerate(histories.items()):
            curve = over_folds(history, f"test_{metric}")
            if curve is not None:
                epoch, mean, low, high = curve
                look = series(number)
                panel.fill_between(epoch, low, high, color=look["color"], alpha=0.1, linewidth=0)
                panel.plot(epoch, mean, **look, markersize=3.5, markevery=0.15, label=escape(short(run, 40)))
        _dress(panel, name)
    drawn[0].legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2, borderaxespad=0)
    return ax


def over_folds(history: History, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Epochs with mean, lowest and highest of `column` over folds; None where it was never computed."""
    rows = [
        frame[["epoch", column]].astype(float).dropna()
        for frame in history.values()
        if column in frame and "epoch" in frame
    ]
    together = pd.concat(rows) if rows else pd.DataFrame()
    if together.empty:
        return None
    by_epoch = together.groupby("epoch")[column].agg(["mean", "min", "max"])
    return (
        by_epoch.index.to_numpy(),
        by_epoch["mean"].to_numpy(),
        by_epoch["min"].to_numpy(),
        by_epoch["max"].to_numpy(),
    )


def _dress(panel: Axes, name: str) -> None:
    panel.set_title(name)
    panel.set_xlabel("epoch")
    grid(panel)
    panel.margins(x=0.02)
    if name == "loss":
        panel.set_ylim(bottom=0)
    elif panel.has_data():
        panel.set_ylim(0, 1.02)


@figure("Reliability: how often it was right when it said so sure, all folds together", size=(4.2, 4.2))
def reliability(
    ax: Axes, *, confidence: np.ndarray, accuracy: np.ndarray, share: np.ndarray, error: float
) -> Axes:
    """Accuracy of the clips in each bin of confidence, (bins,); a dot's area is the `share` of all clips."""
    ax.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="said and done agree")
    filled = share > 0
    said, done = confidence[filled], accuracy[filled]
    ax.vlines(said, np.minimum(said, done), np.maximum(said, done), color=MUTED, linewidth=1)  # how far off
    area = 12 + 220 * share[filled] / share.max()
    ax.scatter(said, done, s=area, color=SERIES[0], edgecolor=PAPER, linewidth=0.8, zorder=3)
    ax.set(
        xlim=(0, 1.03),
        ylim=(-0.03, 1.03),
        xlabel="stated probability",
        ylabel="share that was right",
        aspect="equal",
    )
    ax.set_title(f"calibration error of all clips {error:.3f}")
    ax.legend(loc="upper left")
    grid(ax)
    return ax
