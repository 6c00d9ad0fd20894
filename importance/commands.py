"""`make importance` and `make curve`."""

from featurestack.importance.options import CurveOptions, ImportanceOptions


def importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth, alone and beside the others."""
    from featurestack.importance.measure import measure_importance, summary

    print(summary(measure_importance(options)))


def curve(options: CurveOptions) -> None:
    """Measure the score against the number of training recordings."""
    from featurestack.importance.curve import measure_curve, summary

    print(summary(measure_curve(options)))
