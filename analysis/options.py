"""Options of `make analysis`, and the job of one report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base.errors import RequestError
from featurestack.base.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.base.own_files import DETECTED, NO_DATA, TRACE

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder


class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = option(
        "",
        "the dataset to report on; without it, every dataset that has runs or a cache",
    )
    run: tuple[str, ...] = option(
        (),
        "only these runs, in a report of their own: each a name, a path, a unique"
        " prefix or last, with all seeds of its configuration",
    )
    predictions: tuple[Path, ...] = option(
        (),
        "make a run of each of these tables of predictions, then report: CSV files;"
        " DATASET has the true labels, or the tables' column `label`",
    )
    paper: bool = option(
        False,
        "write for papers too: figures as PDF and PNG, a LaTeX document, a methods"
        " paragraph",
    )


# ---- the reports to make


@dataclass(frozen=True)
class ReportJob:
    """One report: its options, dataset, run folders, cache, and place."""

    options: AnalysisOptions
    dataset: str
    runs: "tuple[RunFolder, ...]"
    cache: Path | None
    folder: Path
    # NAME=value words that name the dataset, the folders, and the runs of RUN=
    given: tuple[str, ...]


def refuse_users_folder(folder: Path) -> None:
    """RequestError if a report's folder holds other files, such as sounds."""
    if not folder.is_dir() or (folder / NO_DATA).is_file():
        return
    # reports on chosen runs and detections have folders of their own in it
    ours = {
        file.parent for name in (NO_DATA, DETECTED) for file in folder.glob(f"*/{name}")
    }
    traces = {file for file in folder.iterdir() if TRACE.fullmatch(file.name)}
    if {*folder.iterdir()} - ours - traces:
        raise RequestError(
            f"{folder} holds files of yours, so no report is written there:"
            " move them, or give another REPORTS="
        )
