"""`make importance` and `make curve`."""

from featurestack.rooms.importance.options import CurveOptions, ImportanceOptions


def importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth, alone and beside the others."""
    from featurestack.rooms.importance.measure import (
        importance_summary,
        measure_importance,
    )

    print(importance_summary(measure_importance(options)))


def curve(options: CurveOptions) -> None:
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
