"""reports/index.html: the entry to all reports, and a room's comparison."""

from collections import defaultdict
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
    write_tables,
)
from featurestack.analysis.runs import Problem
from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import caller, make_command
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
    """The entry page to all reports; not `fresh` if nothing had changed."""

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
    """The facts of every report by dataset, and the hashes of their inputs."""
    facts: dict[str, dict[str, Any]] = {}
    inputs = []
    for file in sorted(reports.glob(f"*/{MANIFEST}")):
        content = Manifest(file.parent).content
        of_report = content.get("printed", {}).get("facts")
        if of_report and (file.parent / "index.html").is_file():
            # None for a fact that is not known
            facts[file.parent.name] = defaultdict(lambda: None, of_report)
            inputs.append(f"{file.parent.name} {content.get('inputs')}")
    return facts, inputs


def across() -> ModuleType | None:
    """The module that compares datasets, if its room is here."""
    if ACROSS not in rooms.names("capabilities"):
        return None
    module: ModuleType = rooms.load("capabilities", ACROSS)
    return module


def of_page(options: AnalysisOptions) -> AnalysisOptions:
    """The options of the comparison: a command on one dataset compares all of them."""
    one = len(dataset_words(options)) == 1
    return replace(options, dataset="" if one else options.dataset, name="")


def check_choices(datasets: Sequence[ReportJob], options: AnalysisOptions) -> None:
    """RequestError for a comparison that the page's datasets lack."""
    module = across()
    if module and module.choices(options) != module.choices(AnalysisOptions()):
        if len(dataset_words(options)) == 1:
            datasets = jobs(of_page(options))
        module.check(datasets, options)


def build_overview(options: AnalysisOptions) -> Overview:
    """Write reports/index.html: every report, and their comparison."""
    manifest = Manifest(options.reports)
    module = across()
    options = of_page(options)
    entries, inputs_of_reports = read_entries(options.reports)
    choices = module.choices(options) if module else {}
    # the page says what to type as its caller does
    inputs = digest([caller(), options.dataset, choices, *inputs_of_reports])
    target = options.reports / "index.html"
    if not options.overwrite and manifest.holds(inputs):
        printed = manifest.content["printed"]
        problems = [Problem(**problem) for problem in printed["problems"]]
        return Overview(target, printed["headline"], problems, fresh=False)

    known_figures = {} if options.overwrite else manifest.content.get("figures", {})
    writer = FigureWriter(options.reports, known_figures)
    compared = ComparedDatasets(counted(len(entries), "report"))
    if module:
        every: list[ReportJob] = []
        gone = []
        try:
            every = jobs(options)
        except RequestError as error:  # a dataset that was compared before is gone
            gone = [Problem(options.dataset, str(error))]
        given = [job for job in every if job.runs and job.dataset in entries]
        compared = module.compare_reports(given, options, writer, len(entries))
        compared = replace(compared, problems=[*gone, *compared.problems])
    writer.close()
    tables = write_tables(options.reports, compared.tables)
    html = page.render(
        "reports.html",
        headline=compared.headline,
        entries=entries,
        compared=compared,
        figures=writer.saved,
        command=make_command("analysis", *option_words(options)),
        **compared.values,
    )
    replace_file(target, html)
    manifest.replace(
        {target.name, *tables, *writer.files},
        inputs=inputs,
        figures=writer.digests,
        printed={
            "headline": compared.headline,
            "problems": [asdict(problem) for problem in compared.problems],
        },
    )
    return Overview(target, compared.headline, compared.problems)
