"""`fs.events(...)` and `fs.detections(...)`."""

from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError
from featurestack.commandline.functions import command, options_from
from featurestack.predict.options import PredictOptions
from featurestack.sound_events.options import EventsCommand

if TYPE_CHECKING:
    import pandas as pd


@command
def events(
    audio: Path | str,
    tables: Path | str,
    *,
    column: str = "",
    label: str = "",
    data: Path | str = "data",
    empty: bool = False,
    name: str = "",
    quiet: bool = False,
) -> Path:
    """`make events`: a dataset of recordings with annotated events.

    Parameters
    ----------
    audio : path
        Recordings: a folder, or one file.
    tables : path
        Annotation tables of Raven or Audacity, or CSV.

    Other Parameters
    ----------------
    The options of `make events`, explained by `featurestack help events`.

    Returns
    -------
    Path
        The dataset's CSV.

    Examples
    --------
    ::

        fs.clips(fs.events("recordings", "labels"))
    """
    from featurestack.sound_events.dataset import csv_path, make_events

    options = options_from(EventsCommand, locals())
    make_events(options)
    return csv_path(options)


@command
def detections(
    audio: Path | str | None = None,
    *,
    column: str = "",
    label: str = "",
    tables: Path | str | None = None,
    check: int = 0,
    checked: Path | str | None = None,
    promise: float = 0.9,
    reports: Path | str = "reports",
    data: Path | str = "data",
    runs: Path | str = "runs",
    run: str = "last",
    device: str = "cpu",
    threads: str = "auto",
    dataset: str = "",
    gate: float | None = None,
    reject: float = 0.0,
    channel: int | None = None,
    hop: float = 0.0,
    threshold: str = "",
    out: Path | str | None = None,
    quiet: bool = False,
) -> "pd.DataFrame":
    """`make predict` by a run of events: detections in recordings. The command's files
    are written too; if `tables` is given, scores.csv is among them.

    Parameters
    ----------
    audio : path
        A recording, or a folder of them.

    Other Parameters
    ----------------
    The options of `make predict`, explained by `featurestack help predict`.

    Returns
    -------
    DataFrame
        file, start, end, label, score.

    Examples
    --------
    ::

        fs.detections("recordings", run="last", tables="labels")
    """
    from featurestack.pipeline.datasets.layouts import find_recordings
    from featurestack.predict.model import Model
    from featurestack.sound_events.predict import find_detections

    options = options_from(PredictOptions, locals())
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
