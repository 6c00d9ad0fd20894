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
    fits of an exact model with and without it.

    It returns three tables: `features`, what each feature gives alone, what is lost
    without it and what it adds to the base, each with interval and p; `classes`, the
    same by class; `smaller`, the best smaller sets and whether they are as good.

        fs.importance("mel mfcc chroma", dataset="synth")["features"]
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
