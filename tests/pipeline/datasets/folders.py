"""Small folders of sounds, as users have them."""

from pathlib import Path

import numpy as np
import soundfile

from pipeline.datasets import Dataset, load
from pipeline.options import ExtractOptions


def dataset(where: Path | str, data: Path, **given: object) -> Dataset:
    """What a command gets for DATASET=where and these options; `data` is made in this folder."""
    return load(ExtractOptions(dataset=str(where), data=data / "data", **given))


def write(path: Path, seconds: float = 0.1, rate: int = 8_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * rate), 0.1), rate)
    return path


def class_folders(folder: Path, classes: str = "dog cat", each: int = 10, takes: str = "A") -> Path:
    for label in classes.split():
        for number in range(each):
            for take in takes:
                write(folder / label / f"{label}{number}-{take}.wav")
    return folder


def csv(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def esc_layout(folder: Path, rows: str) -> Path:
    """`rows` are `filename,fold,category,src_file`, separated by blanks."""
    for row in rows.split():
        write(folder / "audio" / row.split(",")[0])
    (folder / "meta").mkdir(exist_ok=True)
    csv(folder / "meta" / "any name.csv", "\n".join(["filename,fold,category,src_file", *rows.split()]))
    return folder
