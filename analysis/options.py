"""Options of `make analysis`."""

from typing import TYPE_CHECKING

from featurestack.commandline.options import (
    DatasetOptions,
    Extensible,
    Options,
    ReportsOptions,
    RunsOptions,
    option,
)

if TYPE_CHECKING:
    from featurestack.analysis.figures import FigureWriter
    from featurestack.analysis.findings import Findings
    from featurestack.features_cache.cache import Cache


class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions, Extensible):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = option(
        "",
        "the dataset to report on; without it, every dataset that has runs or a cache",
    )
    run: tuple[str, ...] = option(
        (),
        "only these runs, in a report of their own: each a name, a path, a unique"
        " prefix or last",
    )
    of_rooms: tuple["AnalysisAddition", ...] = ()

    def prepared(self) -> "AnalysisOptions":
        """The options of the report, after rooms have written runs."""
        options = self
        for added in self.of_rooms:
            options = added.prepared(options)
        return options


class AnalysisAddition(Options):
    """Options that a room adds to those of `make analysis`, and what they do."""

    @property
    def for_print(self) -> bool:
        """Whether figures are written as PDF and PNG too."""
        return False

    def write_documents(
        self, found: "Findings", writer: "FigureWriter", cache: "Cache | None"
    ) -> str:
        """Write further files of the report, and return the methods for its page."""
        return ""

    def prepared(self, options: AnalysisOptions) -> AnalysisOptions:
        """The options of the report; runs may be written before it."""
        return options
