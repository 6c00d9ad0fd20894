"""Reports on tables of predictions of any program, and `fs.compare`."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room()


@ROOM.options("AnalysisOptions.predictions")
def load_options() -> Sequence[Any]:
    from featurestack.rooms.predictions.options import PredictionsOptions

    return (PredictionsOptions,)


@ROOM.functions("analyse", "compare")
def load_functions() -> Sequence[Any]:
    from featurestack.rooms.predictions.compare import compare
    from featurestack.rooms.predictions.report import analyse

    return analyse, compare


@ROOM.capabilities("predictions")
def load_jobs() -> Sequence[Any]:
    from featurestack.rooms.predictions.report import jobs

    return (jobs,)
