"""`fs.analyse(...)`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.interface import takes
from featurestack.rooms.predictions.options import AnalyseOptions

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.analysis.report_inputs import Built


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
