"""reports/index.html: the list of all reports."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestack.analysis import page
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import SUMMARY, read_summary
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import tell
from featurestack.storage.own_files import OwnFiles

PAGE = "index.html"
RECORD = ".reports.json"  # of the page alone: each report has its own


@dataclass(frozen=True, eq=False)
class Overview:
    """The list of all reports."""

    page: Path
    headline: str


def read_entries(reports: Path) -> dict[str, dict[str, Any]]:
    """The facts of every report by dataset; None for a fact that is not known."""
    facts: dict[str, dict[str, Any]] = {}
    for file in sorted(reports.glob(f"*/{SUMMARY}")):
        of_report = read_summary(file.parent).get("printed", {}).get("facts")
        if of_report:
            facts[file.parent.name] = defaultdict(lambda: None, of_report)
    return facts


def build_overview(options: AnalysisOptions) -> Overview:
    """Write reports/index.html."""
    entries = read_entries(options.reports)
    headline = counted(len(entries), "report")
    command = make_command("analysis", *option_words(options, ("data", "runs")))
    html = page.render(
        "reports.html", headline=headline, entries=entries, command=command
    )
    own = OwnFiles(options.reports, RECORD)
    own.write({PAGE: html})
    for name in own.remove_others():
        tell(f"{options.reports / name}: kept, it is not as analysis wrote it")
    return Overview(options.reports / PAGE, headline)
