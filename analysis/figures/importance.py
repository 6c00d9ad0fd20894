"""Which features matter, as `make importance` has measured it."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from analysis.figures.comparison import draw_intervals
from analysis.figures.drawing import SIGNED, cells, figure, ticks

UNIT = "hundredths of a nat a clip"


@figure(
    "Share of each feature in what all of them give, by Shapley values, with its interval; hollow: not clear",
    height=lambda names, **_: 0.7 + 0.2 * len(names),
)
def draw_importance(
    ax: Axes,
    *,
    names: Sequence[str],
    estimate: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    significant: np.ndarray,  # (names,) bool
) -> Axes:
    """Shapley values in nats of log probability, with their intervals."""
    return draw_intervals(
        ax, names=names, estimate=estimate, low=low, high=high, significant=significant, label=UNIT
    )


@figure(
    f"Share of each feature by class, in {UNIT}; bold: significant",
    height=lambda classes, **_: 1.2 + 0.19 * len(classes),
)
def draw_importance_by_class(
    ax: Axes,
    *,
    classes: Sequence[str],
    features: Sequence[str],
    shares: np.ndarray,
    significant: np.ndarray,
) -> Axes:
    """`shares` (classes, features): Shapley values in nats; `significant` of the same shape."""
    bound = max(float(np.abs(shares).max()), 0.01)
    texts = np.vectorize(lambda share: f"{100 * share:.0f}", otypes=[object])(shares)
    cells(ax, colormaps[SIGNED]((shares / bound + 1) / 2), texts, bold=significant)
    ticks(ax, classes, "y", longest=20)
    ticks(ax, features, "x", turn=30, longest=20)
    return ax
