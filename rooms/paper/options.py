"""The option PAPER."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

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

    @property
    def for_papers(self) -> bool:
        return self.paper

    def write_paper(
        self,
        folder: Path,
        found: Any,
        figures: Sequence[Any],
        cache: Any,
    ) -> tuple[str, set[str]]:
        if not (self.paper and found.runs):
            return "", set()
        from featurestack.rooms.paper.latex import methods_text, write_document

        methods = methods_text(found, cache)
        return methods, write_document(folder, found, figures, methods)
