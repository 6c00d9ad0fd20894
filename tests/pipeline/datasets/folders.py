"""Small folders of sounds, as users have them."""

from pathlib import Path

import numpy as np
import soundfile


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


def esc_layout(
    folder: Path, rows: list[str], header: str = "filename,fold,target,category,src_file,take"
) -> Path:
    for row in rows:
        write(folder / "audio" / row.split(",")[0])
    (folder / "meta").mkdir(exist_ok=True)
    (folder / "meta" / "any name.csv").write_text("\n".join([header, *rows]))
    return folder


def csv(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)
