"""Archives in ESC-50's layout, made in memory: real clips' names, folds and lengths, silent sound.

The clips are FLAC inside, a kilobyte each, so that 2,000 of them are made and unpacked in a second;
what is checked of a clip (it opens, its rate, its number of samples) is the same.
"""

import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from pipeline.datasets import download, esc50
from pipeline.datasets.esc50 import Contents
from pipeline.datasets.readers import ESC50_CATEGORIES as CLASSES

SMALL = Contents(clips=20, classes=2, folds=5, sample_rate=44_100, samples=220_500)
TOP = "ESC-50-master"
HEADER = "filename,fold,target,category,esc10,src_file,take"


@cache
def silent_clip(samples: int = 220_500, rate: int = 44_100) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(samples, np.int16), rate, format="FLAC")
    return buffer.getvalue()


def rows(classes: int = 2, folds: int = 5, each: int = 2) -> list[tuple[str, int, int, str, bool, int, str]]:
    """ESC-50's table with `each` clips of every class in every fold, of one source recording each."""
    listed = []
    for target, label in enumerate(list(CLASSES)[:classes]):
        for fold in range(1, folds + 1):
            for number in range(each):
                source = 100_000 + 1000 * target + 100 * fold + number
                name = f"{fold}-{source}-A-{target}.wav"
                listed.append((name, fold, target, label, target < classes // 2, source, "A"))
    return listed


def files(listed: list[tuple[str, int, int, str, bool, int, str]], top: str = TOP) -> dict[str, bytes]:
    """What the archive holds, by path."""
    table = "\n".join([HEADER, *(",".join(map(str, row)) for row in listed)]) + "\n"
    sounds = {f"{top}/audio/{row[0]}": silent_clip() for row in listed}
    return {f"{top}/meta/esc50.csv": table.encode(), f"{top}/LICENSE": b"CC BY-NC", **sounds}


def zipped(content: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@cache
def small_archive() -> bytes:
    return zipped(files(rows()))


FIRST = rows()[0][0]


def obtain(data: Path, **where: object) -> Path:
    return esc50.obtain(data, contents=SMALL, **where)


def nothing_unpacked(data: Path) -> bool:
    return not [
        path for path in (data / "esc50").glob("*") if path.name != download.PartialFile(path).path.name
    ]


def check_installed(folder: Path) -> None:
    assert not list(esc50.faults(folder, SMALL))
    assert (folder / "LICENSE").is_file()
    assert {path.name for path in folder.iterdir()} == {"audio", "meta", "LICENSE", ".making.lock"}
