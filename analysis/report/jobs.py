"""`make analysis`: its options, and the datasets that it reports on."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base import NAMED
from featurestack.base.errors import RequestError
from featurestack.base.files import require_readable
from featurestack.base.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
    option_words,
)
from featurestack.base.own_files import NO_DATA, TRACE
from featurestack.base.shell import make_command
from featurestack.base.terminal import status_of

if TYPE_CHECKING:
    from featurestack.analysis.page import ReportJob
    from featurestack.features_cache.identity import Identity
    from featurestack.results.run_folder import RunFolder

# Threads of these libraries spin while they wait.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = option(
        "",
        "the dataset to report on; without it, every dataset that has runs or a cache",
    )
    paper: bool = option(
        False,
        "also write each figure as PDF and as PNG of 300 dpi, as papers need them",
    )


def refuse_users_folder(folder: Path) -> None:
    """RequestError if a report's folder holds other files, such as sounds."""
    if not folder.is_dir() or (folder / NO_DATA).is_file():
        return
    # detections and lists to label have folders in it
    ours = {record.parent for record in folder.glob("*/.*.json")}
    traces = {file for file in folder.iterdir() if TRACE.fullmatch(file.name)}
    if {*folder.iterdir()} - ours - traces:
        raise RequestError(
            f"{folder} holds files of yours, so no report is written there:"
            " move them, or give another REPORTS="
        )


def jobs(options: AnalysisOptions) -> "list[ReportJob]":
    """A job for the dataset in DATASET, else for all that have runs or a cache;
    RequestError if there is nothing to report on.
    """
    from featurestack.features_cache.datasets import (
        cache_folder,
        cached_in,
        is_cache,
        unknown_dataset,
    )
    from featurestack.results.dataset_folders import by_dataset, named_dataset
    from featurestack.results.run_folder import find

    name, identity = named_dataset(options.dataset, options.data, options.name)
    if name:
        require_readable(options.runs / name)
    folders = find(options.runs, name, identity)
    if name:
        folder = cache_folder(options.dataset or name, options.data, options.name)
        caches = {name: folder} if is_cache(folder) else {}
    else:
        require_readable(options.data)
        caches = {
            dataset: options.data / dataset / "features"
            for dataset in cached_in(options.data)
        }
    datasets = {name or run.path.parent.name for run in folders} | caches.keys()
    if not datasets:
        known = {*NAMED, *cached_in(options.data)}
        runs_of = {run.path.parent.name for run in find(options.runs)}
        given = options.dataset or name  # it may be misspelt
        if name and not (name in known | runs_of or Path(given).exists()):
            raise unknown_dataset(given, options.data, runs_of)
        whose, first = "", "extract features of DATASET= first, then train"
        if options.dataset:
            whose = f" of {options.dataset}"
            words = option_words(options, ("dataset", "name", "data"))
            first = f"first {make_command('features', *words)}, then train"
        raise RequestError(
            f"nothing to report on: {Path(options.runs, name)} holds no run{whose}"
            f" and {options.data} no features of {name or 'any dataset'}: {first}"
        )
    made = []
    for dataset in sorted(datasets):
        runs = [run for run in folders if name or run.path.parent.name == dataset]
        cache = caches.get(dataset)
        for data, of_dataset in by_dataset(runs, cache):
            made.append(job_of(options, dataset, of_dataset, cache, data))
            cache = None  # of the first
    return made


def job_of(
    options: AnalysisOptions,
    dataset: str,
    runs: "Sequence[RunFolder]",
    cache: Path | None,
    identity: "Identity | None",
) -> "ReportJob":
    """The report on one dataset. Its words name the cache's source, since a folder of
    its name may hold other sounds.
    """
    from featurestack.analysis.page import ReportJob
    from featurestack.features_cache.cache import Cache
    from featurestack.features_cache.datasets import is_cache
    from featurestack.results.dataset_folders import folder_of, register_folder

    folder = options.reports / dataset
    if identity:
        folder = folder_of(folder, identity, NO_DATA)
    refuse_users_folder(folder)
    if identity:  # before the next dataset of this name looks for its folder
        folder = register_folder(options.reports / dataset, identity, NO_DATA).folder
    named, name = options.dataset or options.name or dataset, options.name
    if named not in NAMED and not is_cache(Path(named)):
        with suppress(RequestError):  # a damaged cache is reported later
            source, own_name = identity.place if identity else "", ""
            if cache:
                source, own_name = Cache(cache).sounds
            if source and Path(source).resolve() != Path(named).resolve():
                named, name = source, own_name
    words = [f"DATASET={named}", *([f"NAME={name}"] if name else [])]
    words += option_words(options, ("data", "runs"))
    return ReportJob(
        dataset=dataset,
        runs=tuple(runs),
        cache=cache,
        folder=folder,
        identity=identity,
        for_print=options.paper,
        runs_folder=options.runs,
        given=tuple(words),
    )


def analysis(options: AnalysisOptions) -> int:
    """Write a report for each dataset; return 1 if one leaves out something damaged."""
    for name in THREAD_VARIABLES:  # before numpy is loaded
        os.environ.setdefault(name, "1")
    # Loaded here: --help does not wait for pandas and matplotlib.
    from featurestack.analysis.report.build import build_report

    whole = True
    for job in jobs(options):
        report = build_report(job)
        for remark in report.remarks:
            print(f"  {remark}")
        print(f"{job.dataset}: {report.headline}")
        print("\n".join(report.lines))
        whole &= report.whole
    return status_of(whole)
