"""A folder in ESC-50's layout: `audio/` and one `meta/*.csv` with ESC-50's columns."""

from pathlib import Path

import pandas as pd

from commandline import RequestError
from pipeline.datasets import ids
from pipeline.datasets.categories import categories_of
from pipeline.datasets.csv_text import read_csv, sound_path, whole_folds
from pipeline.datasets.dataset import Source

COLUMNS = ("filename", "fold", "category", "src_file")  # those that are used; `category` holds the class
SAMPLE_RATE, DURATION = 44_100, 5.0  # Hz, seconds


def is_layout(folder: Path, audio_dir: Path | None = None) -> bool:
    """Whether a folder looks like ESC-50's: a table in meta/, and sounds in audio/ or elsewhere."""
    return (audio_dir or folder / "audio").is_dir() and any((folder / "meta").glob("*.csv"))


def read(folder: Path, audio_dir: Path | None = None) -> Source:
    """Its clips; official folds stand, groups are the source recordings."""
    frame = read_csv(metadata(folder))
    return Source(clips(frame, audio_dir or folder / "audio"), SAMPLE_RATE, DURATION, columns=frame)


def metadata(folder: Path) -> Path:
    """The one table in meta/ that has ESC-50's columns."""
    found = sorted(
        path
        for path in (folder / "meta").glob("*.csv")
        if set(COLUMNS) <= set(read_csv(path, rows=0).columns)
    )
    if len(found) == 1:
        return found[0]
    expected = f"one CSV with the columns {', '.join(COLUMNS)}"
    listed = ", ".join(path.name for path in found) or "none"
    raise RequestError(
        f"{folder / 'meta'} holds {listed}; expected {expected}: name one as DATASET=…csv with AUDIO_DIR="
    )


def clips(frame: pd.DataFrame, audio: Path) -> pd.DataFrame:
    """The clip table of rows in ESC-50's columns."""
    return pd.DataFrame(
        {
            "clip_id": ids.by_name(frame["filename"].tolist()),
            "path": [sound_path(audio, name) for name in frame["filename"]],
            "label": frame["category"],
            "category": categories_of(frame["category"].tolist()),
            "fold": whole_folds(frame),
            "group": frame["src_file"],
            "copy_of": "",
            "alteration": "",
        }
    )
