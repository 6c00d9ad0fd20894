"""Detections of each model: the steps behind events.csv and checks.csv.

SOUNDS holds finch, and esc50_16k for the noise.
"""

import tempfile
from pathlib import Path

import pandas as pd

from bench import checks as made_checks
from bench.new_place import NewPlaceOptions
from bench.noisy_hour import train_on_every_other_minute
from docs.made_tables import MAKERS, Folders
from featurestack.results.run_folder import RunFolder, find
from featurestack.rooms.events.scores import ALL
from featurestack.rooms.events.tested import read_tested

# columns of events.csv -> those of `score_table`
COLUMNS = {
    "f1": "f1",
    "f1_low": "low",
    "f1_high": "high",
    "f1_at_0_3": "f1_iou_0.3",
    "f1_at_0_7": "f1_iou_0.7",
    "found": "found",
    "false_alarms": "false_alarms",
    "wrong_names": "wrong_names",
    "onset_ms": "onset_ms",
}
MODELS = {"frames": "frames", "linear": "linear_frames"}  # row -> MODEL


def row_of(name: str, run: RunFolder) -> dict[str, object]:
    """The run's scores on its tested recordings."""
    scores = read_tested(run).scores().loc[ALL]
    values = {column: float(scores[own]) for column, own in COLUMNS.items()}
    folds = len(run.finished)
    return {"model": name, **values, "folds": folds, "seconds": run.config.seconds}


@MAKERS.register()
def events(folders: Folders) -> pd.DataFrame:
    """Syllables of a finch by each model; and by `frames` in an hour of noise, where
    each half of the minutes is tested by the model of the other.
    """
    finch = folders.sounds / "finch"
    table = folders.out / "data" / "finch" / "finch.csv"
    if not table.is_file():
        places = [f"AUDIO={finch / 'audio'}", f"TABLES={finch / 'events.csv'}"]
        folders.run("pipeline events", *places, "NAME=finch")
    given = [f"DATASET={table}", "FEATURES=mel"]
    folders.run("pipeline features", *given)
    rows = []
    for name, model in MODELS.items():
        words = [*given, f"MODEL={model}", "THREADS=1", "DEVICE=cpu"]
        folders.run("train run", *words)
        (run,) = [
            run
            for run in find(folders.out / "runs", "finch")
            if run.training.model == model
        ]
        rows.append(row_of(name, run))
    hour = NewPlaceOptions(
        recordings=finch / "audio",
        tables=finch / "audacity",
        noise=folders.sounds / "esc50_16k" / "audio",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = train_on_every_other_minute(hour, Path(folder))
        rows.append(row_of("frames, an hour in noise", run))
    return pd.DataFrame(rows)


@MAKERS.register()
def checks(folders: Folders) -> pd.DataFrame:
    """How often the intervals of `predict CHECKED=` hold the precision of made
    studies.
    """
    return made_checks.measure(made_checks.ChecksOptions())
