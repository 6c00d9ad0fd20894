"""events.csv of a dataset of recordings, which `make events` writes: file (absolute),
start, end, label.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import make_command
from featurestack.features_cache import Cache

EVENTS_FILE = "events.csv"
EVENT_COLUMNS = ("file", "start", "end", "label")


def has_events(source: str) -> bool:
    """Whether a dataset of this source was made by `make events`."""
    file = Path(source).with_name(EVENTS_FILE)
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().strip() == ",".join(EVENT_COLUMNS)


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
