"""Options of `make analysis`, and the reports to make by them."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError, make_command, nearest
from featurestack.commandline.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.features_cache.names import (
    NAMED,
    cache_folder,
    dataset_name,
    is_cache,
)
from featurestack.storage.files import require_readable
from featurestack.storage.own_files import NO_DATA

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


def jobs(options: AnalysisOptions) -> list[ReportJob]:
    """A job for the dataset in DATASET, else for each dataset of the runs in RUN, else
    for all that have runs or a cache.

    A run is written of each table in PREDICTIONS first. A report on chosen runs (RUN=)
    has a folder of its own, so that the full report stays. RequestError if there is
    nothing to report on, or if two runs of RUN have one name.
    """
    from featurestack.results.run_folder import find

    if options.predictions:
        from featurestack.predictions import write_runs

        options = replace(options, dataset=write_runs(options), predictions=())
    given = options.dataset or options.name
    name = dataset_name(given, options.name)
    if name:
        require_readable(options.runs / name)
    if options.run:
        from featurestack.results.selection import select

        wanted = " ".join(shlex.quote(r) if " " in r else r for r in options.run)
        folders = select(options.runs, wanted, name, data=options.data)
    else:
        folders = find(options.runs, name)
    if name:
        folder = cache_folder(given, options.data, options.name)
        caches = {name: folder} if is_cache(folder) else {}
    else:
        caches = all_caches(options.data)
    datasets = {name or run.path.parent.name for run in folders}
    if not options.run:
        datasets |= caches.keys()
    if not datasets:
        raise nothing_to_report(options, name)
    return [
        job_of(options, dataset, folders, caches.get(dataset))
        for dataset in sorted(datasets)
    ]


def all_caches(data: Path) -> dict[str, Path]:
    """Dataset -> its cache, for each below `data`."""
    require_readable(data)
    caches = [dataset / "features" for dataset in data.glob("*")]
    return {cache.parent.name: cache for cache in caches if is_cache(cache)}


def nothing_to_report(options: AnalysisOptions, name: str) -> RequestError:
    """The error for a dataset without runs and cache, perhaps mistyped."""
    from featurestack.results.run_folder import find

    runs = {run.path.parent.name for run in find(options.runs)}
    known = {*NAMED, *all_caches(options.data), *runs}
    if name and not (name in known or Path(options.dataset or name).exists()):
        return RequestError(nearest("dataset", name, known))
    dataset = options.dataset or NAMED[0]
    first = make_command("features", f"DATASET={dataset}")
    return RequestError(
        f"nothing to report on: {Path(options.runs, name)} holds no run and"
        f" {options.data} no features of {name or 'any dataset'}: extract features"
        f" first ({first}), then train ({make_command('train')})"
    )


def job_of(
    options: AnalysisOptions,
    dataset: str,
    folders: "Iterable[RunFolder]",
    cache: Path | None,
) -> ReportJob:
    """The report on one dataset; RequestError if two runs have one name.

    Its words name the source of a cache: a folder of its name may have other sounds.
    """
    from featurestack.features_cache.cache import Cache
    from featurestack.results.config import digest, label

    given = options.dataset or options.name
    runs = [run for run in folders if given or run.path.parent.name == dataset]
    names = sorted(run.name for run in runs)
    for name, following in pairwise(names):
        if name == following:
            raise RequestError(f"RUN names two folders called {name}: rename one")
    folder = options.reports / dataset
    if options.run:
        first, *rest = names
        more = [f"{len(rest)}-more", digest([first, *rest])] if rest else []
        folder /= label("only", first, more, digest([first]))
    refuse_users_folder(folder)
    named, name = given or dataset, options.name
    if cache and named not in NAMED and not is_cache(Path(named)):
        with suppress(RequestError):  # a damaged cache is reported later
            source, own_name = Cache(cache).sounds
            if source and Path(source).resolve() != Path(named).resolve():
                named, name = source, own_name
    words = [f"DATASET={named}", *([f"NAME={name}"] if name else [])]
    words += option_words(options, ("data", "runs", "run"))
    return ReportJob(options, dataset, tuple(runs), cache, folder, tuple(words))


def refuse_users_folder(folder: Path) -> None:
    """RequestError if a report's folder is there with other files, as sounds are."""
    if not folder.is_dir() or (folder / NO_DATA).is_file():
        return
    # reports on chosen runs are folders of their own in it
    if any(not (entry / NO_DATA).is_file() for entry in folder.iterdir()):
        raise RequestError(
            f"{folder} holds files of yours, and a report is not written among them:"
            " give another REPORTS"
        )
