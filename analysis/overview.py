"""reports/index.html: the entry to all reports, and the comparison of several datasets
that a room adds to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from featurestack.analysis import page
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import (
    MANIFEST,
    Manifest,
    ReportJob,
    dataset_words,
    jobs,
)
from featurestack.analysis.runs import Problem
from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import caller, make_command
from featurestack.commandline.tables import as_csv
from featurestack.results.config import digest
from featurestack.storage.files import replace_file

ACROSS = "across"  # the capability that compares datasets


@dataclass(frozen=True, eq=False)
class ComparedDatasets:
    """Additions of a comparison of several datasets to the page."""

    headline: str
    leads: Mapping[str, str] = field(default_factory=dict)  # heading -> sentences
    templates: Mapping[str, str] = field(default_factory=dict)  # id -> word in the menu
    values: Mapping[str, object] = field(default_factory=dict)  # the templates' values
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, eq=False)
class Overview:
    """The entry page to all reports.

    `fresh` is False if the page already existed and nothing had changed
    """

    page: Path
    headline: str
    problems: Sequence[Problem]
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


def across() -> ModuleType | None:
    """The module that compares datasets, if its room is here."""
    if ACROSS not in rooms.names("capabilities"):
        return None
    module: ModuleType = rooms.load("capabilities", ACROSS)
    return module


def check_choices(datasets: Sequence[ReportJob], options: AnalysisOptions) -> None:
    """RequestError if the options choose a comparison that these datasets lack; that
    of a command on one dataset is of all.
    """
    module = across()
    if module and module.choices(options) != module.choices(AnalysisOptions()):
        if len(dataset_words(options)) == 1:
            datasets = jobs(replace(options, dataset="", name=""))
        module.check(datasets, options)


def choices_of(
    options: AnalysisOptions,
    manifest: Manifest,
    module: ModuleType | None,
) -> dict[str, str]:
    """The choices for the comparison, by NAME.

    A command on one dataset repeats the page's comparison with the choices of this
    command; where the page has none, all datasets are compared.
    """
    chosen = module.choices(options) if module else {}
    if len(dataset_words(options)) != 1:
        return {"dataset": options.dataset} | chosen
    if "choices" not in manifest.content:
        return {"dataset": ""} | chosen
    standard = module.choices(AnalysisOptions()) if module else {}
    changed = {name: value for name, value in chosen.items() if value != standard[name]}
    choices: dict[str, str] = manifest.content["choices"] | changed
    return choices


def build_overview(options: AnalysisOptions) -> Overview:
    """Write reports/index.html: the entry to every report and the comparison of their
    datasets.
    """
    manifest = Manifest(options.reports)
    module = across()
    choices = choices_of(options, manifest, module)
    entries, inputs_of_reports = read_entries(options.reports)
    # the page says what to type as its caller does
    inputs = digest([caller(), json.dumps(choices), *inputs_of_reports])
    target = options.reports / "index.html"
    compared_options = replace(options, name="", dataset=choices["dataset"])
    if not options.overwrite and manifest.holds(inputs):
        printed = manifest.content["printed"]
        problems = [Problem(**problem) for problem in printed["problems"]]
        return Overview(target, printed["headline"], problems, fresh=False)

    known_figures = {} if options.overwrite else manifest.content.get("figures", {})
    writer = FigureWriter(options.reports, known_figures)
    compared = ComparedDatasets(counted(len(entries), "report"))
    if module:
        given, problem = compared_jobs(compared_options, {*entries})
        compared = module.compare_reports(
            given, compared_options, choices, writer, len(entries)
        )
        compared = replace(compared, problems=[*problem, *compared.problems])
    writer.close()
    tables = write_overview_tables(options.reports, compared.tables)
    given_words = [*option_words(compared_options), *words_of(choices)]
    html = page.render(
        "reports.html",
        headline=compared.headline,
        entries=entries,
        compared=compared,
        figures=writer.saved,
        command=make_command("analysis", *given_words),
        **compared.values,
        **page.imprint(),
    )
    replace_file(target, html)
    manifest.replace(
        {target.name, *tables, *writer.files},
        inputs=inputs,
        choices=choices,
        figures=writer.digests,
        printed={
            "headline": compared.headline,
            "problems": [asdict(problem) for problem in compared.problems],
        },
    )
    return Overview(target, compared.headline, compared.problems)


def words_of(choices: Mapping[str, str]) -> list[str]:
    """NAME=value of what the room has chosen."""
    return [
        f"{name.upper()}={value}"
        for name, value in choices.items()
        if value and name != "dataset"
    ]


def compared_jobs(
    options: AnalysisOptions,
    entries: set[str],
) -> tuple[list[ReportJob], list[Problem]]:
    """The datasets that have runs and a report, and a problem if one of DATASET is
    gone.
    """
    try:
        every = jobs(options)
    except RequestError as error:  # a dataset that was compared before is gone
        return [], [Problem(options.dataset, str(error))]
    return [job for job in every if job.runs and job.dataset in entries], []


def write_overview_tables(
    reports: Path, tables: Mapping[str, pd.DataFrame]
) -> list[str]:
    """Write the comparison's tables; return their paths below `reports`."""
    if tables:
        (reports / "tables").mkdir(parents=True, exist_ok=True)
    paths = {f"tables/{name}.csv": table for name, table in tables.items()}
    for path, table in paths.items():
        replace_file(reports / path, as_csv(table), durable=False)
    return [*paths]
