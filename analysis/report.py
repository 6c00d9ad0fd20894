"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained, and nothing is written outside the report's folder.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestack.analysis.clips import readable_cache
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.findings import findings
from featurestack.analysis.page import Page, ReportJob, render
from featurestack.analysis.report_warnings import WARNINGS
from featurestack.analysis.run_arrays import Problem, load_runs
from featurestack.analysis.sections import add_sections
from featurestack.analysis.sentences import headline
from featurestack.base.errors import RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.base.quantities import listed
from featurestack.base.registry import object_at
from featurestack.base.shell import make_command, without
from featurestack.base.table_files import as_csv
from featurestack.base.terminal import progress, tell
from featurestack.compare.scores import ACCURACY
from featurestack.features_cache.index_file import read_check
from featurestack.results.run_folder import find
from featurestack.results.same_run import of_today

PAGE = "index.html"
# a report's row of the list, and the folder of its runs
SUMMARY = ".report.json"
LISTED = ".reports.json"  # the record of the list of reports
COMPARISON = "tables/comparison.csv"
OF_PRINT = (".pdf", ".png", ".tex", ".bib")  # endings of the files for print


@dataclass(frozen=True)
class Built:
    """A report's place and lines."""

    page: Path
    headline: str
    remarks: list[str]
    next_command: str
    whole: bool  # False if anything damaged was left out
    chance: bool  # nothing is clearly better than chance
    best: str  # name of the best run, '' without one
    facts: Mapping[str, str]  # label -> number of the first screen
    leads: Mapping[str, str]  # heading -> sentences of the sections
    paper: Sequence[str] = ()  # the document and the table for papers
    of_check: int = 0  # number of the first remarks, which `check` prints too

    @property
    def lines(self) -> list[str]:
        """Facts, page, document and next command; a path in this folder is short."""
        page, here = self.page.resolve(), Path.cwd()
        place = page.relative_to(here) if page.is_relative_to(here) else page
        paper = " and ".join(self.paper)
        lines = {"report: ": place, "paper:  ": paper, "next:   ": self.next_command}
        facts = [f"  {label}: {text}" for label, text in self.facts.items()]
        return facts + [f"{word}{text}" for word, text in lines.items() if text]

    def __repr__(self) -> str:
        return "\n".join([self.headline, *self.remarks, *self.lines])


def read_summary(folder: Path) -> dict[str, Any]:
    """The content of SUMMARY; empty if it is damaged or not there."""
    with suppress(OSError, ValueError, TypeError):
        return dict(json.loads((folder / SUMMARY).read_bytes()))
    return {}


def build_report(job: ReportJob) -> Built:
    """Make the report of one dataset."""
    kept = read_summary(job.folder)
    place = os.path.relpath(job.runs_folder, job.folder)  # holds if both are moved
    if not job.runs and kept.get("runs", place) != place:
        raise RequestError(
            f"RUNS={job.runs_folder} has no run of {job.dataset}, but {job.folder} has"
            f" a report on those in {os.path.relpath(job.folder / kept['runs'])}: give"
            " that folder, or another REPORTS="
        )
    own = OwnFiles(job.folder, NO_DATA)  # the folder holds no sounds
    own.require(PAGE, "REPORTS= or NAME=")
    cache, features, damage = readable_cache(job.cache)
    # findings of `check`; None if it has not examined these clips
    checked = read_check(cache.folder, cache.clips) if cache else None
    runs = list(job.runs)
    unnamed = 0
    if job.of_chosen_runs:
        every = find(job.runs_folder, job.dataset)
        unnamed = len(of_today(every, cache) if cache else every) - len(runs)
    elif cache:
        runs = of_today(runs, cache)
    read, problems = load_runs(progress(runs, label="reading", unit="runs"))
    found = findings(
        read,
        [*(Problem("cache", text, "damaged") for text in damage), *problems],
        cache=cache,
        checked=checked or [],
        old_runs=len(job.runs) - len(runs),
        unnamed=max(unnamed, 0),
    )
    heading = found.main.metric.heading if found.main else ACCURACY.heading
    words = {"unit": found.unit, "score": heading}
    writer = FigureWriter(own, for_print=job.for_print, **words)
    page = Page(job, writer, found, cache, features)
    add_sections(page)
    page.next_command = next_command(page)
    compared = own.hashes.get(COMPARISON)
    built = write(page)
    row: dict[str, Any] = {"finding": headline(found)}  # in the list of reports
    if found.main:
        score = found.best.score
        row["accuracy"] = score.value
        if score.bounded:
            row |= {"accuracy_low": score.low, "accuracy_high": score.high}
        row |= {"clips": len(found.best.run.clip_ids), "score": found.score}
    kept = {"listed": row} | ({"runs": place} if job.runs else {})
    own.write({SUMMARY: json.dumps(kept)})
    if not writer.for_print:  # a plain report leaves those files as they are
        own.keep(name for name in own.hashes if name.endswith(OF_PRINT))
        if "latex/main.tex" in own.hashes and own.hashes.get(COMPARISON) != compared:
            tell(
                f"{job.folder / 'latex'} is from an earlier report than the page:"
                " PAPER=1 writes it again"
            )
    for name in own.remove_others():
        tell(
            f"{job.folder / name}: kept because you changed it; move it away to get"
            " the new one"
        )
    list_reports(job.reports)
    return built


def next_command(page: Page) -> str:
    """The command that predicts new audio by the recommended or the best run; without
    runs the one that trains; '' if there is nothing to predict or to train with.
    """
    job, found = page.job, page.found
    names = [section.recommended for section in page.sections]
    names += [ranked.run.name for ranked in found.ranked if ranked.run.trained]
    best = next(filter(None, names), "")
    if best and found.main:
        run = job.runs_folder / found.main.best.dataset / best
        return make_command("predict", "AUDIO=FILE", f"RUN={run}")
    if found.runs or not page.features:
        return ""
    words = without(job.given, "RUN")
    return make_command("train", *words, f"FEATURES={page.features[0]}", "MODEL=ridge")


def list_reports(reports: Path) -> None:
    """Write index.html of the folder, which has a row with a link for each report;
    reports on chosen runs follow their dataset's full report.
    """
    summaries = [*reports.glob(f"*/{SUMMARY}"), *reports.glob(f"*/*/{SUMMARY}")]
    folders = sorted(file.parent for file in summaries)
    rows = {
        folder.relative_to(reports).as_posix(): read_summary(folder)
        for folder in folders
    }
    listed = {name: kept["listed"] for name, kept in rows.items() if "listed" in kept}
    html = render("reports.html", reports=listed)
    OwnFiles(reports, LISTED).write({PAGE: html})


def write(page: Page) -> Built:
    """Write the tables, the documents of a paper and the page."""
    writer, found = page.writer, page.found
    texts = {f"tables/{name}.csv": as_csv(table) for name, table in page.tables.items()}
    writer.own.write(texts, durable=False)
    documents: Sequence[str] = ()  # files for papers
    if page.job.for_print and found.runs:
        documents = object_at(OPTIONS["paper"])(page)
    writer.own.write({PAGE: render(page=page, f=found)})
    remarks = [*found.warnings.values()]
    remarks += [f"{listed(runs)}: {text}" for text, runs in page.reasons.items()]
    return Built(
        page=page.job.folder / PAGE,
        headline=headline(found),
        remarks=remarks,
        next_command=page.next_command,
        whole=not any(problem.kind == "damaged" for problem in page.problems),
        chance=found.chance,
        best=found.best.name if found.ranked else "",
        facts=page.facts,
        leads=page.leads,
        paper=[str(page.job.folder / name) for name in documents],
        of_check=sum(WARNINGS[code].of_check for code in found.warnings),
    )
