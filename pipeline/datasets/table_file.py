"""A CSV of clips: ESC-50's columns, or `filename,label` with optional `fold`, `group`, `category`."""

from pathlib import Path

import pandas as pd

from commandline import RequestError
from pipeline.datasets import esc_layout, ids
from pipeline.datasets.categories import categories_of
from pipeline.datasets.csv_text import read_csv, sound_path, whole_folds
from pipeline.datasets.dataset import Source


def read(path: Path, audio_dir: Path | None = None) -> Source:
    """Its clips; file names are absolute, or relative to `audio_dir` or else to the CSV."""
    frame = read_csv(path)
    if not len(frame):
        raise RequestError(f"{path} lists no clip")
    audio = audio_dir or path.parent
    if set(esc_layout.COLUMNS) <= set(frame.columns) and "label" not in frame.columns:
        return Source(esc_layout.clips(frame, audio), columns=frame)
    missing = [column for column in ("filename", "label") if column not in frame.columns]
    if missing:
        raise RequestError(
            f"{path} has the columns {', '.join(frame.columns)}; expected filename,label "
            f"(and, as you like, fold, group, category) or ESC-50's {','.join(esc_layout.COLUMNS)}"
        )
    if (frame["label"] == "").any():
        raise RequestError(f"{path}: {frame.loc[frame['label'] == '', 'filename'].iloc[0]} has no label")
    return Source(_clips(frame, audio), columns=frame)


def _clips(frame: pd.DataFrame, audio: Path) -> pd.DataFrame:
    given = frame.columns
    labels = frame["label"].tolist()
    return pd.DataFrame(
        {
            "clip_id": ids.by_name(frame["filename"].tolist()),
            "path": [sound_path(audio, name) for name in frame["filename"]],
            "label": labels,
            "category": frame["category"] if "category" in given else categories_of(labels),
            "fold": whole_folds(frame) if "fold" in given else 0,
            "group": frame["group"] if "group" in given else "",
            "copy_of": "",
            "alteration": "",
        }
    )
