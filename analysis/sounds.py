"""Compressed sounds for the error browser's players, from the clips' own files where those are.

MP3 because every browser plays it; 16 kHz mono at about 22 kbit/s is enough to hear what a clip is. A
sound that was compressed once is kept in the report's folder and used again.
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
import soxr

from commandline import progress

RATE = 16000  # Hz
VARIABLE_BIT_RATE = 0.9  # libsndfile's scale from 0, best, to 1; a clip of five seconds is then some 15 kB
LONGEST = 10.0  # seconds, where the dataset says nothing of how long its clips are
TOGETHER = 32  # clips compressed before the budget is looked at again


def sounds(
    paths: Mapping[str, Path], clips: Sequence[str], seconds: float, folder: Path, most: float
) -> dict[str, str]:
    """clip -> MP3 as base64, in the order of `clips` until `most` bytes are full; others left out."""
    present = [clip for clip in clips if clip in paths]
    found: dict[str, str] = {}
    used: set[Path] = set()
    left = most
    folder.mkdir(parents=True, exist_ok=True)
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        progress(total=len(present), label="sounds", unit="clip") as bar,
    ):
        for start in range(0, len(present), TOGETHER):
            part = present[start : start + TOGETHER]
            files = list(threads.map(lambda clip: kept(paths[clip], seconds, folder), part))
            for clip, file in zip(part, files, strict=True):
                text = base64.b64encode(file.read_bytes()).decode() if file else ""
                if file and len(text) <= left:
                    found[clip] = text
                    used.add(file)
                    left -= len(text)
            bar.update(len(part))
            if left < most / 100:
                break
    for file in set(folder.glob("*.mp3")) - used:
        file.unlink()
    return found


def kept(path: Path, seconds: float, folder: Path) -> Path | None:
    """The compressed sound's own file, made where it is not there; None where the clip cannot be decoded."""
    status = path.stat()
    name = hashlib.sha256(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{seconds}".encode()).hexdigest()
    file = folder / f"{name[:20]}.mp3"
    if not file.is_file():
        try:
            content = compressed(path, seconds)
        except (soundfile.LibsndfileError, ValueError):
            return None
        file.write_bytes(content)
    return file


def compressed(path: Path, seconds: float) -> bytes:
    """The first `seconds` of a sound, LONGEST where 0, as mono MP3; LibsndfileError where it is none."""
    with soundfile.SoundFile(path) as source:
        frames = int((seconds or LONGEST) * source.samplerate)
        samples = source.read(frames, dtype="float32", always_2d=True).mean(axis=1)
        rate = source.samplerate
    heard = soxr.resample(np.nan_to_num(samples), rate, RATE)
    content = BytesIO()
    soundfile.write(
        content,
        np.clip(heard, -1, 1),
        RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=VARIABLE_BIT_RATE,
        bitrate_mode="VARIABLE",
    )
    return content.getvalue()


def audio_files(paths: Mapping[str, str]) -> dict[str, Path]:
    """Those of clip -> path that are files on this machine."""
    return {clip: Path(path) for clip, path in paths.items() if path and Path(path).is_file()}


def links(files: Mapping[str, Path], page_folder: Path) -> dict[str, str]:
    """clip -> address of its own file, relative to the page where that can be said."""
    found = {}
    for clip, file in files.items():
        try:
            found[clip] = quote(Path(os.path.relpath(file, page_folder)).as_posix())
        except ValueError:  # another drive
            found[clip] = file.resolve().as_uri()
    return found
