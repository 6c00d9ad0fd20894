"""Popular datasets as they are unpacked, recognised by files of their own: folds and groups as published.

    UrbanSound8K     metadata/UrbanSound8K.csv, audio/fold1 to fold10: ten folds; a group is a recording of
                     Freesound
    FSD50K           FSD50K.ground_truth/dev.csv and eval.csv: folds 1 (val), 2 (train) and 3 (eval); clips
                     with one label; a group is an uploader where FSD50K.metadata says so
    Speech Commands  class folders, validation_list.txt and testing_list.txt: folds 1, 2 (the rest) and 3; a
                     group is a speaker, the part of a file's name before _nohash_

Of the last two only fold 3 is tested, as their publishers ask: trained on all other clips, with VAL=next on
fold 2 alone, validated on fold 1. Any other folder has one sub-folder a class, or class folders within
train/, val/ and test/, folds as those of FSD50K. ESC-50's layout is read by readers.py.
"""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from commandline.registry import Registry, RequestError
from commandline.terminal import counted
from pipeline.audio import AUDIO_FILE
from pipeline.datasets.readers import (
    FoundClips,
    audio_path,
    categories_of,
    ids_by_name,
    ids_by_path,
    is_esc_layout,
    read_class_folders,
    read_csv,
    whole_folds,
)

SPEAKER = re.compile(r"(?P<speaker>.+)_nohash_\d+", re.DOTALL)
BACKGROUND = "_background_noise_"  # of Speech Commands: minutes of noise, no class
SIDES = {"val": 1, "train": 2, "eval": 3}  # VAL=next of the last is the first
SIDE_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "eval"),
}
FOLD_FOLDER = re.compile(r"fold[ _-]?\d+", re.IGNORECASE)
NAMED_FOLDERS = 3  # that may be meant in place of the one around them

Reader = Callable[[Path], FoundClips]
# The file that only this dataset has -> its reader.
LAYOUTS: Registry[Reader] = Registry("layout")


def find_layout(folder: Path) -> Reader | None:
    """The reader of a published dataset's folder; None for any other folder."""
    return next((reader for file, reader in LAYOUTS.items() if (folder / file).is_file()), None)


@LAYOUTS.register("UrbanSound8K.csv")  # Kaggle's copy: table and folds beside each other
@LAYOUTS.register("metadata/UrbanSound8K.csv")
def read_urbansound8k(folder: Path) -> FoundClips:
    """Salamon, Jacoby and Bello 2014: 8,732 clips of up to 4 s, ten classes, ten folds."""
    whole = (folder / "metadata" / "UrbanSound8K.csv").is_file()
    table_folder, audio = (folder / "metadata", folder / "audio") if whole else (folder, folder)
    frame = _table(table_folder / "UrbanSound8K.csv", ("slice_file_name", "fsID", "fold", "class"))
    frame = frame.rename(columns={"slice_file_name": "filename"})
    folds = whole_folds(frame)
    paths = [audio_path(audio, f"fold{fold}/{name}") for fold, name in zip(folds, frame["filename"])]
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
    """Warden 2018: words of a second, 16 kHz; its validation and testing lists.

    TensorFlow's challenge on Kaggle has the words in audio/, beside the lists.
    """
    lists = {"val": folder / "validation_list.txt", "eval": folder / "testing_list.txt"}
    side_of = {
        line.strip(): side
        for side, file in lists.items()
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    words = folder if _spoken(folder) else folder / "audio"
    names = _spoken(words)
    if not names:
        raise RequestError(f"{folder} has testing_list.txt but no class folder with audio files")
    found = [SPEAKER.fullmatch(Path(name).stem) for name in names]
    groups = ["" if match is None else match["speaker"] for match in found]
    folds = [SIDES[side_of.get(name, "train")] for name in names]
    labels = [Path(name).parent.name for name in names]
    paths = [str(words.absolute() / name) for name in names]
    split = "fold 1 is its validation list, 3 its testing list, which alone is tested, 2 the rest"
    note = f"Speech Commands: {split}; a group is a speaker"
    table = _clips(ids_by_path(names), paths, labels, folds, groups)
    return FoundClips(table, notes=(note,), published_test=SIDES["eval"])


def _spoken(folder: Path) -> list[str]:
    """The audio files of its class folders, `yes/0a7c2a8d_nohash_0.wav`."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.glob("*/*"))
        if AUDIO_FILE.fullmatch(path.name) and path.parent.name != BACKGROUND
    ]


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


def read_folder(folder: Path) -> FoundClips:
    """A published dataset, class folders within train/ and test/, or one sub-folder a class."""
    if layout := find_layout(folder):
        return layout(folder)
    found = read_class_folders(folder)
    within = [PurePath(path).relative_to(folder.absolute()).parts for path in found.table["path"]]
    classes = sorted({parts[0] for parts in within})
    if len(classes) > 1 and all(map(FOLD_FOLDER.fullmatch, classes)):
        raise RequestError(_folds_as_classes(folder, classes))
    if _are_sides(classes) and len(_shared_classes(within)) > 1:
        return _split(found, within)
    elsewhere = len(classes) == 1 or _are_sides(classes)
    hints = _what_is_meant(folder, within) if elsewhere else _datasets_as_classes(folder, classes)
    return replace(found, notes=(*found.notes, *hints))


def _are_sides(names: Collection[str]) -> bool:
    sides = {SIDE_OF_FOLDER.get(name.lower(), "") for name in names}
    return len(sides) > 1 and "" not in sides


def _folds_as_classes(folder: Path, names: Sequence[str]) -> str:
    above = folder.absolute().parent
    whole = f"DATASET={shlex.quote(str(above))}, or " if find_layout(above) else ""
    named = ", ".join(names[:NAMED_FOLDERS]) + (" …" if len(names) > NAMED_FOLDERS else "")
    columns = "a CSV with the columns filename,label,fold"
    return f"{folder} holds {named}: these are folds, not classes; give {whole}{columns}"


def _shared_classes(within: Sequence[Sequence[str]]) -> set[str]:
    """Folders in each of two or more folders of the first level; none where there is one."""
    inside: dict[str, set[str]] = defaultdict(set)
    for side, *more in within:
        inside[side] |= set(more[:-1][:1])
    return set.intersection(*inside.values()) if len(inside) > 1 else set()


def _split(found: FoundClips, within: Sequence[Sequence[str]]) -> FoundClips:
    """Clips whose class is read as a side of a split, with the class of the second level."""
    kept = [row for row, parts in enumerate(within) if len(parts) > 2]
    sides = [within[row][0] for row in kept]
    folds = [SIDES[SIDE_OF_FOLDER[side.lower()]] for side in sides]
    labels = [within[row][1] for row in kept]
    table = found.table.iloc[kept].reset_index(drop=True)
    table = table.assign(label=labels, category=categories_of(labels), fold=folds)
    test = SIDES["eval"] if SIDES["eval"] in folds else None
    named = sorted({(fold, side) for fold, side in zip(folds, sides)})
    understood = ", ".join(f"{side} is fold {fold}" for fold, side in named)
    tested = f"; only fold {test} is tested" if test else ""
    notes = [f"read as a split, whose folders hold class folders: {understood}{tested}"]
    if loose := len(within) - len(kept):
        notes.append(f"left out, in no class folder: {counted(loose, 'audio file')}")
    return replace(found, table=table, notes=(*found.notes, *notes), published_test=test)


def _what_is_meant(folder: Path, within: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A line on a folder with one class, or whose classes are sides of a split, and on what may be meant."""
    inside: dict[str, set[str]] = defaultdict(set)  # folder -> those in it that hold clips
    for *above, _ in within:
        for depth in range(len(above) + 1):
            inside[PurePath(*above[:depth]).as_posix()] |= set(above[depth : depth + 1])
    classes = sorted(inside.pop("."))
    whole = [path for path, names in inside.items() if _are_sides(names) or _is_dataset(folder / path)]
    outermost = [path for path in inside if not any(path.startswith(f"{other}/") for other in whole)]
    meant = [
        f"{folder / path} {what}: DATASET={shlex.quote(str(folder / path))}"
        for path in outermost
        if (what := "is a dataset of its own" if path in whole else _several(inside[path]))
    ]
    said = (
        "one class alone leaves nothing to classify"
        if len(classes) == 1
        else f"the classes are called {', '.join(classes)}, as the sides of a split"
    )
    return ("; ".join([said, *meant[:NAMED_FOLDERS]]),)


def _several(names: set[str]) -> str:
    return f"holds {len(names)} folders of sounds" if len(names) > 1 else ""


def _is_dataset(folder: Path) -> bool:
    return find_layout(folder) is not None or is_esc_layout(folder)


def _datasets_as_classes(folder: Path, classes: Sequence[str]) -> list[str]:
    """A line on each class folder that is a published dataset."""
    return [
        f"{name} is read as one class but is a dataset of its own: DATASET={shlex.quote(str(folder / name))}"
        for name in classes
        if _is_dataset(folder / name)
    ]
