"""Features: all of one clip, their means by class, how far they separate classes, what augmentation does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.figures.clips import picture
from analysis.figures.registry import figure
from analysis.figures.style import HATCHES, PAPER, SERIES, SPECTRUM, escape, grid, panels, short, ticks

COLUMNS = 5
APART = 0.12  # of the axis: marks nearer than this would be written over each other
NAMED_ROWS = 16  # columns that are all named; of more, seven are


@dataclass(frozen=True)
class Shown:
    """A feature of one clip: values (rows, frames) with both axes, units as the cache records them."""

    name: str
    values: np.ndarray
    rows: np.ndarray
    row_unit: str
    seconds: np.ndarray
    units: str = ""


def _gallery_size(*, features: Sequence[Shown], **_: Any) -> tuple[float, float]:
    return 11.0, 0.6 + 1.65 * -(-len(features) // COLUMNS)


@figure("Every feature of one clip", size=_gallery_size, pixels=True)
def gallery(ax: Axes, *, features: Sequence[Shown], title: str = "") -> Axes:
    """A panel a feature: a line where it has one row, else a picture; x in seconds, y in its unit."""
    drawn = panels(ax, -(-len(features) // COLUMNS), COLUMNS, wide=0.3, high=0.5)
    for panel, feature in zip(drawn, features, strict=False):
        end = float(feature.seconds[-1]) or 1.0  # a feature of one frame has no extent
        if len(feature.values) == 1:
            panel.plot(feature.seconds, feature.values[0], color=SERIES[0], linewidth=0.6)
            panel.set_ylabel(feature.units, fontsize=6, labelpad=1)
        else:
            picture(panel, feature.values, end)
            row_ticks(panel, feature.rows, feature.row_unit)
        panel.set_xlim(0, end)
        panel.set_title(escape(short(feature.name, 26)), fontsize=8, pad=3)
        panel.set_xlabel("s", fontsize=6, labelpad=0.5)
        panel.tick_params(labelsize=6, length=1.5, pad=1.5)
    for panel in drawn[len(features) :]:
        panel.set_axis_off()
    ax.set_title(title, pad=16)
    return ax


def plain(value: float) -> str:
    """Three digits that count, and no powers of ten: 31.2, 682, 15400."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row_ticks(panel: Axes, rows: np.ndarray, unit: str) -> None:
    """Three or four round values of the row axis, at the rows where they lie."""
    values = np.asarray(rows, float)
    if unit.lower() in ("hz", "hertz") and values[-1] > values[0] >= 0:
        marks = [mark for mark in (100, 500, 2000, 8000, 16000) if values[0] <= mark <= values[-1]]
        lying = np.interp(marks, values, np.arange(len(values)))
        kept = _apart(lying, APART * len(values))
        texts = [f"{marks[one] / 1000:g}k" if marks[one] >= 1000 else str(marks[one]) for one in kept]
        panel.set_yticks(lying[kept], texts)
        panel.set_ylabel("Hz", fontsize=6, labelpad=1)
        return
    places = np.unique(np.linspace(0, len(values) - 1, 4).round().astype(int))
    panel.set_yticks(places, [plain(values[place]) for place in places])
    panel.set_ylabel(unit, fontsize=6, labelpad=1)


def _apart(places: np.ndarray, least: float) -> list[int]:
    """Which of the rising places to keep, from the last down, so that none is nearer than `least`."""
    kept: list[int] = []
    for one in reversed(range(len(places))):
        if not kept or places[kept[-1]] - places[one] >= least:
            kept.append(one)
    return kept[::-1]


def _means_size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    return 7.0, 1.4 + len(classes) * (0.15 if len(classes) > 20 else 0.26)


@figure("Mean of a feature by class, each row against the mean of all classes", size=_means_size)
def class_means(
    ax: Axes,
    *,
    means: np.ndarray,
    classes: Sequence[str],
    rows: Sequence[str],
    row_unit: str,
    title: str = "",
) -> Axes:
    """`means` (classes, feature rows) in standard deviations from the mean over clips."""
    bound = max(float(np.abs(means).max(initial=0)), 1e-9)
    image = ax.imshow(means, cmap="PuOr_r", vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
    ticks(ax, classes, "y", size=6.5 if len(classes) > 20 else 8)
    few = len(rows) <= NAMED_ROWS
    places = np.arange(len(rows)) if few else np.linspace(0, len(rows) - 1, 7).round().astype(int)
    ax.set_xticks(places, [escape(rows[place]) for place in places], rotation=45 if few else 0)
    ax.set_xlabel(row_unit)
    ax.set_title(title)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02, aspect=18)
    bar.set_label("standard deviations", fontsize=7)
    bar.ax.tick_params(labelsize=6, length=0)
    bar.outline.set_visible(False)
    return ax


def _separability_size(*, names: Sequence[str], **_: Any) -> tuple[float, float]:
    return 8.6, 1.0 + 0.2 * len(names)


@figure("How far each feature separates the classes before any training", size=_separability_size)
def separability(ax: Axes, *, names: Sequence[str], measures: Mapping[str, np.ndarray]) -> Axes:
    """`measures`: name -> (features,), a panel each, features in the order given."""
    drawn = panels(ax, 1, len(measures), wide=0.1)
    for number, (panel, (label, values)) in enumerate(zip(drawn, measures.items(), strict=True)):
        panel.barh(
            np.arange(len(names)),
            values,
            color=SERIES[number % len(SERIES)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor=PAPER,
            linewidth=0,
            height=0.74,
        )
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_title(label.replace("_", " "), weight="normal", fontsize=8.5)
        grid(panel, "x")
        if number == 0:
            ticks(panel, names, "y")
        else:
            panel.set_yticks([])
        panel.set_xlim(min(0.0, *panel.get_xlim()), None)
    return ax


def _augmented_size(*, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], **_: Any) -> tuple[float, float]:
    return 8.4, 0.4 + 1.7 * len(pairs)


@figure("A clip before and after each augmentation, and what changed", size=_augmented_size, pixels=True)
def augmentations(ax: Axes, *, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> Axes:
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
            panel.set_title(escape(title), fontsize=8, weight="normal", pad=3)
            panel.set(xticks=[], yticks=[])
    return ax
