"""`make events`, `fs.events(...)`, `fs.detections(...)` and `fs.event_scores(...)`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.interface import takes
from featurestack.rooms.events.options import DetectionOptions, EventsCommand

if TYPE_CHECKING:
    import pandas as pd


@takes(EventsCommand, "audio", "tables")
def events(options: EventsCommand) -> Path:
    """`make events`: a dataset of recordings with annotated events.

    It returns the path of the dataset's CSV.

        fs.clips(fs.events("recordings", "labels"))
    """
    from featurestack.rooms.events.dataset import csv_path, make_events

    make_events(options)
    return csv_path(options)


@takes(DetectionOptions, "audio")
def detections(options: DetectionOptions) -> "pd.DataFrame":
    """`make predict` by a run of events: a row for each detection in the recordings.

    Columns: file, start, end, label, score, time. The command's files are
    written too; if `tables` is given, scores.csv is among them.

        fs.detections("recordings", run="last", tables="labels")
    """
    from featurestack.pipeline.datasets.layouts import find_recordings
    from featurestack.predict.predictor import Predictor
    from featurestack.rooms.events.predict import find_detections

    if options.audio is None:
        raise RequestError("give audio=, a recording or a folder of them")
    model = Predictor.open(options, clips=False)
    if model.task.name != "events":
        raise RequestError(
            f"{model.config.dataset} is a dataset of clips: detections are found by a"
            " run on a dataset of fs.events()"
        )
    table, _ = find_detections(options, model, find_recordings(options.audio))
    return table


def event_scores(
    events: "pd.DataFrame | Sequence[tuple[float, float]]",
    detections: "pd.DataFrame | Sequence[tuple[float, float]]",
    seconds: "Mapping[str, float] | float | None" = None,
) -> "pd.DataFrame":
    """Scores of detections against annotated events, one row per label and one for
    all: F1 at IoU 0.5 with its interval by recording, found, false alarms an hour,
    onset errors.

    events, detections  lists of (start, end) in seconds, or data frames with start,
                        end, and perhaps file and label
    seconds             the duration of the recording, or of each by file; by default
                        until the last end

        fs.event_scores([(0.5, 1.2), (3.0, 3.4)], [(0.6, 1.2)], seconds=10)
    """
    import pandas as pd

    from featurestack.rooms.events.frames import scores_of_tables

    tables = []
    for given in (events, detections):
        columns = None if hasattr(given, "columns") else ["start", "end"]
        table = pd.DataFrame(given, columns=columns)
        others = {"file": "recording", "label": "event"}
        tables.append(table.assign(**{n: table.get(n, others[n]) for n in others}))
    together = pd.concat(tables)
    if not isinstance(seconds, Mapping):
        last = together.groupby("file")["end"].max()
        seconds = {file: seconds or end for file, end in last.items()}
    classes = sorted(together["label"].unique())
    return scores_of_tables(tables[0], tables[1], seconds, classes)
