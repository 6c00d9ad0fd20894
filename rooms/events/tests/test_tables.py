"""Tables of detections read back the same, whatever the names are."""

import numpy as np
import pandas as pd
import pytest

from featurestack.rooms.events.annotations import EVENT_COLUMNS, read_events
from featurestack.rooms.events.tables import read_detections, write_detections

NAMES = ("-12dB.wav", "=a.wav", "deep/@b.wav", "+c.wav")
LABELS = ("+call", "-trill", "=song", "@x")


def write(folder, names, labels):
    """One detection in each recording."""
    start = 0.5 + np.arange(len(names))
    detections = pd.DataFrame(
        {
            "file": names,
            "start": start,
            "end": start + 0.25,
            "label": labels,
            "score": 0.75,
            "low": np.nan,
            "high": 2000.0,
        }
    )
    files = {name: folder / "in" / name for name in names}
    seconds = dict.fromkeys(names, 10.0)
    write_detections(detections, files, seconds, 4000.0, folder)
    return detections, seconds


def test_names_that_a_spreadsheet_would_compute_read_back_the_same(tmp_path):
    detections, seconds = write(tmp_path, NAMES, LABELS)
    pd.testing.assert_frame_equal(
        read_detections(tmp_path / "detections.csv"), detections
    )
    events = detections.sort_values("file")[EVENT_COLUMNS].to_numpy().tolist()
    tables = "detections.csv", "detections.selections.txt", "detections.tsv", "raven"
    for table in tables:
        read = read_events(tmp_path / table, seconds).events[EVENT_COLUMNS]
        assert read.to_numpy().tolist() == events, table


@pytest.mark.parametrize("letter", ["n", "é"])
def test_a_name_as_long_as_a_file_system_takes_has_a_raven_table(tmp_path, letter):
    longest = letter * (250 // len(letter.encode()))
    names = [f"{longest}.wav", f"{longest[:-1]}m.wav", "a.wav"]
    detections, seconds = write(tmp_path, names, LABELS[:3])
    raven = tmp_path / "raven"
    assert len([*raven.iterdir()]) == 3
    assert (raven / "a.wav.Table.1.selections.txt").is_file()
    read = read_events(raven, seconds).events[EVENT_COLUMNS]
    events = detections.sort_values("file")[EVENT_COLUMNS].to_numpy().tolist()
    assert read.to_numpy().tolist() == events
