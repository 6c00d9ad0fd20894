"""Any folder of sounds: one sub-folder a class, `class/name.wav`, nested as deep as one likes."""

import os
from collections import Counter
from pathlib import Path, PurePath

import pandas as pd

from commandline import RequestError
from pipeline.audio import SOUNDS
from pipeline.datasets import ids
from pipeline.datasets.categories import categories_of
from pipeline.datasets.dataset import Source


def read(folder: Path) -> Source:
    """Every sound below a class folder, sorted by path; what was passed over is told in the notes."""
    files = _files(folder)
    sounds = [name for name in files if SOUNDS.fullmatch(name)]
    clips = [name for name in sounds if len(PurePath(name).parts) > 1]
    if not clips:
        raise RequestError(
            f"{folder} holds no sounds in sub-folders ({len(sounds)} sounds beside each other, "
            f"{len(files)} files in all); expected one sub-folder a class, as in {folder.name}/dog/1.wav, "
            "ESC-50's audio/ and meta/, or a CSV"
        )
    labels = [PurePath(name).parts[0] for name in clips]
    table = pd.DataFrame(
        {
            "clip_id": ids.by_path(clips),
            "path": [str(folder.absolute() / name) for name in clips],
            "label": labels,
            "category": categories_of(labels),
            "fold": 0,
            "group": "",
            "copy_of": "",
            "alteration": "",
        }
    )
    return Source(table, notes=(*_passed_over(files, sounds, clips), *_without_sounds(folder, labels)))


def _files(folder: Path) -> list[str]:
    """Relative paths, sorted; links are followed; names that begin with a dot are the system's."""
    found = []
    seen = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        folders[:] = [name for name in folders if _may_be_read(name)]
        folders[:] = [name for name in folders if _is_new(os.path.realpath(Path(root) / name), seen)]
        below = Path(root).relative_to(folder)
        found += [(below / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(found)


def _may_be_read(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _is_new(place: str, seen: set[str]) -> bool:
    """Whether a folder comes for the first time: a link to one above it would lead around for ever."""
    new = place not in seen
    seen.add(place)
    return new


def _refuse(error: OSError) -> None:
    raise RequestError(f"{error.filename} cannot be read: {error.strerror}") from None


def _passed_over(files: list[str], sounds: list[str], clips: list[str]) -> tuple[str, ...]:
    others = Counter(PurePath(name).suffix.lower() or "no extension" for name in set(files) - set(sounds))
    notes = []
    if others:
        kinds = ", ".join(f"{times} of {kind}" for kind, times in others.most_common())
        notes.append(f"passed over, not sounds by their names: {kinds}")
    if len(sounds) > len(clips):
        notes.append(f"passed over, in no class folder: {len(sounds) - len(clips)} sounds")
    return tuple(notes)


def _without_sounds(folder: Path, labels: list[str]) -> tuple[str, ...]:
    """A line on class folders that hold no sound: their class does not exist."""
    folders = (path.name for path in folder.iterdir() if path.is_dir() and _may_be_read(path.name))
    empty = sorted(set(folders) - set(labels))
    left_out = "left out as a class" if len(empty) == 1 else "left out as classes"
    return (f"no sounds in {', '.join(empty)}: {left_out}",) if empty else ()
