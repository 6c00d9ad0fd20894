"""The options of `make analysis PREDICTIONS=` beside its own."""

from pathlib import Path
from typing import Literal

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.options import Options, option


class PredictionsOptions(Options):
    """Anybody's predictions, and what their columns hold."""

    predictions: tuple[Path, ...] = option(
        (),
        "report on these tables of predictions instead of runs: CSV files, or folders"
        " of them; DATASET or TRUTH has the true labels if they lack them",
    )
    truth: Path | None = option(
        None, "table of true labels, if PREDICTIONS has none: clip and label columns"
    )
    audio: Path | None = option(
        None, "folder of the audio files that PREDICTIONS names, for players and checks"
    )
    label: str = option("", "column of true labels in PREDICTIONS")
    group: str = option("", "column of source recordings in PREDICTIONS")
    columns: str = option(
        "",
        "other columns of PREDICTIONS that have no usual name, separated by blanks:"
        " clip=, start=, predicted=, score=, fold=, model=",
    )
    task: Literal["auto", "classes", "tags"] = option(
        "auto",
        "of PREDICTIONS: one label per clip, or several and none; auto asks the table",
    )


class AnalyseOptions(AnalysisOptions, PredictionsOptions):
    """Both, for `fs.analyse`."""
