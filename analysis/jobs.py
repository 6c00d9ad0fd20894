"""Which reports are to be made, of which runs and which cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.options import AnalysisOptions
from commandline import RequestError, make_command, words
from features_cache.location import NAMED, cache_folder, dataset_name, is_cache
from train.runs import RunFolder, find, select


@dataclass(frozen=True)
class Job:
    """One report: a dataset's name, its run folders, its cache if there is one, and where the report goes."""

    dataset: str
    runs: tuple[RunFolder, ...]
    cache: Path | None
    folder: Path
    given: tuple[str, ...]  # the variables that ask for this dataset, its folders, and just these runs


def jobs(options: AnalysisOptions) -> list[Job]:
    """A job for the dataset that is asked for, else for every dataset that has runs or a cache."""
    if options.dataset or options.name:
        asked = options.dataset or str(options.name)
        name = dataset_name(asked, options.name)
        cache = cache_folder(asked, options.data, options.name)
        runs = _runs(options, name)
        if not runs and not is_cache(cache):
            raise RequestError(
                _nothing(options, f"{options.runs / name} holds no run and {cache} no features")
            )
        return [_job(options, name, runs, cache, asked)]
    by_dataset: dict[str, list[RunFolder]] = {}
    for run in _runs(options, None):
        by_dataset.setdefault(run.path.parent.name, []).append(run)
    if not options.run:
        for cache in sorted(options.data.glob("*/features")):
            if is_cache(cache):
                by_dataset.setdefault(cache.parent.name, [])
    if not by_dataset:
        raise RequestError(_nothing(options, f"{options.runs} holds no run and {options.data} no features"))
    return [
        _job(options, name, runs, options.data / name / "features", name)
        for name, runs in sorted(by_dataset.items())
    ]


def _runs(options: AnalysisOptions, dataset: str | None) -> list[RunFolder]:
    if options.run:
        return select(options.runs, " ".join(options.run), dataset)
    return find(options.runs, dataset)


def _job(options: AnalysisOptions, name: str, runs: Sequence[RunFolder], cache: Path, asked: str) -> Job:
    given = (f"DATASET={asked}", *words(options, ("name", "data", "runs", "run")))
    return Job(name, tuple(runs), cache if is_cache(cache) else None, options.reports / name, given)


def _nothing(options: AnalysisOptions, found: str) -> str:
    return (
        f"nothing to report on: {found}. Extract features first "
        f"({make_command('features', f'DATASET={options.dataset or NAMED[0]}')}), then train (make train)"
    )
