"""`make importance`, `make curve`, `fs.importance(...)`, `fs.curve(...)`."""

from typing import TYPE_CHECKING

from featurestack.interface import takes
from featurestack.rooms.importance.options import CurveOptions, ImportanceOptions

if TYPE_CHECKING:
    import pandas as pd


def make_importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth, alone and beside the others."""
    from featurestack.rooms.importance.measure import (
        importance_summary,
        measure_importance,
    )

    print(importance_summary(measure_importance(options)))


def make_curve(options: CurveOptions) -> None:
    """Measure the score against the number of training recordings."""
    from featurestack.rooms.importance.curve import (
        curve_summary,
        measure_curve,
        write_curve,
    )

    table = measure_curve(options)
    print(curve_summary(table))
    if options.out:
        write_curve(table, options.out)
        print(f"{options.out} and {options.out.with_suffix('.svg')}")


@takes(ImportanceOptions, "features")
def importance(options: ImportanceOptions) -> "dict[str, pd.DataFrame]":
    """`make importance`: the worth of each feature, alone and beside the others, from
    many small fits.

    It returns four tables: `kept`, the smallest set with 95 % of what all features
    give, and what is lost without each of its features; `features`, four numbers of
    each feature with interval and p; `classes`, the Shapley value by class; `sets`, the
    best set of each size with its cost.

        fs.importance("mel mfcc chroma", dataset="synth")["kept"]
    """
    from featurestack.rooms.importance.measure import measure_importance
    from featurestack.rooms.importance.tables import importance_tables

    return importance_tables(measure_importance(options))


@takes(CurveOptions, "features")
def curve(options: CurveOptions) -> "pd.DataFrame":
    """`make curve`: the score of feature sets by the number of training recordings, a
    row for each set and part of the recordings.

        fs.curve("mel mel+mfcc", dataset="synth")
    """
    from featurestack.rooms.importance.curve import measure_curve, write_curve

    table = measure_curve(options)
    if options.out:
        write_curve(table, options.out)
    return table
