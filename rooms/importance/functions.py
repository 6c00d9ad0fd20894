"""`fs.importance(...)`."""

from typing import TYPE_CHECKING

from featurestack.interface import takes
from featurestack.rooms.importance.options import ImportanceOptions

if TYPE_CHECKING:
    import pandas as pd


@takes(ImportanceOptions, "features")
def importance(options: ImportanceOptions) -> "dict[str, pd.DataFrame]":
    """`make importance`: the worth of each feature, alone and beside the others, from
    many small fits.

    It returns six tables: `kept`, the smallest set with 95 % of what all features give,
    and what is lost without each of its features; `features`, four numbers of each
    feature with interval and p; `classes`, the Shapley value by class; `pairs`, CKA and
    interaction of two features (negative: they are redundant); `sets`, the best set of
    each size with its cost; `recordings`, the accuracy by the number of recordings for
    training.

        fs.importance("mel mfcc chroma", dataset="synth")["kept"]
    """
    from featurestack.rooms.importance.measure import measure_importance
    from featurestack.rooms.importance.tables import importance_tables

    return importance_tables(measure_importance(options))
