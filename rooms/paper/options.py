"""The option PAPER."""

from typing import ClassVar

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.options import option


class PaperOptions(AnalysisOptions):
    """The files of a report for papers."""

    of_page: ClassVar[tuple[str, ...]] = ("paper",)
    paper: bool = option(
        False,
        "write for papers too: figures as PDF and PNG, a LaTeX document, a methods"
        " paragraph",
    )
