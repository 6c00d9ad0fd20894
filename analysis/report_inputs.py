"""The reports to make, their runs and caches; the record and the list of reports."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.errors import RequestError, make_command, nearest
from featurestack.commandline.options import option_words
from featurestack.features_cache.names import (
    NAMED,
    cache_folder,
    dataset_name,
    is_cache,
)
from featurestack.results.config import digest, label
from featurestack.results.run_folder import RunFolder, find
from featurestack.storage.files import require_readable
from featurestack.storage.own_files import NO_DATA, OwnFiles


@dataclass(frozen=True)
class ReportJob:
    """One report: its dataset, run folders, cache, and place."""

    dataset: str
    runs: tuple[RunFolder, ...]
    cache: Path | None
    folder: Path
    # NAME=value words that name the dataset, the folders, and the runs of RUN=
    given: tuple[str, ...]


def jobs(options: AnalysisOptions) -> list[ReportJob]:
    """A job for the dataset in DATASET, else for each dataset of the runs in RUN, else
    for all that have runs or a cache.

    A report on chosen runs (RUN=) has a folder of its own, so that the full report
    stays. RequestError if there is nothing to report on, or if two runs of RUN have one
    name.
    """
    given = options.dataset or options.name
    name = dataset_name(given, options.name)
    if name:
        require_readable(options.runs / name)
    if options.run:
        from featurestack.results.selection import select

        wanted = " ".join(options.run)
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
    folders: Iterable[RunFolder],
    cache: Path | None,
) -> ReportJob:
    """The report on one dataset; RequestError if two runs have one name."""
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
    places = option_words(options, ("name", "data", "runs", "run"))
    words_given = (f"DATASET={given or dataset}", *places)
    return ReportJob(dataset, tuple(runs), cache, folder, words_given)


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


SUMMARY = ".report.json"  # digests of a report's figures, and its row of the list
SHOWN_ROWS = 12  # rows of the comparison in a notebook


@dataclass(frozen=True)
class Built:
    """A report's place and lines."""

    page: Path
    headline: str
    remarks: list[str]
    next_command: str
    whole: bool  # False if anything damaged was left out
    state: str  # `findings.State`
    best: str  # name of the best run, '' without one
    of_check: int = 0  # number of the first remarks, which `check` prints too

    def _repr_html_(self) -> str:
        """The finding, its limits, the comparison and a link, for a notebook."""
        import pandas as pd

        lines = [f"<b>{escape(self.headline)}</b>", *map(escape, self.remarks)]
        link = quote(os.path.relpath(self.page))
        lines.append(f'<a href="{link}" target="_blank">{escape(str(self.page))}</a>')
        table = ""
        file = self.page.parent / "tables" / "comparison.csv"
        if file.is_file():
            shown = pd.read_csv(file).dropna(axis=1, how="all").head(SHOWN_ROWS)
            form = "{:.3f}".format
            table = shown.to_html(index=False, float_format=form, border=0)
        return f"<p>{'<br>'.join(lines)}</p>{table}"


def files_of_report(folder: Path) -> OwnFiles:
    """The files that a report has written in its folder, which holds no sounds."""
    return OwnFiles(folder, NO_DATA)


def read_summary(folder: Path) -> dict[str, Any]:
    """The content of SUMMARY: figures (stem -> digest) and `listed`, the report's row
    in the list; empty if it is missing or damaged, or a file of the report is.
    """
    own = files_of_report(folder)
    if own.is_whole() and own.is_own(SUMMARY):
        with suppress(OSError, ValueError):
            content: dict[str, Any] = json.loads((folder / SUMMARY).read_bytes())
            return content
    return {}
