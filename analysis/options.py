"""Options of `make analysis`."""

from pathlib import Path

from featurestack.commandline.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)


class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = option(
        "",
        "the dataset to report on; without it, every dataset that has runs or a cache",
    )
    run: tuple[str, ...] = option(
        (),
        "only these runs, in a report of their own: each a name, a path, a unique"
        " prefix or last",
    )
    predictions: tuple[Path, ...] = option(
        (),
        "make a run of each of these tables of predictions, then report: CSV files, or"
        " folders of one model's; DATASET has the true labels, or their column `label`",
    )
    paper: bool = option(
        False,
        "write for papers too: figures as PDF and PNG, a LaTeX document, a methods"
        " paragraph",
    )
