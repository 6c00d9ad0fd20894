"""A grid of predictions: right, wrong and unsure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.figures.clips import picture
from analysis.figures.registry import figure
from analysis.figures.style import INK, SERIES, escape, panels, short

COLUMNS = 4


@dataclass(frozen=True)
class Sample:
    """A clip with its picture (rows, frames), its class, and the likeliest classes with probabilities."""

    kind: str  # right | wrong | unsure
    clip_id: str
    picture: np.ndarray
    seconds: float
    truth: str
    top: tuple[tuple[str, float], ...]


def _sample_size(*, samples: Sequence[Sample], **_: Any) -> tuple[float, float]:
    return 9.6, 0.5 + 2.1 * -(-len(samples) // COLUMNS)


@figure(
    "Clips that were right, wrong and unsure, with the three likeliest classes",
    size=_sample_size,
    pixels=True,
)
def sample_predictions(ax: Axes, *, samples: Sequence[Sample]) -> Axes:
    """A panel a clip: its spectrogram, below it the truth and the top three with probabilities."""
    drawn = panels(ax, -(-len(samples) // COLUMNS), COLUMNS, wide=0.1, high=1.05)
    for panel, sample in zip(drawn, samples, strict=False):
        picture(panel, sample.picture, sample.seconds)
        panel.set(xticks=[], yticks=[])
        panel.set_title(
            escape(f"{sample.kind} · {short(sample.clip_id, 20)}"), fontsize=7, weight="normal", pad=3
        )
        panel.text(
            0,
            -0.06,
            escape(f"true: {short(sample.truth)}"),
            transform=panel.transAxes,
            va="top",
            fontsize=7.5,
        )
        for line, (name, probability) in enumerate(sample.top):
            hit = name == sample.truth
            panel.text(
                0,
                -0.24 - 0.17 * line,
                escape(f"{100 * probability:3.0f} %  {short(name, 22)}{'  ✓' if hit else ''}"),
                transform=panel.transAxes,
                va="top",
                fontsize=7,
                color=SERIES[0] if hit else INK,
                weight="bold" if hit else "normal",
            )
    for panel in drawn[len(samples) :]:
        panel.set_axis_off()
    return ax
