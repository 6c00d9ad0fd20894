"""`fs.events(...)` and `fs.detections(...)`."""

from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.interface import takes
from featurestack.predict.options import PredictOptions
from featurestack.sound_events.options import EventsCommand

if TYPE_CHECKING:
    import pandas as pd


@takes(EventsCommand, "audio", "tables")
def events(options: EventsCommand) -> Path:
    """`make events`: a dataset of recordings with annotated events.

    It returns the path of the dataset's CSV.

        fs.clips(fs.events("recordings", "labels"))
    """
    from featurestack.sound_events.dataset import csv_path, make_events

    make_events(options)
    return csv_path(options)


@takes(PredictOptions, "audio")
def detections(options: PredictOptions) -> "pd.DataFrame":
    """`make predict` by a run of events: a row for each detection in the recordings.

    Columns: file, start, end, label, score. The command's files are written too; if
    `tables` is given, scores.csv is among them.

        fs.detections("recordings", run="last", tables="labels")
    """
    from featurestack.pipeline.datasets.layouts import find_recordings
    from featurestack.predict.model import Model
    from featurestack.sound_events.predict import find_detections

    if options.audio is None:
        raise RequestError("give audio=, a recording or a folder of them")
    model = Model.open(options)
    if model.task.name != "events":
        raise RequestError(
            f"{model.config.dataset} is a dataset of clips: detections are found by a"
            " run on a dataset of fs.events()"
        )
    table, _ = find_detections(options, model, find_recordings(options.audio))
    return table
