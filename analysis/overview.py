"""reports/index.html: the list of all reports."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestack.analysis import page
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import MANIFEST, Manifest
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import caller, make_command
from featurestack.results.config import digest
from featurestack.storage.files import replace_file


@dataclass(frozen=True, eq=False)
class Overview:
    """The list of all reports; not `fresh` if nothing had changed."""

    page: Path
    headline: str
    fresh: bool = True


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


def build_overview(options: AnalysisOptions) -> Overview:
    """Write reports/index.html, unless every report is as it was."""
    manifest = Manifest(options.reports)
    entries, inputs_of_reports = read_entries(options.reports)
    # the page says what to type as its caller does
    inputs = digest([caller(), *inputs_of_reports])
    target = options.reports / "index.html"
    headline = counted(len(entries), "report")
    if not options.overwrite and manifest.holds(inputs):
        return Overview(target, headline, fresh=False)
    command = make_command("analysis", *option_words(options, ("data", "runs")))
    html = page.render(
        "reports.html", headline=headline, entries=entries, command=command
    )
    replace_file(target, html)
    manifest.replace({target.name}, inputs=inputs)
    return Overview(target, headline)
