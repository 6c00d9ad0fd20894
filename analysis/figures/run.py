"""One run: confusion matrix, learning curves, reliability, sample predictions, channels, augmentations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.figures.drawing import (
    COLUMN_WIDTH,
    ERRORS,
    FONT_SIZE,
    GREYS,
    INK,
    MANY_CLASSES,
    MUTED,
    SERIES,
    SIGNED,
    SPECTRUM,
    TEXT_WIDTH,
    escape_math,
    feature_map_image,
    figure,
    grid_lines,
    label_ends,
    panels,
    shorten,
    text_on,
    ticks,
)
from commandline.terminal import percent, points

ERROR_SHADE = 1.3  # as the page's style sheet has it


def _confusion_size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    number = min(len(classes), MANY_CLASSES + 1)
    return TEXT_WIDTH, 1.5 + min(0.4, 4.6 / number) * number


@figure(
    "Confusion matrix: a row is the actual class with its number of predictions, a column the predicted one; "
    "correct predictions are grey, errors orange",
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
    category their block is outlined. Of more than MANY_CLASSES those with the most errors are shown, the
    others summed in the last row and column.
    """
    categories = list(categories or [])
    if len(classes) > MANY_CLASSES:
        counts, classes, categories = _with_most_errors(counts, classes, categories)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    # Errors are few: 1 of 40 shows already, two in five are the darkest.
    colours = np.where(
        np.eye(len(classes), dtype=bool)[..., None], GREYS(share), ERRORS(ERROR_SHADE * np.sqrt(share))
    )
    colours[counts == 0] = GREYS(0.0)
    ax.imshow(colours, aspect="equal", interpolation="nearest")
    ticks(ax, classes, "x", turn=45, longest=24)
    ticks(
        ax,
        [f"{shorten(name, 24)} ({of})" for name, of in zip(classes, counts.sum(axis=1), strict=True)],
        "y",
        longest=40,
    )
    for row, column in np.argwhere(counts > 0):
        text = percent(share[row, column], 0) if rates else str(counts[row, column])
        ax.text(column, row, text, ha="center", va="center", color=text_on(colours[row, column]))
    _outline_categories(ax, categories)
    ax.set_xlabel("Predicted (cells: % of the row)" if rates else "Predicted")
    ax.set_ylabel("Actual")
    ax.set_title(title)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _with_most_errors(
    counts: np.ndarray, classes: Sequence[str], categories: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """The MANY_CLASSES classes with most errors in their row and column, then the sum of all others."""
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    kept = np.sort(np.argsort(-errors, kind="stable")[:MANY_CLASSES])
    place = np.full(len(classes), len(kept))
    place[kept] = np.arange(len(kept))
    belongs = np.eye(len(kept) + 1, dtype=counts.dtype)[place]
    names = [*(classes[one] for one in kept), f"{len(classes) - len(kept)} other classes"]
    return belongs.T @ counts @ belongs, names, [*(categories[one] for one in kept), ""] if categories else []


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
    ("train", "training", SERIES[7], ":"),
    ("val", "validation", SERIES[2], "--"),
    ("test", "test fold", SERIES[0], "-"),
)
CURVES = (("accuracy", "accuracy, %", 100.0), ("loss", "loss", 1.0))  # column, title, scale

History = Mapping[int, pd.DataFrame]  # fold -> its history.csv


@figure(
    "Learning curves: mean over folds, the test fold shaded from the lowest to the highest; nothing was "
    "selected by the test fold",
    size=(TEXT_WIDTH, 2.6),
)
def draw_learning_curves(ax: Axes, *, history: History, title: str = "") -> Axes:
    """Accuracy and loss of one run by epoch, each curve named at its end."""
    for panel, (metric, name, scale) in zip(panels(ax, 1, 2, wide=0.5), CURVES, strict=True):
        ends = []
        for part, label, colour, dash in SPLITS:
            curve = over_folds(history, f"{part}_{metric}")
            if curve is not None:
                epoch, mean, low, high = (curve[0], *(scale * values for values in curve[1:]))
                if part == "test":
                    panel.fill_between(epoch, low, high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(epoch, mean, color=colour, linestyle=dash)
                ends.append((mean[-1], label, colour))
        label_panel(panel, name)
        label_ends(panel, ends)
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
    panel.set_ylim(bottom=0)
    if name.endswith("%"):
        panel.set_ylim(top=102)


FEWEST_IN_BIN = 10  # predictions; the accuracy of fewer says little


@figure(
    "Reliability diagram: accuracy against confidence in ten bins, all folds together; bins of fewer than "
    f"{FEWEST_IN_BIN} predictions are left out above, and counted below. Hollow: after temperature "
    "scaling, the temperature of each fold fitted to the others",
    size=(COLUMN_WIDTH, 3.7),
)
def draw_reliability(
    ax: Axes,
    *,
    confidence: np.ndarray,
    accuracy: np.ndarray,
    clips: np.ndarray,
    scaled: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Axes:
    """Accuracy of the predictions in each bin of confidence, (bins,) each, above how many there are.

    scaled  confidence, accuracy and clips of the same predictions after temperature scaling
    """
    ax.set_axis_off()
    above, below = ax.inset_axes((0, 0.3, 1, 0.7)), ax.inset_axes((0, 0, 1, 0.22))
    above.plot([0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=1)
    above.text(
        4,
        12,
        "perfect calibration",
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
        color=MUTED,
    )
    shown = clips >= FEWEST_IN_BIN
    x, y = 100 * confidence[shown], 100 * accuracy[shown]
    above.vlines(x, np.minimum(x, y), np.maximum(x, y), color=MUTED, linewidth=1)  # the calibration gap
    above.plot(x, y, "o-", color=SERIES[0], markersize=5, linewidth=1)
    if scaled is not None:
        counted = scaled[2] >= FEWEST_IN_BIN
        x, y = (100 * values[counted] for values in scaled[:2])
        above.plot(x, y, "o--", color=SERIES[0], markersize=5, linewidth=1, markerfacecolor="none", zorder=1)
    above.set(xlim=(0, 102), ylim=(0, 103), ylabel="accuracy, %", xticklabels=[])
    width = 100 / len(clips)
    below.bar((np.arange(len(clips)) + 0.5) * width, clips, width=0.9 * width, color=SERIES[0], alpha=0.6)
    below.set(xlim=(0, 102), xlabel="confidence (predicted probability), %", ylabel="predictions")
    for panel in (above, below):
        grid_lines(panel)
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
    return TEXT_WIDTH, 0.3 + 1.75 * -(-len(samples) // SAMPLES_A_ROW)


@figure(
    "Correct, wrong and uncertain predictions, with the three most probable classes",
    size=_sample_size,
    pixels=True,
)
def draw_sample_predictions(ax: Axes, *, samples: Sequence[SamplePrediction]) -> Axes:
    """A panel a clip: its spectrogram, below it the true class and the top three with probabilities."""
    drawn = panels(ax, -(-len(samples) // SAMPLES_A_ROW), SAMPLES_A_ROW, wide=0.1, high=1.35)
    for panel, sample in zip(drawn, samples, strict=False):
        feature_map_image(panel, sample.feature_map, sample.seconds)
        panel.set(xticks=[], yticks=[])
        panel.set_title(
            escape_math(f"{sample.outcome} · {shorten(sample.clip_id, 20 - len(sample.outcome))}"),
            weight="normal",
            pad=3,
        )
        lines = [(escape_math(f"true: {shorten(sample.true_class, 17)}"), False)]
        for name, probability in sample.top:
            hit = name == sample.true_class
            text = f"{percent(probability, 0):>3} %  {shorten(name, 14)}{' ✓' if hit else ''}"
            lines.append((escape_math(text), hit))
        for line, (text, hit) in enumerate(lines):
            panel.text(
                0,
                -0.06 - 0.22 * line,
                text,
                transform=panel.transAxes,
                va="top",
                fontsize=FONT_SIZE,
                color=SERIES[0] if hit else INK,
                weight="bold" if hit else "normal",
            )
    for panel in drawn[len(samples) :]:
        panel.set_axis_off()
    return ax


def _importance_size(*, classes: Sequence[str], channels: Sequence[str], **_: Any) -> tuple[float, float]:
    return COLUMN_WIDTH if len(channels) <= 4 else TEXT_WIDTH, 1.2 + 0.19 * len(classes)


@figure(
    "Channel importance: recall lost when a channel is changed at test time, by class", size=_importance_size
)
def draw_channel_importance(
    ax: Axes, *, classes: Sequence[str], channels: Sequence[str], loss: np.ndarray
) -> Axes:
    """`loss` (classes, channels): recall with all channels minus recall without that one."""
    bound = max(0.05, float(np.nanmax(np.abs(loss))))
    colours = colormaps[SIGNED + "_r"]((np.nan_to_num(loss) / bound + 1) / 2)
    ax.imshow(colours, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isfinite(loss)):
        text = points(loss[row, column], 0)
        colour = text_on(colours[row, column])
        ax.text(column, row, "·" if text == "0" else text, ha="center", va="center", color=colour)
    ticks(ax, classes, "y", longest=20)
    ticks(ax, channels, "x", turn=30, longest=20)
    ax.xaxis.tick_top()
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _augmentations_size(
    *, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], **_: Any
) -> tuple[float, float]:
    return TEXT_WIDTH, 0.3 + 1.4 * len(pairs)


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
            panel.set_title(escape_math(title), weight="normal", pad=3)
            panel.set(xticks=[], yticks=[])
    return ax
