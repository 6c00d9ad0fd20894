"""Options of `python -m analysis`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from featurestack.commandline.options import (
    SEED,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)


class AnalysisOptions(DatasetOptions, RunsOptions, ReportsOptions):
    """Tables, figures and the HTML report, from the run folders and the cache."""

    dataset: str = option(
        "",
        "the dataset to report on, or several separated by blanks; without it, every"
        " dataset that has runs or a cache",
    )
    run: tuple[str, ...] = option(
        (),
        "only these runs, in a report of their own: each a name, a path, a unique"
        " prefix or last",
    )
    ensemble: tuple[str, ...] = option(
        (),
        "write the ensemble of these runs, the mean of their probabilities, as a run of"
        " its own, then report",
    )
    confusion: Literal["counts", "rates"] = option(
        "counts",
        "cells of the confusion matrices in tables/ and figures/: counts, or shares of"
        " the row",
    )
    figures: int = option(
        3,
        "show the settings, figures and classes of this many runs, the best first;"
        " the page's tables have all",
        least=0,
    )
    audio_mb: float = option(
        1, "most MB of clips' audio in the page; other clips are linked", least=0
    )
    seed: int = option(
        0, "seed that draws the clips that the data section summarises", **SEED
    )
    overwrite: bool = option(
        False, "make the report and its figures anew, even if nothing changed"
    )

    # options on which the page depends; a room's class has its own
    of_page: ClassVar[tuple[str, ...]] = (
        *("run", "confusion", "figures", "audio_mb", "seed"),
    )

    @property
    def page_options(self) -> list[str]:
        """The options on which the page depends, those of rooms too."""
        names: dict[str, None] = {}
        for kind in type(self).__mro__:
            names |= dict.fromkeys(kind.__dict__.get("of_page", ()))
        return [*names]

    @property
    def for_papers(self) -> bool:
        """Whether a room writes files for papers."""
        return False

    def write_paper(
        self,
        folder: Path,
        found: Any,
        figures: Sequence[Any],
        cache: Any,
    ) -> tuple[str, set[str]]:
        """A paragraph on methods, and the paths of a room's files for papers; the
        arguments are a report's folder, `Findings`, `SavedFigure`s and `Cache`.
        """
        return "", set()
