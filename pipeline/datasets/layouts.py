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
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from commandline.errors import RequestError
from commandline.registry import Registry
from commandline.terminal import counted
from pipeline.audio import AUDIO_FILE
from pipeline.datasets.readers import Listing, clip_table, read_csv

SPEAKER = r"/(.+)_nohash_\d+\."
BACKGROUND = "_background_noise_/"  # of Speech Commands: minutes of noise, no class
HIDDEN_FOLDERS = ("__MACOSX",)  # macOS writes it into archives
SIDES = {"val": 1, "train": 2, "eval": 3}  # VAL=next of the last is the first
FOLD_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), SIDES["train"]),
    **dict.fromkeys(("val", "valid", "validation", "dev"), SIDES["val"]),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), SIDES["eval"]),
}

# The file that only this dataset has -> its reader.
LAYOUTS: Registry[Callable[[Path], Listing]] = Registry("layout")


@LAYOUTS.register("UrbanSound8K.csv")  # Kaggle's copy: table and folds beside each other
@LAYOUTS.register("metadata/UrbanSound8K.csv")
def read_urbansound8k(folder: Path) -> Listing:
    """Salamon, Jacoby and Bello 2014: 8,732 clips of up to 4 s, ten classes, ten folds."""
    whole = (folder / "metadata").is_dir()
    table, audio = (folder / "metadata", folder / "audio") if whole else (folder, folder)
    clips = read_csv(table / "UrbanSound8K.csv", ("slice_file_name", "fsID", "fold", "class"))
    names = "fold" + clips["fold"] + "/" + clips["slice_file_name"]
    clips = clips.assign(filename=names, label=clips["class"], group=clips["fsID"])
    notes = ("UrbanSound8K: its ten folds; a group is a Freesound recording",)
    return Listing(clip_table(clips, audio), notes=notes)


@LAYOUTS.register("FSD50K.ground_truth/dev.csv")
def read_fsd50k(folder: Path) -> Listing:
    """Fonseca et al. 2022: the clips of one label, without those that it implies."""
    lists = []
    uploaders = dict[str, str]()
    truth = folder / "FSD50K.ground_truth"
    for side, columns in {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}.items():
        if (file := truth / f"{side}.csv").is_file():
            lists.append(read_csv(file, columns).assign(side=side))
        file = folder / "FSD50K.metadata" / f"{side}_clips_info_FSD50K.json"
        if file.is_file():
            try:
                described = json.loads(file.read_text(encoding="utf-8"))
                uploaders |= {name: str(clip["uploader"]) for name, clip in described.items()}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise RequestError(f"{file} is damaged ({error!r}): unpack it again") from None
    clips = pd.concat(lists, ignore_index=True)
    clips["label"] = single_labels(clips["labels"])
    left = f"{counted((clips['label'] == '').sum(), 'clip')} with several labels left out"
    clips = clips[clips["label"] != ""].reset_index(drop=True)
    clips = clips.assign(
        filename="FSD50K." + clips["side"] + "_audio/" + clips["fname"] + ".wav",
        fold=clips["split"].fillna("eval").map(SIDES),  # a column of dev.csv alone
        group=[uploaders.get(name, "") for name in clips["fname"]],
    )
    note = f"FSD50K: fold 1 is its val list, 2 train, 3 eval, which alone is tested; {left}"
    return Listing(clip_table(clips, folder), notes=(note,), published_test=SIDES["eval"])


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
    return [next((name for name in names if implied[name] >= set(names)), "") for names in sets]


@LAYOUTS.register("testing_list.txt")
def read_speech_commands(folder: Path) -> Listing:
    """Warden 2018: words of a second, 16 kHz; its validation and testing lists."""
    fold_of = {
        line.strip(): SIDES[side]
        for side, file in (("val", folder / "validation_list.txt"), ("eval", folder / "testing_list.txt"))
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    files = pd.Series(files_below(folder), dtype=str)
    files = files[files.str.fullmatch(AUDIO_FILE) & ~files.str.startswith(BACKGROUND)].reset_index(drop=True)
    clips = pd.DataFrame(
        {
            "filename": files,
            "label": files.str.split("/").str[0],
            "fold": [fold_of.get(name, SIDES["train"]) for name in files],
            "group": files.str.extract(SPEAKER)[0].fillna(""),
        }
    )
    split = "fold 1 is its validation list, 3 its testing list, which alone is tested, 2 the rest"
    notes = (f"Speech Commands: {split}; a group is a speaker",)
    table = clip_table(clips, folder, by_path=True)
    return Listing(table, notes=notes, published_test=SIDES["eval"])


def files_below(folder: Path) -> list[str]:
    """Relative paths, sorted; links are followed once; names that begin with a dot are the system's."""

    def refuse(error: OSError) -> None:
        raise error

    files = []
    seen = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        for name in list(folders):
            place = os.path.realpath(Path(root) / name)
            if name.startswith(".") or name in HIDDEN_FOLDERS or place in seen:
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
    files = pd.Series(files_below(folder), dtype=str)
    audio = files[files.str.fullmatch(AUDIO_FILE)]
    parts = audio.str.split("/")
    depth = parts.str.len()
    tops = parts.str[0]
    inner = parts.str[1]
    folds = {top: FOLD_OF_FOLDER.get(top.lower(), 0) for top in sorted({*tops[depth > 1]})}
    if not folds:
        raise RequestError(
            f"{folder} holds no audio files in sub-folders ({len(audio)} beside each other, "
            f"{counted(len(files), 'file')} in all); expected one sub-folder a class, as in "
            f"{folder.name}/dog/1.wav, ESC-50's audio/ and meta/, or a CSV"
        )
    shared = (tops[depth > 2].groupby(inner).nunique() == len(folds)).sum()  # classes in all of them
    split = 0 not in folds.values() and len({*folds.values()}) > 1 and shared > 1
    chosen = depth > (2 if split else 1)
    clips = pd.DataFrame({"filename": audio, "label": inner if split else tops})[chosen]
    known = {*HIDDEN_FOLDERS, *tops}
    empty = [path.name for path in sorted(folder.glob("[!.]*/")) if path.name not in known]
    left_out = {
        "not audio by name": (len(files) - len(audio), "file"),
        "in no class folder": (len(audio) - len(clips), "audio file"),
    }
    notes = [f"left out, {why}: {counted(*count)}" for why, count in left_out.items() if count[0]]
    notes += [f"no audio in the class folder {', '.join(empty)}"] if empty else []
    test = None
    if split:
        clips["fold"] = tops.map(folds)
        test = SIDES["eval"] if SIDES["eval"] in folds.values() else None
        sides = ", ".join(f"{top} is fold {fold}" for top, fold in folds.items())
        notes.append(f"read as a split: {sides}{f'; only fold {test} is tested' if test else ''}")
    table = clip_table(clips.reset_index(drop=True), folder, by_path=True)
    return Listing(table, notes=tuple(notes), published_test=test)
