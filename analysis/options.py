"""Options of `python -m analysis`."""

from dataclasses import dataclass
from typing import Literal

from commandline import DatasetOptions, ReportsOptions, RunsOptions


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = ""
    """the dataset to report on; without it, every dataset that has runs or a cache"""
    run: tuple[str, ...] = ()
    """only these runs: a name, a path, a unique prefix, last"""
    fuse: tuple[str, ...] = ()
    """write the mean of these runs' probabilities as a run of its own, then report"""
    pick: int = 0
    """with FUSE: at most so many members for each fold, picked on the other folds; 0 averages all"""
    confusion: Literal["rates", "counts"] = "rates"
    """what the saved pictures of confusion matrices show"""
    figures: int = 6
    """draw picture files for this many runs, the best first; the page shows all runs"""
    audio_mb: float = 15
    """how many MB of compressed audio the page may carry; the rest is linked"""
    seed: int = 0
    """draws the clips shown as samples and starts the maps of clips"""
    again: bool = False
    """make everything anew, also where nothing changed"""
