"""Verdicts on models that predicted the same clips: arrays in, verdicts out.

    fs.compare(predictions, labels, groups=None, folds="unknown", classes=None)

It needs numpy, pandas and scipy, and no sound. docs/explanation/comparing.md says what
a verdict means and how often it is wrong. Nothing is written.

Parameters
----------
predictions : mapping, or sequence of runs
    Model -> probabilities (N, K), an array or a data frame whose columns are the
    classes; or predicted classes (N,); or a run (`fs.run(name)`). What scikit-learn's
    `cross_val_predict` returns is taken as it is, but beside a run as
    `pd.Series(predicted, cache.clips.clip_id)`: a run's rows have another order. A list
    of runs has their names. Repeats of one model, such as cross-validations with other
    folds or seeds, are a list of such predictions, or a data frame with a column
    `repeat`: what they say of a clip is averaged before anything is tested.
labels : array (N,) or (N, K), optional
    True classes; of several labels per clip 0 and 1. Classes are compared by value, 0.0
    and 0 are one. If labels have an index, frames and series with an index are put in
    its order. A run has labels, groups, folds
    and classes, and no others can be given with it.
groups : array (N,), optional
    The source recording, speaker or site of each clip, which are drawn together.
    Without groups every clip counts as independent, and a warning says so.
folds : array (N,), "unknown" or None
    The fold that tested each clip. "unknown", the default, means cross-validated: the
    variance of training is assumed. None means that all clips are one test of trained
    models, and the verdict is on these models.
classes : sequence of K names, optional
    The columns of arrays, such as `classes_` of scikit-learn. By default the labels,
    sorted.

Returns
-------
Comparison
    `.table` has a row for each model: score, low, high (95 % interval), difference from
    the best, difference_low, difference_high, p, verdict, reason; `.sentence` is the
    finding. p and intervals are corrected for all comparisons of this call.

Examples
--------
>>> import numpy as np
>>> from featurestack import compare
>>> labels, speakers = np.tile(["x", "y"], 20), np.repeat(range(10), 4)
>>> both = {"a": labels, "b": np.tile(["x", "x"], 20)}
>>> compare(both, labels, groups=speakers).table["verdict"].tolist()
['best', 'clearly worse']
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from featurestack.compare.comparison import Comparison, TestedRun


class _Package(ModuleType):
    """The package, which can be called: Python has one name for `fs.compare` and for
    the package of its parts.
    """

    def __call__(
        self,
        predictions: "Mapping[Any, ArrayLike | TestedRun] | Sequence[TestedRun]",
        labels: "ArrayLike | None" = None,
        *,
        groups: "ArrayLike | None" = None,
        folds: "ArrayLike | None" = "unknown",
        classes: "Sequence[Any] | None" = None,
    ) -> "Comparison":
        from featurestack.compare.comparison import compare_models

        return compare_models(predictions, labels, groups, folds, classes)


sys.modules[__name__].__class__ = _Package
