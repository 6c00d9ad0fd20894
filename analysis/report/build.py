"""A dataset's report: tables, figures and one page, from run folders and the cache.

Nothing is trained, and nothing is written outside the report's folder.
"""

import json
import os
from contextlib import suppress

from featurestack.analysis.clips import readable_cache
from featurestack.analysis.findings import findings
from featurestack.analysis.page import PAGE, Report, ReportJob, render
from featurestack.analysis.report.runs import Problem, load_runs
from featurestack.analysis.report.tables import columns_of
from featurestack.analysis.sections import add_sections
from featurestack.base.errors import RequestError
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.base.table_files import as_csv
from featurestack.base.terminal import progress, tell
from featurestack.features_cache.index_file import read_check
from featurestack.results.same_run import of_today

# the place of a report's runs
SUMMARY = ".report.json"
OF_PRINT = (".pdf", ".png")  # endings of figures for papers


def build_report(job: ReportJob) -> Report:
    """Make the report of one dataset."""
    kept = {}
    with suppress(OSError, ValueError, TypeError):  # damaged or not there
        kept = dict(json.loads((job.folder / SUMMARY).read_bytes()))
    place = os.path.relpath(job.runs_folder, job.folder)  # holds if both are moved
    if not job.runs and kept.get("runs", place) != place:
        raise RequestError(
            f"RUNS={job.runs_folder} has no run of {job.dataset}, but {job.folder} has"
            f" a report on those in {os.path.relpath(job.folder / kept['runs'])}: give"
            " that folder, or another REPORTS="
        )
    own_files = OwnFiles(job.folder, NO_DATA)  # the folder holds no sounds
    own_files.require(PAGE, "REPORTS= or NAME=")
    cache, features, damage = readable_cache(job.cache)
    # findings of `check`; None if it has not examined these clips
    checked = read_check(cache.folder, cache.clips) if cache else None
    runs = of_today(job.runs, cache) if cache else [*job.runs]
    read, problems = load_runs(progress(runs, label="reading", unit="runs"))
    found = findings(
        read,
        [*(Problem("cache", text, damaged=True) for text in damage), *problems],
        cache=cache,
        checked=checked or [],
        old_runs=len(job.runs) - len(runs),
    )
    report = Report(job, own_files, found, cache, features)
    add_sections(report)
    files = {}
    for name, table in report.tables.items():
        columns_of(name, table)  # ValueError if one is not declared
        files[f"tables/{name}.csv"] = as_csv(table)
    own_files.write(files, durable=False)
    own_files.write({PAGE: render(page=report, f=found)})
    own_files.write({SUMMARY: json.dumps({"runs": place} if job.runs else {})})
    if not job.for_print:  # a plain report leaves those files as they are
        own_files.keep(name for name in own_files.hashes if name.endswith(OF_PRINT))
    for name in own_files.remove_others():
        tell(
            f"{job.folder / name}: kept because you changed it; move it away to get"
            " the new one"
        )
    return report
