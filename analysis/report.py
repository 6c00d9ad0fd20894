"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained, and nothing is written outside the report's folder. A figure is
drawn again if its data or a version changed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from featurestack.analysis import page
from featurestack.analysis.clips import readable_cache
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.findings import Findings, findings
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import (
    SUMMARY,
    Built,
    ReportJob,
    files_of_report,
    read_summary,
)
from featurestack.analysis.report_warnings import Evidence, warned
from featurestack.analysis.runs import (
    Problem,
    Results,
    Run,
    load_runs,
)
from featurestack.analysis.sections import PageInputs, Section, page_sections, run_facts
from featurestack.analysis.sentences import printed
from featurestack.analysis.tables import settings
from featurestack.commandline.errors import make_command
from featurestack.commandline.next_step import (
    State,
    Trained,
    next_step,
    training_of,
    without,
)
from featurestack.commandline.quantities import listed
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.index import read_check
from featurestack.features_cache.names import NAMED, has_events
from featurestack.features_cache.table import (
    untrainable,
)
from featurestack.results.selection import of_today
from featurestack.storage.csv_files import as_csv
from featurestack.storage.files import is_file, may_write
from featurestack.storage.own_files import OwnFiles

T = TypeVar("T")
PAGE = "index.html"
LISTED = ".reports.json"  # the record of the list of reports
OF_PRINT = (".pdf", ".png", ".tex", ".bib")  # endings of the files for print
# kind of a proposal -> what its command does
NEXT = {
    "extract": "extracts the features of the present clips",
    "first": "a first run",
    "untrainable": "lists classes and folds; training needs two of each",
    "check": (
        "looks for the same audio in different folds, and for recording conditions that"
        " predict the class"
    ),
    "folds": "trains the missing folds",
    "combine": "shows what combining gains",
    "different": "tries other features: none of these is clearly better than chance",
    "predict": "predicts new recordings",
}


def build_report(job: ReportJob, options: AnalysisOptions) -> Built:
    """Make the report of one dataset."""
    figures = read_summary(job.folder).get("figures", {})
    own = files_of_report(job.folder)
    own.require(PAGE, "REPORTS or NAME")
    cache, features, damage = readable_cache(job.cache)
    # findings of `check`; None if it has not examined these clips
    checked = read_check(cache.folder, cache.clips) if cache else None
    runs = list(job.runs)
    if cache and not options.run:
        runs = of_today(runs, cache)
    results = load_runs(progress(runs, label="reading", unit="run"))
    old_runs = len(job.runs) - len(runs)
    found = findings_of(results, cache, features, checked, old_runs)
    damaged = [Problem("cache", text, "damaged") for text in damage]
    found = replace(found, problems=[*damaged, *found.problems])
    writer = FigureWriter(
        own,
        figures,
        for_print=options.paper,
        unit=found.unit,
    )
    inputs = PageInputs(job, options, writer, found, cache, features)
    sections = page_sections(inputs)
    writer.close()
    proposals = [
        *(section.proposal for section in sections),
        propose(inputs, checked),
    ]
    proposal = next(filter(None, proposals), ("", ""))
    built = write_page(inputs, sections, proposal)
    summary = {"figures": writer.digests, "listed": listed_row(found)}
    own.write({SUMMARY: json.dumps(summary)})
    if not writer.for_print:  # a plain report leaves those files as they are
        own.keep(name for name in own.hashes if name.endswith(OF_PRINT))
    for name in own.remove_others():
        tell(
            f"{job.folder / name}: kept, it is not as analysis wrote it; move it to"
            " have the new one"
        )
    list_reports(options.reports)
    return built


def listed_row(found: Findings) -> dict[str, Any]:
    """The report's row of the list of reports."""
    row: dict[str, Any] = {"finding": page.say("headline", found)}
    if found.main is None:
        return row
    best = found.rows[0]
    names = ("accuracy", "accuracy_low", "accuracy_high")
    numbers = {name: float(best[name]) for name in names}
    clips = len(found.main.best.clip_ids)
    known = {name: value for name, value in numbers.items() if value == value}
    return row | known | {"clips": clips, "score": found.score}


def list_reports(reports: Path) -> None:
    """Write index.html of the folder: a row for each report, linked to it."""
    summaries = sorted(reports.glob(f"*/{SUMMARY}"))
    rows = {file.parent.name: read_summary(file.parent) for file in summaries}
    listed = {name: kept["listed"] for name, kept in rows.items() if "listed" in kept}
    html = page.render("reports.html", reports=listed)
    OwnFiles(reports, LISTED).write({PAGE: html})


def findings_of(
    results: Results,
    cache: Cache | None,
    features: Sequence[str],
    checked: Sequence[Attributes] | None,
    old_runs: int = 0,
) -> Findings:
    """Rank and test the runs, make their tables, and find what may make them wrong.

    features  cached and readable
    old_runs  the number of runs of other data, which are left out
    """
    found = findings(
        results,
        groups=cache.groups if cache else "",
    )
    found = replace(found, old_runs=old_runs)
    return warned(Evidence(found, results.runs, cache, features, checked or []))


def propose(
    inputs: PageInputs, checked: Sequence[Attributes] | None
) -> tuple[str, str] | None:
    """The next command to propose, and its reason; None if nothing is left to do."""
    cache, runs = inputs.cache, inputs.found.runs
    if runs and not cache and all(run.foreign for run in runs):
        return None
    state = State(given=without(inputs.job.given, "RUN"))
    if cache:
        paths = cache.clips["path"]
        changed = inputs.found.warns("W5")
        state = replace(
            state,
            frames={name: cache[name].frames for name in inputs.features},
            audio=bool((paths != "").any()),
            untrainable=bool(untrainable(cache.clips)),
            # the audio is the user's own, and `check` may keep what it finds
            unchecked=checked is None
            and not changed
            and may_write(cache.folder.parent)
            and inputs.job.dataset not in NAMED
            and not cache.synthetic
            and any(is_file(path) for path in paths.head(20))
            and not has_events(cache.source),
            incomplete=changed,
            of_clips=not has_events(cache.source),
        )
    command, kind = next_step(with_ranking(state, inputs.found))
    return (command, NEXT[kind]) if command else None


def with_ranking(state: State, found: Findings) -> State:
    """The state with what the report found in its main ranking."""
    ranked = found.runs[: len(found.rows)]
    trained = [configuration(run) for run in ranked if run.trained]
    chosen = ""
    if found.main and found.choice and found.state != "chance":
        chosen = f"{found.main.best.dataset}/{found.choice.recommended_run}"
    return replace(
        state,
        ranked=len(ranked),
        trained=trained,
        chance=found.state == "chance",
        leak=found.warns("W1"),
        chosen=chosen,
    )


def configuration(run: Run) -> Trained:
    """A run, as a proposal names it."""
    own = without(run.config.command or [f"MODEL={run.model}"], "FEATURES")
    return Trained(
        features=run.features,
        words=tuple(own),
        seeds=run.seeds,
        run=f"{run.dataset}/{run.name}",
        missing_folds=bool(run.missing_folds),
    )


def train_again(run: Run, given: Sequence[str]) -> str:
    """The command that trains all seeds of a run; '' if run.json has none."""
    return training_of(given, [configuration(run)]) if run.config.command else ""


def write_page(
    inputs: PageInputs, sections: Sequence[Section], proposal: tuple[str, str]
) -> Built:
    """Write the tables, the documents of a paper and the page."""
    job, writer, found = inputs.job, inputs.writer, inputs.found
    cache, own = inputs.cache, writer.own
    tables = joined(found.tables, *(section.tables for section in sections))
    texts = {f"tables/{name}.csv": as_csv(table) for name, table in tables.items()}
    own.write(texts, durable=False)
    methods = ""
    if inputs.options.paper and found.runs:
        from featurestack.paper import methods_text, write_document

        methods = methods_text(found, cache)
        write_document(own, found, [*writer.saved.values()], methods)
    parts = [found.problems, *(section.problems for section in sections)]
    problems = [problem for part in parts for problem in part]
    reasons: dict[str, list[str]] = {}  # text of a problem -> the runs that have it
    for problem in problems:
        reasons.setdefault(problem.text, []).append(problem.run)
    synthetic = any(run.config.synthetic for run in found.runs)
    command, reason = proposal
    html = page.render(
        f=found,
        inputs=inputs,
        synthetic=synthetic or bool(cache and cache.synthetic),
        sections={part.template: part.title for part in sections if part.template},
        leads=joined(*(section.leads for section in sections)),
        reasons=reasons,
        next=command,
        reason=reason,
        tables=tables,
        figures=writer.saved,
        settings=settings,
        run_facts=run_facts,
        train_again=lambda run: train_again(run, without(job.given, "RUN")),
        methods=methods,
        for_print=writer.for_print,
        command=make_command("analysis", *job.given),
        **joined(*(section.values for section in sections)),
    )
    own.write({PAGE: html})
    remarks = [warning.text for warning in found.warnings]
    remarks += [f"{listed(runs)}: {text}" for text, runs in reasons.items()]
    return Built(
        page=job.folder / PAGE,
        headline=printed(found),
        remarks=remarks,
        next_command=f"{command}   ({reason})" if command else "",
        whole=not any(problem.kind == "damaged" for problem in problems),
        state=found.state,
        best=found.main.best.name if found.main else "",
        of_check=sum(warning.of_check for warning in found.warnings),
    )


def joined(*parts: Mapping[str, T]) -> dict[str, T]:
    """All these mappings as one."""
    together: dict[str, T] = {}
    for part in parts:
        together |= part
    return together
