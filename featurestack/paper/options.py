"""The option PAPER."""

from typing import TYPE_CHECKING

from featurestack.analysis.options import AnalysisAddition
from featurestack.commandline.options import option

if TYPE_CHECKING:
    from featurestack.analysis.figures import FigureWriter
    from featurestack.analysis.findings import Findings
    from featurestack.features_cache.cache import Cache


class PaperOptions(AnalysisAddition):
    """The files of a report for papers."""

    paper: bool = option(
        False,
        "write for papers too: figures as PDF and PNG, a LaTeX document, a methods"
        " paragraph",
    )

    @property
    def for_print(self) -> bool:
        return self.paper

    def write_documents(
        self, found: "Findings", writer: "FigureWriter", cache: "Cache | None"
    ) -> str:
        if not (self.paper and found.runs):
            return ""
        from featurestack.paper.latex import methods_text, write_document

        methods = methods_text(found, cache)
        write_document(writer.own, found, [*writer.saved.values()], methods)
        return methods
