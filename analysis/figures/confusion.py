"""The confusion matrix for papers and notebooks; the page has it in HTML."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from featurestack.analysis.figures.drawing import (
    ERRORS,
    GREYS,
    INK,
    MANY_CLASSES,
    figure,
    heat_map,
    is_narrow,
    shorten,
)

ERROR_SHADE = 1.3  # the page's style sheets have the same


@figure(
    "Confusion matrix: a row is the actual class with its number of predictions, a"
    " column the predicted one; correct predictions are grey, errors orange; a box"
    f" holds the classes of one category; of more than {MANY_CLASSES} classes, those"
    " with the most errors are shown, the others are summed",
    lambda classes, **_: 1.5 + min(0.4 * len(classes), 4.6),
)
def draw_confusion_matrix(
    ax: Axes,
    *,
    # (classes, classes), rows are actual classes; means over seeds need not be whole
    counts: np.ndarray,
    classes: Sequence[str],
    categories: Sequence[str] | None = None,
) -> Axes:
    """Shade each cell by its share of the row; its text is the count.

    Classes have the order given, and a box surrounds neighbours of one category. If
    there are more than MANY_CLASSES classes, those with the most errors are shown; the
    last row and column sum the others.
    """
    classes = list(classes)
    categories = list(categories or [""] * len(classes))
    if len(classes) > MANY_CLASSES:
        clips = counts.sum(axis=0) + counts.sum(axis=1)
        errors = clips - 2 * counts.diagonal()
        ranked = np.argsort(-errors, kind="stable")
        starts = np.arange(MANY_CLASSES + 1)
        kept = np.sort(ranked[:MANY_CLASSES])
        others = ranked[MANY_CLASSES:]
        for axis in (0, 1):
            ordered = counts.take([*kept, *others], axis)
            counts = np.add.reduceat(ordered, starts, axis)
        classes = [*(classes[row] for row in kept), f"{len(others)} other classes"]
        categories = [*(categories[row] for row in kept), ""]
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1e-9)[:, None]
    # Errors are few: the square root makes a share of 1 in 40 visible; 3 in 5 has the
    # darkest shade.
    correct = np.eye(len(classes))
    grey = (correct > 0) | (counts == 0)
    greys = GREYS(share * correct)
    of_errors = ERRORS(ERROR_SHADE * np.sqrt(share))
    colours = np.where(grey[..., None], greys, of_errors)

    def text(count: float) -> str:
        return f"{count:.1f}".removesuffix(".0") if count else ""

    rows = []
    for name, clips_of_class in zip(classes, total):
        rows.append(f"{shorten(name, 21)} ({clips_of_class:.0f})")
    texts = np.vectorize(text)(counts)
    heat_map(ax, pd.DataFrame(texts, rows, classes), colours, turn=45)
    ax.set_aspect("auto" if is_narrow(ax) else "equal")
    _box_categories(ax, categories)
    ax.set(xlabel="Predicted", ylabel="Actual")
    return ax


def _box_categories(ax: Axes, categories: Sequence[str]) -> None:
    """Draw a box on the diagonal around neighbouring classes of one category."""
    start = 0
    for category, neighbours in groupby(categories):
        side = len(list(neighbours))
        corner = (start - 0.5, start - 0.5)
        if category and side > 1:
            box = Rectangle(corner, side, side, fill=False, edgecolor=INK, linewidth=1)
            ax.add_patch(box)
        start += side
