"""`make events`, `fs.events(...)` and `fs.detections(...)`."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.interface import takes
from featurestack.rooms.events.options import EventsCommand
from featurestack.train.options import PredictOptions

if TYPE_CHECKING:
    import pandas as pd


def make_events(options: EventsCommand) -> int:
    """Make a dataset of recordings from annotation tables, trained and scored by the
    frame.
    """
    from featurestack.rooms.events.dataset import run

    return run(options)


@takes(EventsCommand, "audio", "tables")
def events(options: EventsCommand) -> Path:
    """`make events`: a dataset of recordings with annotated events.

    It returns the path of the dataset's CSV.

        fs.clips(fs.events("recordings", "labels"))
    """
    from featurestack.rooms.events.dataset import csv_path, run

    if run(options):
        warnings.warn(
            "some recordings could not be read, they are named above", stacklevel=3
        )
    return csv_path(options)


@takes(PredictOptions, "audio")
def detections(options: PredictOptions) -> "pd.DataFrame":
    """`make predict` by a run of events: a row for each detection in the recordings.

    Columns: file, start, end, label, score, low, high, time. The command's files are
    written too; if `tables` is given, scores.csv is among them.

        fs.detections("recordings", run="last", tables="labels")
    """
    from featurestack.pipeline.datasets.layouts import find_recordings
    from featurestack.rooms.events.own_files import OwnFiles
    from featurestack.rooms.events.predict import RECORD, predict_recordings
    from featurestack.rooms.events.tables import read_detections
    from featurestack.train.audio_model import AudioModel

    if options.audio is None:
        raise RequestError("give audio=, a recording or a folder of them")
    model = AudioModel.open(options, options.threshold)
    if model.task.name != "events":
        raise RequestError(
            f"{model.config.dataset} is a dataset of clips: detections are found by a"
            " run on a dataset of fs.events()"
        )
    recordings = find_recordings(options.audio)
    predict_recordings(options, model, recordings)
    folder = options.out or options.reports / model.config.dataset
    own = OwnFiles(folder, RECORD)
    return read_detections(folder / own.free_name("detections.csv"))
