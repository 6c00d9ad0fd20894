"""The function of this room on `fs`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from featurestack.predictions.compare import Comparison


def compare(
    predictions: "Mapping[str, ArrayLike]",
    labels: "ArrayLike",
    groups: "ArrayLike | None" = None,
    folds: "ArrayLike | None" = None,
    classes: "Sequence[str] | None" = None,
) -> "Comparison":
    """Verdicts on models that predicted the same clips, with intervals, ties and power.

    predictions  model -> probabilities (N, K), an array or a data frame whose columns
                 are the classes, or predicted classes (N,)
    labels       (N,) true classes; several labels per clip: (N, K) of 0 and 1
    groups       (N,) source recordings, speakers or sites, which are drawn together; by
                 default each clip is its own
    folds        (N,) the fold that tested each clip; by default one
    classes      (K,) of the columns of arrays; by default the labels, sorted

        fs.compare({"a": p, "b": q}, labels, groups=recordings).table
    """
    from featurestack.predictions.compare import compared

    return compared(predictions, labels, groups, folds, classes)
