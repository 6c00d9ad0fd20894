"""Options of `python -m analysis`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from commandline.options import Aliases, Bounds, DatasetOptions, ReportsOptions, RunsOptions


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = ""
    """the dataset to report on; without it, every dataset that has runs or a cache"""
    run: tuple[str, ...] = ()
    """only these runs: a name, a path, a unique prefix, last"""
    ensemble: Annotated[tuple[str, ...], Aliases("fuse")] = ()
    """write the ensemble of these runs, the mean of their probabilities, as a run of its own, then report"""
    members: Annotated[int, Aliases("pick"), Bounds(least=0)] = 0
    """with ENSEMBLE: at most so many runs for each fold, selected on the other folds; 0 averages all"""
    confusion: Literal["counts", "rates"] = "counts"
    """what the cells of the saved confusion matrices show: counts, or percentages of the row"""
    figures: Annotated[int, Bounds(least=0)] = 6
    """draw the figures of this many runs, the best first; the page shows all runs"""
    audio_mb: Annotated[float, Bounds(least=0)] = 1
    """MB of compressed audio in the page, half for the error browser, half for the gallery; 0 links all"""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """draws the sample predictions and starts the projections of clips"""
    overwrite: Annotated[bool, Aliases("again")] = False
    """make everything anew, also where nothing changed"""
