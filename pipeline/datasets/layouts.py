"""Folders as clip tables: one sub-folder a class, or a published dataset as it is unpacked.

    UrbanSound8K     metadata/UrbanSound8K.csv, audio/fold1 to fold10: ten folds; a group is a recording of
                     Freesound
    FSD50K           FSD50K.ground_truth/dev.csv and eval.csv: folds 1 (val), 2 (train) and 3 (eval); clips
                     with one label; a group is an uploader if FSD50K.metadata says so
    Speech Commands  class folders, validation_list.txt and testing_list.txt: folds 1, 2 (the rest) and 3; a
                     group is a speaker, the part of a file's name before _nohash_

Of the last two only fold 3 is tested, as their publishers ask: trained on all other clips, with VAL=next on
fold 2 alone, validated on fold 1. Class folders may lie within train/, val/ and test/, folds as those of
FSD50K. ESC-50's layout is read by readers.py.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePath

import pandas as pd

from commandline.registry import Registry, RequestError
from commandline.terminal import counted
from pipeline.audio import AUDIO_FILE
from pipeline.datasets.readers import (
    Listing,
    audio_path,
    clip_table,
    ids_by_name,
    ids_by_path,
    read_csv,
    whole_folds,
)

SPEAKER = re.compile(r"(.+)_nohash_\d+", re.DOTALL)
BACKGROUND = "_background_noise_"  # of Speech Commands: minutes of noise, no class
SIDES = {"val": 1, "train": 2, "eval": 3}  # VAL=next of the last is the first
FOLD_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), SIDES["train"]),
    **dict.fromkeys(("val", "valid", "validation", "dev"), SIDES["val"]),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), SIDES["eval"]),
}

Reader = Callable[[Path], Listing]
# The file that only this dataset has -> its reader.
LAYOUTS: Registry[Reader] = Registry("layout")


@LAYOUTS.register("UrbanSound8K.csv")  # Kaggle's copy: table and folds beside each other
@LAYOUTS.register("metadata/UrbanSound8K.csv")
def read_urbansound8k(folder: Path) -> Listing:
    """Salamon, Jacoby and Bello 2014: 8,732 clips of up to 4 s, ten classes, ten folds."""
    whole = (folder / "metadata" / "UrbanSound8K.csv").is_file()
    table_folder, audio = (folder / "metadata", folder / "audio") if whole else (folder, folder)
    frame = read_csv(table_folder / "UrbanSound8K.csv", ("slice_file_name", "fsID", "fold", "class"))
    frame = frame.rename(columns={"slice_file_name": "filename"})
    folds = whole_folds(frame)
    paths = [audio_path(audio, f"fold{fold}/{name}") for fold, name in zip(folds, frame["filename"])]
    table = clip_table(ids_by_name(frame["filename"].tolist()), paths, frame["class"], folds, frame["fsID"])
    note = "UrbanSound8K: its ten folds; a group is a Freesound recording"
    return Listing(table, columns=frame, notes=(note,))


@LAYOUTS.register("FSD50K.ground_truth/dev.csv")
def read_fsd50k(folder: Path) -> Listing:
    """Fonseca et al. 2022: the clips of one label, without those that it implies."""
    lists, uploaders = [], dict[str, str]()
    for side in ("dev", "eval"):
        file = folder / "FSD50K.ground_truth" / f"{side}.csv"
        if side == "dev" or file.is_file():
            expected = ("fname", "labels", *(["split"] if side == "dev" else []))
            lists.append(read_csv(file, expected).assign(side=side))
        file = folder / "FSD50K.metadata" / f"{side}_clips_info_FSD50K.json"
        if file.is_file():
            described = json.loads(file.read_text(encoding="utf-8"))
            uploaders |= {name: str(clip["uploader"]) for name, clip in described.items()}
    frame = pd.concat(lists, ignore_index=True)
    frame["split"] = frame["split"].where(frame["side"] == "dev", "eval")
    frame["label"] = single_labels(frame["labels"])
    single = frame[frame["label"] != ""].reset_index(drop=True)
    names = single["fname"].tolist()
    paths = [
        audio_path(folder / f"FSD50K.{side}_audio", f"{name}.wav")
        for side, name in zip(single["side"], names)
    ]
    groups = [uploaders.get(name, "") for name in names]
    table = clip_table(names, paths, single["label"], single["split"].map(SIDES), groups)
    left = f"{counted(len(frame) - len(single), 'clip')} with several labels left out"
    note = f"FSD50K: fold 1 is its val list, 2 train, 3 eval, which alone is tested; {left}"
    return Listing(table, columns=single, notes=(note,), published_test=SIDES["eval"])


def single_labels(labels: "pd.Series[str]") -> list[str]:
    """The one label of each clip, '' if there are several, from lists as `Guitar,Music`.

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
    single = []
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
        single.append(own[0] if len(own) == 1 else "")
    return single


@LAYOUTS.register("testing_list.txt")
def read_speech_commands(folder: Path) -> Listing:
    """Warden 2018: words of a second, 16 kHz; its validation and testing lists."""
    fold_of = {
        line.strip(): SIDES[side]
        for side, file in (("val", folder / "validation_list.txt"), ("eval", folder / "testing_list.txt"))
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    files = [path for path in sorted(folder.glob("*/*")) if AUDIO_FILE.fullmatch(path.name)]
    files = [path for path in files if path.parent.name != BACKGROUND]
    if not files:
        raise RequestError(f"{folder} has testing_list.txt but no class folder with audio files")
    names = [path.relative_to(folder).as_posix() for path in files]
    table = clip_table(
        ids_by_path(names),
        [str(path.absolute()) for path in files],
        [path.parent.name for path in files],
        [fold_of.get(name, SIDES["train"]) for name in names],
        [match[1] if (match := SPEAKER.fullmatch(path.stem)) else "" for path in files],
    )
    split = "fold 1 is its validation list, 3 its testing list, which alone is tested, 2 the rest"
    note = f"Speech Commands: {split}; a group is a speaker"
    return Listing(table, notes=(note,), published_test=SIDES["eval"])


def files_below(folder: Path) -> list[str]:
    """Relative paths, sorted; links are followed once; names that begin with a dot are the system's."""

    def refuse(error: OSError) -> None:
        raise RequestError(f"{error.filename} cannot be read: {error.strerror}") from None

    files, seen = [], {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        for name in list(folders):
            place = os.path.realpath(Path(root) / name)
            if name.startswith(".") or name == "__MACOSX" or place in seen:
                folders.remove(name)
            seen.add(place)
        below = Path(root).relative_to(folder)
        files += [(below / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(files)


def read_folder(folder: Path) -> Listing:
    """A published dataset; or one sub-folder a class, at the top or within train/, val/ and test/.

    Class folders may be nested as deep as one likes. What was left out is named in the notes.
    """
    for file, reader in LAYOUTS.items():
        if (folder / file).is_file():
            return reader(folder)
    files = files_below(folder)
    audio = [name for name in files if AUDIO_FILE.fullmatch(name)]
    parts = [PurePath(name).parts for name in audio]
    tops = sorted({part[0] for part in parts if len(part) > 1})
    if not tops:
        raise RequestError(
            f"{folder} holds no audio files in sub-folders ({len(audio)} beside each other, "
            f"{counted(len(files), 'file')} in all); expected one sub-folder a class, as in "
            f"{folder.name}/dog/1.wav, ESC-50's audio/ and meta/, or a CSV"
        )
    folds = {top: FOLD_OF_FOLDER.get(top.lower(), 0) for top in tops}
    within = [{part[1] for part in parts if part[0] == top and len(part) > 2} for top in tops]
    split = 0 not in folds.values() and len({*folds.values()}) > 1 and len(set.intersection(*within)) > 1
    clips = [(name, part) for name, part in zip(audio, parts) if len(part) > 1 + split]
    names, labels = [name for name, _ in clips], [part[split] for _, part in clips]
    table = clip_table(
        ids_by_path(names),
        [str(folder.absolute() / name) for name in names],
        labels,
        [folds[part[0]] for _, part in clips] if split else 0,
    )
    notes = []
    for count, noun, reason in (
        (len(files) - len(audio), "file", "not audio by name"),
        (len(audio) - len(clips), "audio file", "in no class folder"),
    ):
        notes += [f"left out, {reason}: {counted(count, noun)}"] if count else []
    test = SIDES["eval"] if split and SIDES["eval"] in folds.values() else None
    if split:
        sides = ", ".join(f"{top} is fold {fold}" for top, fold in folds.items())
        notes.append(f"read as a split: {sides}{f'; only fold {test} is tested' if test else ''}")
    return Listing(table, notes=tuple(notes), published_test=test)
