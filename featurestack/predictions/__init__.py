"""Predictions of any program as runs of the project, and `fs.compare`."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    adds={
        "options": {"AnalysisOptions": ".options:PredictionsOptions"},
        "functions": {"compare": ".functions:compare"},
    }
)
