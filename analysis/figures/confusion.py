"""What was taken for what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.figures.registry import figure
from analysis.figures.style import INK, ON_DARK, ON_LIGHT, RATES, ticks

MANY = 20  # classes; from here on type is small and only what is seen often is written out


def _size(*, classes: Sequence[str], **_: Any) -> tuple[float, float]:
    side = max(4.6, 0.215 * len(classes)) if len(classes) > MANY else max(4.2, 0.48 * len(classes))
    return side + 1.6, side + 1.2


@figure("Confusion matrix: rows are the truth, columns what was said", size=_size)
def confusion(
    ax: Axes,
    *,
    counts: np.ndarray,  # (classes, classes), truth by row
    classes: Sequence[str],
    categories: Sequence[str] | None = None,
    rates: bool = True,
    title: str = "",
) -> Axes:
    """Draw `counts` as rates of each row; `rates` chooses whether the cells say those or the counts.

    Classes stand in the order given; where neighbours share a category their block is outlined.
    """
    number = len(classes)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    ax.imshow(share, cmap=RATES, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    small = number > MANY
    ticks(ax, classes, "x", turn=90 if small else 45, size=6 if small else 8)
    ticks(ax, classes, "y", size=6 if small else 8)
    for row, column in np.argwhere(counts > 0):
        _write(ax, row, column, share[row, column], counts[row, column], rates=rates, small=small)
    _outline(ax, categories or [])
    ax.set_xlabel("said")
    ax.set_ylabel("true")
    ax.set_title(title)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _write(ax: Axes, row: int, column: int, share: float, count: float, *, rates: bool, small: bool) -> None:
    if small and share < 0.05:  # one clip of forty: the shade shows it, a number would be noise
        return
    text = f"{100 * share:.0f}" if rates else f"{count:g}"
    ax.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=4.6 if small else 8,
        color=ON_DARK if share > 0.45 else ON_LIGHT,
    )


def _outline(ax: Axes, categories: Sequence[str]) -> None:
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
