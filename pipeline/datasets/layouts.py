"""Popular datasets as they are unpacked, recognised by files of their own: folds and groups as published.

    UrbanSound8K     metadata/UrbanSound8K.csv, audio/fold1 to fold10: ten folds; a group is a recording of
                     Freesound
    FSD50K           FSD50K.ground_truth/dev.csv and eval.csv: folds 1 (val), 2 (train) and 3 (eval); clips
                     with one label; a group is an uploader where FSD50K.metadata says so
    Speech Commands  class folders, validation_list.txt and testing_list.txt: folds 1, 2 (the rest) and 3; a
                     group is a speaker, the part of a file's name before _nohash_

ESC-50's layout is read by readers.py. Of the last two only fold 3 is tested, as their publishers ask:
trained on all other clips, with VAL=next on fold 2 alone, validated on fold 1.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from commandline import Registry, RequestError, counted
from pipeline.audio import AUDIO_FILE
from pipeline.datasets.readers import FoundClips, audio_path, ids_by_name, ids_by_path, read_csv, whole_folds

SPEAKER = re.compile(r"(?P<speaker>.+)_nohash_\d+", re.DOTALL)
BACKGROUND = "_background_noise_"  # of Speech Commands: minutes of noise, no class
SIDES = {"val": 1, "train": 2, "eval": 3}  # VAL=next of the last is the first

Reader = Callable[[Path], FoundClips]
# The file that only this dataset has -> its reader.
LAYOUTS: Registry[Reader] = Registry("layout")


def find_layout(folder: Path) -> Reader | None:
    """The reader of a published dataset's folder; None for any other folder."""
    return next((reader for file, reader in LAYOUTS.items() if (folder / file).is_file()), None)


@LAYOUTS.register("metadata/UrbanSound8K.csv")
def read_urbansound8k(folder: Path) -> FoundClips:
    """Salamon, Jacoby and Bello 2014: 8,732 clips of up to 4 s, ten classes, ten folds."""
    frame = _table(folder / "metadata" / "UrbanSound8K.csv", ("slice_file_name", "fsID", "fold", "class"))
    frame = frame.rename(columns={"slice_file_name": "filename"})
    folds = whole_folds(frame)
    paths = [
        audio_path(folder / "audio", f"fold{fold}/{name}") for fold, name in zip(folds, frame["filename"])
    ]
    table = _clips(ids_by_name(frame["filename"].tolist()), paths, frame["class"], folds, frame["fsID"])
    note = "UrbanSound8K: its ten folds; a group is a Freesound recording"
    return FoundClips(table, columns=frame, notes=(note,))


@LAYOUTS.register("FSD50K.ground_truth/dev.csv")
def read_fsd50k(folder: Path) -> FoundClips:
    """Fonseca et al. 2022: the clips of one label, without those that it implies."""
    dev = _table(folder / "FSD50K.ground_truth" / "dev.csv", ("fname", "labels", "split"))
    both = [dev.assign(side="dev")]
    if (evaluation := folder / "FSD50K.ground_truth" / "eval.csv").is_file():
        both.append(_table(evaluation, ("fname", "labels")).assign(side="eval", split="eval"))
    frame = pd.concat(both, ignore_index=True)
    wrong = sorted(set(frame["split"]) - SIDES.keys())
    if wrong:
        raise RequestError(f"{folder / 'FSD50K.ground_truth'}: split {wrong[0]!r}; expected train or val")
    frame["label"] = single_labels(frame["labels"])
    single = frame[frame["label"] != ""].reset_index(drop=True)
    if not len(single):
        raise RequestError(f"{folder}: no clip of FSD50K's lists has one label alone")
    paths = [
        audio_path(folder / f"FSD50K.{side}_audio", f"{name}.wav")
        for side, name in zip(single["side"], single["fname"])
    ]
    uploaders = _uploaders(folder)
    groups = [uploaders.get(name, "") for name in single["fname"]]
    table = _clips(single["fname"].tolist(), paths, single["label"], single["split"].map(SIDES), groups)
    left = f"{counted(len(frame) - len(single), 'clip')} with several labels left out"
    grouped = "; a group is an uploader" if uploaders else ""
    note = f"FSD50K: fold 1 is its val list, 2 train, 3 eval, which alone is tested{grouped}; {left}"
    return FoundClips(table, columns=single, notes=(note,), published_test=SIDES["eval"])


def single_labels(labels: "pd.Series[str]") -> list[str]:
    """The one label of each clip, '' where there are several, from lists as `Guitar,Music`.

    A label that all clips of another one have as well is implied by it, as Music is by Guitar, and does not
    count. Of two that always come together the first in the list counts.

    >>> single_labels(pd.Series(["Guitar,Music", "Guitar,Music,Bark,Dog", "Bark,Dog", "Dog", "Music"]))
    ['Guitar', '', 'Bark', 'Dog', 'Music']
    """
    sets = [[name.strip() for name in text.split(",") if name.strip()] for text in labels]
    implied: dict[str, set[str]] = {}
    for names in sets:
        for name in names:
            implied[name] = implied.get(name, set(names)) & set(names)
    found = []
    for names in sets:
        own = [
            name
            for place, name in enumerate(names)
            if not any(
                name in implied[other] and (other not in implied[name] or names.index(other) < place)
                for other in names
                if other != name
            )
        ]
        found.append(own[0] if len(own) == 1 else "")
    return found


def _uploaders(folder: Path) -> dict[str, str]:
    """Who uploaded each clip, as far as FSD50K.metadata is there."""
    found: dict[str, str] = {}
    for side in ("dev", "eval"):
        file = folder / "FSD50K.metadata" / f"{side}_clips_info_FSD50K.json"
        if file.is_file():
            try:
                described = json.loads(file.read_text(encoding="utf-8"))
                found |= {str(name): str(clip["uploader"]) for name, clip in described.items()}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise RequestError(f"{file} cannot be read: {error}") from None
    return found


@LAYOUTS.register("testing_list.txt")
def read_speech_commands(folder: Path) -> FoundClips:
    """Warden 2018: words of a second, 16 kHz; its validation and testing lists."""
    lists = {"val": folder / "validation_list.txt", "eval": folder / "testing_list.txt"}
    side_of = {
        line.strip(): side
        for side, file in lists.items()
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.glob("*/*"))
        if AUDIO_FILE.fullmatch(path.name) and path.parent.name != BACKGROUND
    ]
    if not names:
        raise RequestError(f"{folder} has testing_list.txt but no class folder with audio files")
    found = [SPEAKER.fullmatch(Path(name).stem) for name in names]
    groups = ["" if match is None else match["speaker"] for match in found]
    folds = [SIDES[side_of.get(name, "train")] for name in names]
    labels = [Path(name).parent.name for name in names]
    paths = [str(folder.absolute() / name) for name in names]
    split = "fold 1 is its validation list, 3 its testing list, which alone is tested, 2 the rest"
    note = f"Speech Commands: {split}; a group is a speaker"
    table = _clips(ids_by_path(names), paths, labels, folds, groups)
    return FoundClips(table, notes=(note,), published_test=SIDES["eval"])


def _table(file: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    frame = read_csv(file)
    missing = [name for name in columns if name not in frame]
    if missing:
        raise RequestError(f"{file} has the columns {', '.join(frame)}; expected {', '.join(columns)}")
    return frame


def _clips(ids: list[str], paths: list[str], labels: object, folds: object, groups: object) -> pd.DataFrame:
    clips = {"clip_id": ids, "path": paths, "label": np.asarray(labels), "category": ""}
    more = {"fold": np.asarray(folds), "group": np.asarray(groups), "copy_of": "", "alteration": ""}
    return pd.DataFrame(clips | more)
