"""Reports on tables of predictions of any program, and `fs.compare`."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room()


@ROOM.options("AnalysisOptions.predictions")
def load_options() -> Loaded:
    from featurestack.rooms.predictions.options import PredictionsOptions

    return (PredictionsOptions,)


@ROOM.functions("analyse", "compare")
def load_functions() -> Loaded:
    from featurestack.rooms.predictions.compare import compare
    from featurestack.rooms.predictions.report import analyse

    return analyse, compare


@ROOM.capabilities("predictions")
def load_jobs() -> Loaded:
    from featurestack.rooms.predictions.report import jobs

    return (jobs,)
