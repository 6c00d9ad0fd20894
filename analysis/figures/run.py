"""One run: confusion matrix, learning curves, reliability, sample predictions, channels, augmentations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.figures.drawing import (
    INK,
    MANY_CLASSES,
    MUTED,
    ON_DARK,
    ON_LIGHT,
    PAPER,
    RATES,
    SERIES,
    SIGNED,
    SPECTRUM,
    escape_math,
    feature_map_image,
    figure,
    grid_lines,
    panels,
    shorten,
    ticks,
)
from commandline import percent, points


def _confusion_size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    side = max(4.6, 0.215 * len(classes)) if len(classes) > MANY_CLASSES else max(4.2, 0.48 * len(classes))
    return side + 1.6, side + 1.2


@figure(
    "Confusion matrix: a row is the actual class with its number of predictions, a column the predicted one",
    size=_confusion_size,
)
def draw_confusion_matrix(
    ax: Axes,
    *,
    counts: np.ndarray,  # (classes, classes), a row an actual class
    classes: Sequence[str],
    categories: Sequence[str] | None = None,
    rates: bool = False,
    title: str = "",
) -> Axes:
    """Shade the share of each row; the cells say the counts, or with `rates` the percentages of the row.

    Classes stand in the order given, each actual one with its number of predictions; where neighbours share a
    category their block is outlined.
    """
    number = len(classes)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    ax.imshow(share, cmap=RATES, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    small = number > MANY_CLASSES
    ticks(ax, classes, "x", turn=90 if small else 45, size=6 if small else 8)
    named = [f"{shorten(name, 24)} ({of})" for name, of in zip(classes, counts.sum(axis=1), strict=True)]
    ticks(ax, named, "y", size=6 if small else 8)
    for row, column in np.argwhere(counts > 0):
        _write_cell(ax, row, column, share[row, column], counts[row, column], rates=rates, small=small)
    _outline_categories(ax, categories or [])
    ax.set_xlabel("Predicted (cells: % of the row)" if rates else "Predicted")
    ax.set_ylabel("Actual")
    ax.set_title(title)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _write_cell(
    ax: Axes, row: int, column: int, share: float, count: int, *, rates: bool, small: bool
) -> None:
    text = percent(share, 0) if rates else str(count)
    ax.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=4.6 if small else 8,
        color=ON_DARK if share > 0.45 else ON_LIGHT,
    )


def _outline_categories(ax: Axes, categories: Sequence[str]) -> None:
    """A box round each run of classes that share a category."""
    start = 0
    for place in range(1, len(categories) + 1):
        if place == len(categories) or categories[place] != categories[start]:
            if categories[start] and place - start > 1:
                side = place - start
                box = Rectangle(
                    (start - 0.5, start - 0.5), side, side, fill=False, edgecolor=INK, linewidth=1
                )
                ax.add_patch(box)
            start = place


SPLITS = (
    ("train", "training clips", SERIES[7], ":"),
    ("val", "validation clips", SERIES[2], "--"),
    ("test", "test fold, not used for any choice", SERIES[0], "-"),
)
CURVES = (("accuracy", "accuracy"), ("f1", "macro F1"), ("loss", "loss"))

History = Mapping[int, pd.DataFrame]  # fold -> its history.csv


@figure("Learning curves: mean over folds, shaded from the lowest to the highest fold", size=(9.0, 3.0))
def draw_learning_curves(ax: Axes, *, history: History, title: str = "") -> Axes:
    """Accuracy, macro F1 and loss of one run by epoch."""
    for panel, (metric, name) in zip(panels(ax, 1, 3, wide=0.22), CURVES, strict=True):
        for part, label, colour, dash in SPLITS:
            curve = over_folds(history, f"{part}_{metric}")
            if curve is not None:
                epoch, mean, low, high = curve
                panel.fill_between(epoch, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(epoch, mean, color=colour, linestyle=dash, label=label)
        label_panel(panel, name)
        if metric == "accuracy":
            panel.legend(loc="best", fontsize=7)
    ax.set_title(title, pad=18)
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


def label_panel(panel: Axes, name: str) -> None:
    panel.set_title(name)
    panel.set_xlabel("epoch")
    grid_lines(panel)
    panel.margins(x=0.02)
    if name == "loss":
        panel.set_ylim(bottom=0)
    elif panel.has_data():
        panel.set_ylim(0, 1.02)


@figure("Reliability diagram: accuracy against confidence, all folds together", size=(4.2, 4.2))
def draw_reliability(
    ax: Axes, *, confidence: np.ndarray, accuracy: np.ndarray, share: np.ndarray, error: float
) -> Axes:
    """Accuracy of the clips in each bin of confidence, (bins,); a dot's area is the `share` of all clips."""
    ax.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect calibration")
    filled = share > 0
    x, y = confidence[filled], accuracy[filled]
    ax.vlines(x, np.minimum(x, y), np.maximum(x, y), color=MUTED, linewidth=1)  # the calibration gap
    area = 12 + 220 * share[filled] / share.max()
    ax.scatter(x, y, s=area, color=SERIES[0], edgecolor=PAPER, linewidth=0.8, zorder=3)
    ax.set(
        xlim=(0, 1.03),
        ylim=(-0.03, 1.03),
        xlabel="confidence (predicted probability)",
        ylabel="accuracy",
        aspect="equal",
    )
    ax.set_title(f"expected calibration error {error:.3f}")
    ax.legend(loc="upper left")
    grid_lines(ax)
    return ax


SAMPLES_A_ROW = 4


@dataclass(frozen=True)
class SamplePrediction:
    """A clip's feature map (rows, frames), its true class, its most probable classes with probabilities."""

    outcome: str  # correct | wrong | uncertain
    clip_id: str
    feature_map: np.ndarray
    seconds: float
    true_class: str
    top: tuple[tuple[str, float], ...]


def _sample_size(*, samples: Sequence[SamplePrediction], **_: Any) -> tuple[float, float]:
    return 9.6, 0.5 + 2.1 * -(-len(samples) // SAMPLES_A_ROW)


@figure(
    "Correct, wrong and uncertain predictions, with the three most probable classes",
    size=_sample_size,
    pixels=True,
)
def draw_sample_predictions(ax: Axes, *, samples: Sequence[SamplePrediction]) -> Axes:
    """A panel a clip: its spectrogram, below it the true class and the top three with probabilities."""
    drawn = panels(ax, -(-len(samples) // SAMPLES_A_ROW), SAMPLES_A_ROW, wide=0.1, high=1.05)
    for panel, sample in zip(drawn, samples, strict=False):
        feature_map_image(panel, sample.feature_map, sample.seconds)
        panel.set(xticks=[], yticks=[])
        panel.set_title(
            escape_math(f"{sample.outcome} · {shorten(sample.clip_id, 20)}"),
            fontsize=7,
            weight="normal",
            pad=3,
        )
        panel.text(
            0,
            -0.06,
            escape_math(f"true: {shorten(sample.true_class)}"),
            transform=panel.transAxes,
            va="top",
            fontsize=7.5,
        )
        for line, (name, probability) in enumerate(sample.top):
            hit = name == sample.true_class
            panel.text(
                0,
                -0.24 - 0.17 * line,
                escape_math(f"{percent(probability, 0):>3} %  {shorten(name, 22)}{'  ✓' if hit else ''}"),
                transform=panel.transAxes,
                va="top",
                fontsize=7,
                color=SERIES[0] if hit else INK,
                weight="bold" if hit else "normal",
            )
    for panel in drawn[len(samples) :]:
        panel.set_axis_off()
    return ax


def _importance_size(*, classes: Sequence[str], channels: Sequence[str], **_: Any) -> tuple[float, float]:
    return 3.0 + 0.75 * len(channels), 1.6 + len(classes) * (0.17 if len(classes) > MANY_CLASSES else 0.3)


@figure(
    "Channel importance: recall lost when a channel is changed at test time, by class", size=_importance_size
)
def draw_channel_importance(
    ax: Axes, *, classes: Sequence[str], channels: Sequence[str], loss: np.ndarray
) -> Axes:
    """`loss` (classes, channels): recall with all channels minus recall without that one."""
    bound = max(0.05, float(np.nanmax(np.abs(loss))))
    ax.imshow(loss, cmap=SIGNED + "_r", vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isfinite(loss)):
        value = loss[row, column]
        ax.text(
            column,
            row,
            text if (text := points(value, 0)) != "0" else "·",
            ha="center",
            va="center",
            fontsize=5 if len(classes) > MANY_CLASSES else 7.5,
            color=ON_DARK if abs(value) > 0.62 * bound else ON_LIGHT,
        )
    ticks(ax, classes, "y", size=6.5 if len(classes) > MANY_CLASSES else 8)
    ticks(ax, channels, "x", turn=30)
    ax.xaxis.tick_top()
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _augmentations_size(
    *, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], **_: Any
) -> tuple[float, float]:
    return 8.4, 0.4 + 1.7 * len(pairs)


@figure(
    "A clip before and after each augmentation, and the difference", size=_augmentations_size, pixels=True
)
def draw_augmentations(ax: Axes, *, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> Axes:
    """`pairs`: name, before and after, both (rows, columns) of one channel as the model sees it.

    What a crop leaves is shown without a difference.
    """
    drawn = panels(ax, len(pairs), 3, wide=0.06, high=0.35)
    for place, (name, before, after) in enumerate(pairs):
        low, high = np.percentile(before, (2, 99.5))
        shown = [(before, "before"), (after, name)]
        if after.shape == before.shape:
            shown.append((after - before, "difference"))
        else:  # cut out: no value has one before it to differ from
            drawn[3 * place + 2].set_axis_off()
        for panel, (values, title) in zip(drawn[3 * place :], shown):
            signed = title == "difference"
            top = max(float(np.abs(values).max(initial=0)), 1e-9) if signed else high
            panel.imshow(
                values,
                origin="lower",
                aspect="auto",
                cmap="PuOr_r" if signed else SPECTRUM,
                vmin=-top if signed else low,
                vmax=top,
            )
            panel.set_title(escape_math(title), fontsize=8, weight="normal", pad=3)
            panel.set(xticks=[], yticks=[])
    return ax
