"""reports/index.html: the entry to all reports, and from three datasets on the
comparison of `analysis.across`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.analysis import page
from featurestack.analysis.across import FEWEST_DATASETS, Comparison, compare
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.importance_across import ImportanceShares, importance_shares
from featurestack.analysis.jobs import MANIFEST, Manifest, dataset_words, jobs
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.runs import Problem
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import words
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import as_csv
from featurestack.results.config import digest
from featurestack.results.random_effects import FEWEST_TO_PREDICT
from featurestack.storage.files import replace_file

PANELS = 12  # feature sets in the first figure of gains
CHOICES = ("dataset", "model", "base")  # options that say what is compared


@dataclass(frozen=True, eq=False)
class Overview:
    """The page over all datasets and what it compares; `comparison` is None if fewer
    than three can be.
    """

    page: Path
    headline: str
    problems: Sequence[Problem]
    comparison: Comparison | None = None
    fresh: bool = True

    @property
    def gains(self) -> pd.DataFrame:
        """tables/gains.csv; without a comparison it has no rows."""
        return self._table("gains")

    @property
    def pooled(self) -> pd.DataFrame:
        """tables/pooled.csv; without a comparison it has no rows."""
        return self._table("pooled")

    def _table(self, name: str) -> pd.DataFrame:
        file = self.page.parent / "tables" / f"{name}.csv"
        return pd.read_csv(file) if file.is_file() else pd.DataFrame()


def read_entries(reports: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The facts of every report that has a manifest, by dataset, and the hashes of
    their inputs.
    """
    facts = {}
    inputs = []
    for file in sorted(reports.glob(f"*/{MANIFEST}")):
        content = Manifest(file.parent).content
        of_report = content.get("printed", {}).get("facts")
        if of_report and (file.parent / "index.html").is_file():
            facts[file.parent.name] = of_report
            inputs.append(f"{file.parent.name} {content.get('inputs')}")
    return facts, inputs


def build_overview(options: AnalysisOptions) -> Overview:
    """Write reports/index.html: the entry to every report and, from three datasets on,
    their comparison.

    A command on one dataset repeats the comparison that the page has.
    """
    manifest = Manifest(options.reports)
    choices = {name: getattr(options, name) for name in CHOICES}
    if len(dataset_words(options)) == 1:
        choices = manifest.content.get("choices", choices)
    entries, inputs_of_reports = read_entries(options.reports)
    inputs = digest([json.dumps(choices), *inputs_of_reports])
    target = options.reports / "index.html"
    if not options.overwrite and manifest.holds(inputs):
        printed = manifest.content["printed"]
        problems = [Problem(**problem) for problem in printed["problems"]]
        return Overview(target, printed["headline"], problems, fresh=False)

    known_figures = {} if options.overwrite else manifest.content.get("figures", {})
    writer = FigureWriter(options.reports, known_figures)
    compared = compare_entries(replace(options, name="", **choices), {*entries})
    comparison = compared.comparison
    files = {target.name}
    if comparison:
        submit_figures(writer, comparison, compared.shares)
        files |= write_tables(options.reports, comparison)
        writer.close()
        for figure in writer.saved.values():
            files |= {f"figures/{file.name}" for file in figure.files}
    headline = page.say(
        "across_headline", comparison, len(entries), compared.given, FEWEST_DATASETS
    )
    html = page.render(
        "across.html",
        headline=headline,
        entries=entries,
        compared=compared.given,
        fewest=FEWEST_DATASETS,
        fewest_to_predict=FEWEST_TO_PREDICT,
        c=comparison,
        shares=compared.shares,
        problems=compared.problems,
        figures=writer.saved,
        command=make_command("analysis", *words(replace(options, name="", **choices))),
        **page.imprint(),
    )
    replace_file(target, html)
    manifest.replace(
        files,
        inputs=inputs,
        choices=choices,
        figures={stem: figure.digest for stem, figure in writer.saved.items()},
        printed={
            "headline": headline,
            "problems": [asdict(problem) for problem in compared.problems],
        },
    )
    return Overview(target, headline, compared.problems, comparison)


@dataclass(frozen=True, eq=False)
class Compared:
    """The facts of the page about several datasets."""

    given: int  # datasets with runs and a report
    comparison: Comparison | None
    shares: ImportanceShares | None
    problems: Sequence[Problem]


def compare_entries(options: AnalysisOptions, entries: set[str]) -> Compared:
    """The comparison of the datasets that have runs and a report."""
    try:
        every = jobs(options)
    except RequestError as error:  # a dataset that was compared before is gone
        return Compared(0, None, None, [Problem(options.dataset, str(error))])
    given = [job for job in every if job.runs and job.dataset in entries]
    if len(given) < FEWEST_DATASETS:
        return Compared(len(given), None, None, [])
    comparison, problems = compare(given, options)
    shares = importance_shares(given, options) if comparison else None
    return Compared(len(given), comparison, shares, problems)


def write_tables(reports: Path, comparison: Comparison) -> set[str]:
    """Write gains.csv and pooled.csv; return their paths below `reports`."""
    tables: Mapping[str, pd.DataFrame] = {
        "tables/gains.csv": comparison.gains,
        "tables/pooled.csv": comparison.pooled,
    }
    (reports / "tables").mkdir(parents=True, exist_ok=True)
    for path, table in tables.items():
        replace_file(reports / path, as_csv(table), durable=False)
    return {*tables}


def submit_figures(
    writer: FigureWriter,
    comparison: Comparison,
    shares: ImportanceShares | None,
) -> None:
    """Submit the figures of the page; gains of the first PANELS feature sets and of the
    others are two figures.
    """
    order = comparison.joint["feature_set"]
    for stem, names in (
        ("across_gains", order[:PANELS]),
        ("across_more_gains", order[PANELS:]),
    ):
        if len(names):
            kept = comparison.gains["feature_set"].isin(names)
            writer.submit(
                "across_gains",
                stem,
                gains=comparison.gains[kept],
                pooled=comparison.pooled.set_index("feature_set").loc[names],
            )
    writer.submit("across_heat_map", gains=comparison.gains, joint=comparison.joint)
    if shares:
        writer.submit("across_shares", shares=shares.shares)
