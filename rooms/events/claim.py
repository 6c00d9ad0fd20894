"""A dataset of `make events` is recognised by its events.csv (`events.events_file`)."""

from pathlib import Path

EVENTS_FILE = "events.csv"
COLUMNS = ("file", "start", "end", "label", "low", "high")


def has_events(source: str) -> bool:
    """Whether a dataset of this source was made by `make events`."""
    file = Path(source).with_name(EVENTS_FILE)
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().strip() == ",".join(COLUMNS)
