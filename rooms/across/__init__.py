"""The page across datasets: the gains of feature sets over a base."""

from pathlib import Path

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(templates=Path(__file__).parent / "templates")
FIGURES = ("across_gains", "across_heat_map")


@ROOM.options("AnalysisOptions")
def load_options() -> Loaded:
    from featurestack.rooms.across.options import AcrossOptions

    return (AcrossOptions,)


@ROOM.capabilities("across")
def load_page() -> Loaded:
    from featurestack.rooms.across import page

    return (page,)


@ROOM.figures(*FIGURES)
def load_figures() -> Loaded:
    from featurestack.analysis.figures import drawing
    from featurestack.rooms.across import figures  # noqa: F401

    return [drawing.FIGURES[name] for name in FIGURES]
