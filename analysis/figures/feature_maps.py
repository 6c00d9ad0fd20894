"""A figure of the features of one clip, for `show` and notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    SERIES,
    SPECTRUM,
    VISIBLE,
    figure,
    panels,
    row_height,
    shorten,
)

GALLERY_COLUMNS = 3
SHARP = 64  # rows that an image has at least: few would blur into each other


@dataclass(frozen=True)
class FeatureMap:
    """A feature of one clip: `values` (rows, frames), both axes, and the units that the
    cache records.

    `seconds` has the time of each frame, or its position in `frame_unit` if columns are
    not time.
    """

    name: str
    values: np.ndarray
    rows: np.ndarray
    row_unit: str
    seconds: np.ndarray
    units: str = ""
    frame_unit: str = "s"

    def __repr__(self) -> str:
        rows, frames = self.values.shape
        return (
            f"FeatureMap({self.name}, {rows} rows x {frames} frames,"
            f" {self.units or 'no unit'})"
        )


@figure(
    "All cached features of one clip",
    row_height("features", 0.5, 1.35, GALLERY_COLUMNS),
    pixels=True,
)
def draw_gallery(ax: Axes, *, features: Sequence[FeatureMap], title: str = "") -> Axes:
    """Draw a panel for each feature: an image, or a line of one row."""
    drawn = panels(ax, len(features), GALLERY_COLUMNS, wide=0.42, high=0.75)
    for panel, feature in zip(drawn, features):
        end = float(feature.seconds[-1]) or 1.0  # 1.0 if a single frame has no extent
        if len(feature.values) == 1:
            panel.plot(
                feature.seconds, feature.values[0], color=SERIES[0], linewidth=0.6
            )
            panel.set_ylabel(feature.units, labelpad=1)
        else:
            feature_map_image(panel, feature.values, end)
            panel.set_yticks(*named_places(feature.rows))
            panel.set_ylabel(feature.row_unit, labelpad=1)
            if feature.frame_unit != "s":  # its frames need not be equally far apart
                places, names = named_places(feature.seconds)
                panel.set_xticks((places + 0.5) * end / len(feature.seconds), names)
        panel.set_xlim(0, end)
        panel.set_title(shorten(feature.name, 22), pad=3)
        panel.set_xlabel(feature.frame_unit, labelpad=0.5)
        panel.tick_params(length=1.5, pad=1.5)
    ax.set_title(title, pad=16)
    return ax


def format_plain(value: float) -> str:
    """A number with three significant digits, whole from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def named_places(axis: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Up to four rows or frames, about equally far apart, and their values."""
    spaced = np.linspace(0, len(axis) - 1, 4)
    places = np.unique(spaced.round().astype(int))
    names = [format_plain(float(axis[place])) for place in places]
    return places, names


def feature_map_image(panel: Axes, values: np.ndarray, seconds: float) -> None:
    """Draw (rows, frames), low rows at the bottom; VISIBLE values have colours."""
    values = np.asarray(values, np.float32)
    low, high = np.percentile(values, VISIBLE)
    panel.imshow(
        np.repeat(values, -(-SHARP // len(values)), axis=0),
        origin="lower",
        aspect="auto",
        cmap=SPECTRUM,
        vmin=low,
        vmax=high,
        extent=(0, seconds, -0.5, len(values) - 0.5),
        interpolation="antialiased",
    )
