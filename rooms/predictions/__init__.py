"""Predictions of any program as runs of the project, and `fs.compare`."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room()


@ROOM.options("AnalysisOptions.predictions")
def load_options() -> Loaded:
    from featurestack.rooms.predictions.options import PredictionsOptions

    return (PredictionsOptions,)


@ROOM.functions("compare")
def load_functions() -> Loaded:
    from featurestack.rooms.predictions.functions import compare

    return (compare,)
