"""`predict DOUBTFUL=20`: the parts of recordings whose annotation would teach a model
most, to annotate next.

A part is a run of frames of one class, detected or not. Its margin is the distance
between its highest probability and the class's threshold (margin sampling, Scheffer et
al. 2001). The cuts lie in a folder of their own, which no command reads as recordings.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.layouts import NO_DATA
from featurestack.results.config import DetectionRule
from featurestack.rooms.events.frames import Frames, detect_all
from featurestack.rooms.events.tables import file_name, raven_table
from featurestack.storage.files import content_hash, hash_of, replace_file

FOLDER = "doubtful"
CONTEXT = 1.0  # seconds before and after a part in its cut
# a run of frames above this share of the class's threshold is a part
LEAST_SHARE = 0.25


def doubtful_parts(
    frames: Frames,
    probabilities: NDArray[np.floating],
    rules: Mapping[str, DetectionRule],
    count: int,
) -> pd.DataFrame:
    """At most `count` parts that do not overlap, the smallest margin first: file,
    start, end, label, score, margin.
    """
    lenient = {
        name: replace(rule, threshold=LEAST_SHARE * rule.threshold, share=1.0)
        for name, rule in rules.items()
    }
    table = frames.table(detect_all(frames, probabilities, lenient))
    thresholds = table["label"].map(
        {name: own.threshold for name, own in rules.items()}
    )
    table["margin"] = (table["score"] - thresholds).abs()
    return most_doubtful([table], count)


def most_doubtful(tables: Sequence[pd.DataFrame], count: int) -> pd.DataFrame:
    """The `count` parts of smallest margin in all tables that do not overlap."""
    table = pd.concat(tables, ignore_index=True)
    table = table.sort_values("margin", kind="stable", ignore_index=True)
    taken: dict[str, list[tuple[float, float]]] = {}
    chosen: list[int] = []
    for row in table.itertuples():
        if len(chosen) == count:
            break
        spans = taken.setdefault(row.file, [])
        if all(row.end < start or end < row.start for start, end in spans):
            spans.append((row.start, row.end))
            chosen.append(row.Index)
    return table.loc[chosen].reset_index(drop=True)


def write_doubtful(
    parts: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    sample_rate: int,
    folder: Path,
) -> None:
    """Write a cut of each part, with CONTEXT, and a Raven table of all, to a folder
    below OUT; the files that an earlier call wrote there are removed.

    Each file is recorded before it is written, so that the next call also removes the
    files of a call that a full disk or a kill has ended.
    """
    cuts = own_folder(folder)
    remove_written(cuts)
    record: dict[str, str] = {}
    digits = len(str(len(parts)))
    for number, row in enumerate(parts.itertuples(), start=1):
        start = max(0.0, row.start - CONTEXT)
        end = min(row.end + CONTEXT, seconds[row.file])
        samples = round((end - start) * sample_rate)
        y = audio.load_clip(files[row.file], sample_rate, samples, (start, end))
        stem = f"{number:0{digits}}-{file_name(Path(row.file).stem)}@{row.start:g}"
        name = free_name(cuts, stem, ".wav")
        content = io.BytesIO()
        soundfile.write(content, y, sample_rate, format="WAV")
        write_recorded(cuts, record, name, content.getvalue())
    nothing = dict.fromkeys(files, 0.0)
    known = parts.assign(low=np.nan, high=np.nan)
    raven = raven_table(known, files, nothing, sample_rate / 2)
    table = free_name(cuts, "doubtful", ".selections.txt")
    text = raven.to_csv(sep="\t", index=False, lineterminator="\n")
    write_recorded(cuts, record, table, text.encode())
    parts_in_words = counted(len(parts), "part")
    tell(
        f"{cuts}: {parts_in_words} of recordings, the most doubtful first, and {table}"
    )


def own_folder(folder: Path) -> Path:
    """The first of doubtful, doubtful2, … below OUT that is new, or that this command
    made.
    """
    number = 1
    while True:
        place = folder / f"{FOLDER}{number if number > 1 else ''}"
        if not place.exists():
            place.mkdir(parents=True)
            remember(place, {})
            return place
        if (place / NO_DATA).is_file():
            return place
        number += 1


def free_name(folder: Path, stem: str, suffix: str) -> str:
    """`stem` and `suffix`, with a number between them if the user has such a file."""
    name, number = f"{stem}{suffix}", 2
    while (folder / name).exists():
        name, number = f"{stem}-{number}{suffix}", number + 1
    return name


def write_recorded(
    folder: Path,
    record: dict[str, str],
    name: str,
    content: bytes,
) -> None:
    """Add a file to the record of a folder, then write it."""
    record[name] = hash_of(content)
    remember(folder, record)
    replace_file(folder / name, content)


def remember(folder: Path, record: Mapping[str, str]) -> None:
    """Write NO_DATA: name -> hash of the content of each file."""
    replace_file(folder / NO_DATA, json.dumps(record, indent=1) + "\n")


def remove_written(folder: Path) -> None:
    """Remove the files that NO_DATA names, if they are as they were written."""
    try:
        record = json.loads((folder / NO_DATA).read_text(encoding="utf-8"))
        hashes = dict(record.items())
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    for name, written in hashes.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            continue
        if content_hash(file) == written:
            file.unlink()
