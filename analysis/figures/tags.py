"""Figures of runs whose clips have several labels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from featurestack.analysis.figures.drawing import (
    SERIES,
    figure,
    grid_lines,
    shorten,
)

# most curves drawn; of more classes every n-th, sorted by average precision
PR_CURVES = 8


@figure(
    "Precision against recall by class, from ranks within each fold; dotted: the"
    " prevalence of the class, which is the precision of a random order",
    lambda **_: 3.2,
)
def draw_precision_recall(
    ax: Axes,
    *,
    target: np.ndarray,
    ranks: np.ndarray,
    classes: Sequence[str],
) -> Axes:
    """Draw a curve for each of up to PR_CURVES classes; `target` (N, K) has the labels,
    `ranks` is (N, K).
    """
    from featurestack.results.tags import average_precision, precision_recall

    order = np.argsort(-average_precision(target, ranks), kind="stable")  # NaN last
    tested = np.count_nonzero(target.any(axis=0))
    spaced = np.linspace(0, tested - 1, PR_CURVES)
    chosen = order[np.unique(spaced.astype(int))]
    for place, k in enumerate(chosen):
        recall, precision = precision_recall(target[:, k], ranks[:, k])
        colour = SERIES[place % len(SERIES)]
        ax.step(
            100 * recall,
            100 * precision,
            where="post",
            color=colour,
            label=shorten(classes[k], 24),
        )
        ax.axhline(
            100 * target[:, k].mean(),
            color=colour,
            linewidth=0.7,
            linestyle=":",
        )
    ax.set(xlabel="recall, %", ylabel="precision, %", xlim=(0, 102), ylim=(0, 103))
    grid_lines(ax)
    ax.legend(loc="lower left")
    return ax
