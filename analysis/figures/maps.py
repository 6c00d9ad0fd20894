"""Clips as points: near where a feature makes them alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.figures.registry import figure
from analysis.figures.style import MARKERS, SERIES, escape, panels, short

COLUMNS = 3
POINTS = (*SERIES, "#c2b100", "#9b1d4f")  # ten classes are told by colour alone, more by their mark too


def _map_size(*, points: Mapping[str, np.ndarray], **_: Any) -> tuple[float, float]:
    rows = -(-len(points) // COLUMNS)
    return 9.0, 0.9 + 3.0 * rows


@figure("Maps of the clips by feature: near means alike", size=_map_size)
def clip_maps(
    ax: Axes, *, points: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], classes: Sequence[str]
) -> Axes:
    """`points` and `labels`: title -> (clips, 2) and (clips,) places in `classes`, a mark and colour each."""
    drawn = panels(ax, -(-len(points) // COLUMNS), min(COLUMNS, max(len(points), 1)), wide=0.06, high=0.12)
    for panel, (title, places) in zip(drawn, points.items(), strict=False):
        for number, name in enumerate(classes):
            mine = labels[title] == number
            panel.plot(
                places[mine, 0],
                places[mine, 1],
                linestyle="",
                marker=MARKERS[(number // len(POINTS) + number) % len(MARKERS)],
                color=POINTS[number % len(POINTS)],
                markersize=4.2,
                markeredgewidth=0,
                alpha=0.75,
                label=escape(short(name, 20)),
                rasterized=True,
            )
        panel.set(xticks=[], yticks=[])
        panel.set_title(escape(title), fontsize=8.5)
        panel.spines[:].set_visible(True)
    for panel in drawn[len(points) :]:
        panel.set_axis_off()
    if drawn:
        drawn[0].figure.legend(
            *drawn[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=6,
            fontsize=8,
            markerscale=1.3,
            handletextpad=0.2,
            columnspacing=1,
        )
    return ax
