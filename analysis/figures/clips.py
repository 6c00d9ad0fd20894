"""The clips themselves: how many, how they look."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.figures.registry import figure
from analysis.figures.style import MUTED, ON_LIGHT, RATES, SERIES, SPECTRUM, escape, panels, short, ticks

COLUMNS = 5
VISIBLE = (4, 99.5)  # percentiles: the first row of mfcc, one of 40, would hide all others


def _count_size(*, counts: np.ndarray, **_: Any) -> tuple[float, float]:
    classes, folds = counts.shape
    return 2.8 + 0.5 * folds, 1.2 + classes * (0.17 if classes > 20 else 0.27)


@figure("Clips of each class in each fold", size=_count_size)
def clips_per_fold(ax: Axes, *, counts: np.ndarray, classes: Sequence[str], folds: Sequence[int]) -> Axes:
    """`counts` (classes, folds) as a shaded table with its numbers."""
    most = max(int(counts.max(initial=0)), 1)
    ax.imshow(counts, cmap=RATES, vmin=0, vmax=most * 3, aspect="auto", interpolation="nearest")
    for row, column in np.ndindex(*counts.shape):
        value = int(counts[row, column])
        colour = MUTED if value == 0 else ON_LIGHT
        ax.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=7.5)
    ticks(ax, classes, "y", size=6.5 if len(classes) > 20 else 8)
    ticks(ax, [f"fold {fold}" for fold in folds], "x")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _grid_size(*, clips: Mapping[str, Any], **_: Any) -> tuple[float, float]:
    return 9.0, 0.5 + 1.15 * -(-len(clips) // COLUMNS)


@figure("One clip of each class: its waveform", size=_grid_size, pixels=True)
def waveforms(ax: Axes, *, clips: Mapping[str, np.ndarray], seconds: float) -> Axes:
    """`clips`: class -> samples (n,), each drawn as its envelope on its own scale."""
    drawn = _class_panels(ax, list(clips))
    for panel, samples in zip(drawn, clips.values(), strict=False):
        low, high = envelope(samples, 400)
        time = np.linspace(0, seconds, len(low))
        panel.fill_between(time, low, high, color=SERIES[0], linewidth=0.3)
        peak = max(float(np.abs(samples).max(initial=0)), 1e-9)
        panel.set(xlim=(0, seconds), ylim=(-1.05 * peak, 1.05 * peak), yticks=[])
    return ax


def envelope(samples: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest sample, (columns,) each, of as many equal stretches."""
    stretches = np.array_split(np.asarray(samples, np.float32), min(columns, len(samples)))
    return np.array([part.min() for part in stretches]), np.array([part.max() for part in stretches])


@figure("One clip of each class: its mel spectrogram", size=_grid_size, pixels=True)
def spectrograms(ax: Axes, *, clips: Mapping[str, np.ndarray], seconds: float, hertz: np.ndarray) -> Axes:
    """`clips`: class -> (rows, frames) in decibels; `hertz` (rows,) is the row axis."""
    drawn = _class_panels(ax, list(clips))
    marks = [mark for mark in (500, 2000, 8000) if hertz[0] < mark < hertz[-1]]
    rows = np.interp(marks, hertz, np.arange(len(hertz)))
    for place, (panel, values) in enumerate(zip(drawn, clips.values(), strict=False)):
        picture(panel, values, seconds)
        panel.set_yticks(rows, [f"{mark / 1000:g} kHz" for mark in marks] if place % COLUMNS == 0 else [])
        panel.tick_params(labelsize=6, length=1.5)
    return ax


def picture(panel: Axes, values: np.ndarray, seconds: float) -> None:
    """Draw (rows, frames) with time along x and low rows at the bottom; what is outside VISIBLE saturates."""
    values = np.asarray(values, np.float32)
    low, high = np.percentile(values, VISIBLE)
    panel.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap=SPECTRUM,
        vmin=low,
        vmax=high if high > low else low + 1,
        extent=(0, seconds, -0.5, len(values) - 0.5),
        interpolation="antialiased",
    )


def _class_panels(ax: Axes, names: Sequence[str]) -> list[Axes]:
    """A titled panel a class; only the lowest of a column shows seconds."""
    rows = -(-len(names) // COLUMNS)
    drawn = panels(ax, rows, COLUMNS, wide=0.08, high=0.42)
    for place, panel in enumerate(drawn):
        if place >= len(names):
            panel.set_axis_off()
            continue
        panel.set_title(escape(short(names[place], 22)), fontsize=8, pad=3, weight="normal")
        panel.tick_params(labelsize=6, length=1.5)
        if place + COLUMNS < len(names):
            panel.tick_params(labelbottom=False)
        else:
            panel.set_xlabel("s", fontsize=7, labelpad=1)
    return drawn
