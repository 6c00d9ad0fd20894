"""events.csv of a dataset of recordings, which `make events` writes: file (absolute),
start, end, label.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import make_command
from featurestack.features_cache import Cache
from featurestack.rooms.events import EVENT_COLUMNS

EVENTS_FILE = "events.csv"


def way_of_annotations(recordings: Path, tables: Path) -> str:
    """The command that makes a dataset of annotation tables, with a reason."""
    command = make_command("events", f"AUDIO={recordings}", f"TABLES={tables}")
    return f"a table of events for each recording: {command}"


def read_dataset_events(cache: Cache) -> pd.DataFrame:
    """EVENT_COLUMNS of events.csv; RequestError if it is missing or damaged."""
    from featurestack.results.run_folder import damage_named

    file = Path(cache.source).with_name(EVENTS_FILE)
    with damage_named(file, "make events writes it again"):
        events = pd.read_csv(
            file, dtype={"file": str, "label": str}, keep_default_na=False
        )
        if tuple(events) != EVENT_COLUMNS:
            raise ValueError(f"expected the columns {', '.join(EVENT_COLUMNS)}")
        for column in ("start", "end"):
            events[column] = pd.to_numeric(events[column])
        times = events[["start", "end"]].to_numpy(float)
        if not (np.isfinite(times).all() and (times[:, 0] <= times[:, 1]).all()):
            raise ValueError("an event ends before it begins, or has no time")
    return events
