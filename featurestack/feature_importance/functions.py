"""`fs.importance(...)` and `fs.curve(...)`."""

from typing import TYPE_CHECKING

from featurestack.feature_importance.options import CurveOptions, ImportanceOptions
from featurestack.interface import takes

if TYPE_CHECKING:
    import pandas as pd


@takes(ImportanceOptions, "features")
def importance(options: ImportanceOptions) -> "dict[str, pd.DataFrame]":
    """`make importance`: the worth of each feature, alone and beside the others, from
    fits of ridge with and without it.

    It returns three tables: `features`, what each feature gives alone, what is lost
    without it and what it adds to the base, each with interval and p; `classes`, the
    same by class; `smaller`, the best smaller sets and whether they are as good.

        fs.importance("mel mfcc chroma", dataset="synth")["features"]
    """
    from featurestack.feature_importance.importance import measure_importance

    return measure_importance(options).tables


@takes(CurveOptions, "features")
def curve(options: CurveOptions) -> "pd.DataFrame":
    """`make curve`: the score of feature sets by the number of training recordings, a
    row for each set and part of the recordings.

        fs.curve("mel mel+mfcc", dataset="synth")
    """
    from featurestack.feature_importance.curve import measure_curve

    return measure_curve(options)
