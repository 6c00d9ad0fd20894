"""`fs.analyse(...)` and `fs.compare(...)`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.interface import takes
from featurestack.rooms.predictions.options import AnalyseOptions

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from featurestack.analysis.report_inputs import Built
    from featurestack.rooms.predictions.compare import Comparison


@takes(AnalyseOptions, "name", "group", "label")
def analyse(
    table: "pd.DataFrame | Mapping[str, pd.DataFrame] | Path | str",
    options: AnalyseOptions,
) -> "Built":
    """`make analysis PREDICTIONS=`: the report on anybody's predictions.

    `table` is a data frame, one for each model by name, a CSV file, or a folder of
    them. It has one row per clip: its file, its true label, and a probability column
    per class, or the predicted class and its score.

        fs.analyse(frame, group="recording").headline
        fs.analyse({"birdnet": a, "perch": b}).page
    """
    from featurestack.analysis.report import build_report
    from featurestack.rooms.predictions.read import Table, tables_in
    from featurestack.rooms.predictions.report import columns_of, job_of

    if isinstance(table, Path | str):
        tables = tables_in(Path(table), columns_of(options))
        inputs = [Path(part.name) for part in tables]
        name = Path(table).stem
    else:
        name, inputs = "predictions", []
        frames = table if isinstance(table, Mapping) else {name: table}
        tables = []
        for model, frame in frames.items():
            if not hasattr(frame, "columns") or not len(frame):
                raise RequestError(f"{model}: expected a data frame with rows")
            named = any(frame.index.names)
            tables.append(Table(model, frame.reset_index(drop=not named), model))
    job = job_of(options, tables, options.name or name, inputs)
    return build_report(job, options)


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
    from featurestack.rooms.predictions.compare import comparison

    parts = {"group": groups, "fold": folds}
    return comparison(predictions, labels, parts, classes)
