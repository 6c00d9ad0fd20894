"""A dataset of `make events` is recognised by its events.csv (`events.events_file`)."""

from pathlib import Path

from featurestack.commandline.spelling import make_command

EVENTS_FILE = "events.csv"
COLUMNS = ("file", "start", "end", "label", "low", "high")


def has_events(source: str) -> bool:
    """Whether a dataset of this source was made by `make events`."""
    file = Path(source).with_name(EVENTS_FILE)
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().strip() == ",".join(COLUMNS)


def way_of_annotations(recordings: Path, tables: Path) -> str:
    """The command that makes a dataset of annotation tables, with a reason."""
    command = make_command("events", f"AUDIO={recordings}", f"TABLES={tables}")
    return f"a table of events for each recording: {command}"
