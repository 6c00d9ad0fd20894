"""Folders as clip tables: one sub-folder for each class, perhaps within train/, val/
and test/, or a published dataset as it is unpacked (but ESC-50: readers.py).

Of a split, only fold 3 (test) is tested, by models of all other clips; with VAL=next
they are trained on fold 2 (train) and validated on fold 1 (val).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.registry import Registry
from featurestack.features_cache.names import DATASET_TABLES, is_cache
from featurestack.features_cache.table import SEPARATOR
from featurestack.pipeline.audio import AUDIO_FILE
from featurestack.pipeline.datasets.readers import (
    Listing,
    clip_table,
    split_labels,
    tags_note,
    way_of_annotations,
)
from featurestack.storage.csv_files import read_csv
from featurestack.storage.own_files import NO_DATA

HIDDEN_FOLDERS = ("__MACOSX",)  # macOS writes it into archives
# folds; VAL=next validates eval's model on val
SIDES = {"val": 1, "train": 2, "eval": 3}
FOLD_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), SIDES["train"]),
    **dict.fromkeys(("val", "valid", "validation", "dev"), SIDES["val"]),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), SIDES["eval"]),
}

# A file by which a published dataset is recognised -> the reader of that dataset.
LAYOUTS: Registry[Callable[[Path], Listing]] = Registry("layout")


@LAYOUTS.register("UrbanSound8K.csv")  # Kaggle's copy: no folders metadata and audio
@LAYOUTS.register("metadata/UrbanSound8K.csv")
def read_urbansound8k(folder: Path) -> Listing:
    """UrbanSound8K (Salamon, Jacoby and Bello 2014): 8,732 clips, ten folds."""
    table = folder
    audio = folder
    if (folder / "metadata").is_dir():
        table = folder / "metadata"
        audio = folder / "audio"
    columns = ("slice_file_name", "fsID", "fold", "class")
    clips = read_csv(table / "UrbanSound8K.csv", columns)
    names = "fold" + clips["fold"] + "/" + clips["slice_file_name"]
    clips = clips.assign(filename=names, label=clips["class"], group=clips["fsID"])
    # times in the uncut Freesound recording
    clips = clips.drop(columns=["start", "end"], errors="ignore")
    folds = counted(clips["fold"].nunique(), "fold")
    note = f"UrbanSound8K: {folds} of its ten; a group is a Freesound recording"
    return Listing(clip_table(clips, audio), notes=(note,))


@LAYOUTS.register("FSD50K.ground_truth/dev.csv")
def read_fsd50k(folder: Path) -> Listing:
    """FSD50K (Fonseca et al. 2022): 51,197 clips, 200 classes."""
    truth = folder / "FSD50K.ground_truth"
    dev = read_csv(truth / "dev.csv", ("fname", "labels", "split")).assign(side="dev")
    lists = [dev]
    if (file := truth / "eval.csv").is_file():
        lists.append(read_csv(file, ("fname", "labels")).assign(side="eval"))
    clips = pd.concat(lists, ignore_index=True)
    clips = clips.assign(
        label=split_labels(clips["labels"].str.replace(",", SEPARATOR)),
        filename="FSD50K." + clips["side"] + "_audio/" + clips["fname"] + ".wav",
        # only dev.csv has the column split
        fold=clips["split"].fillna("eval").map(SIDES),
    )
    notes = (
        "FSD50K: fold 1 is its val list, 2 train, 3 eval; only fold 3 is tested",
        tags_note(clips["label"]),
    )
    return Listing(clip_table(clips, folder), notes=notes, published_test=SIDES["eval"])


def files_below(folder: Path) -> list[str]:
    """Sorted paths below `folder`, relative to it; hidden and NO_DATA folders apart."""

    def refuse(error: OSError) -> None:
        raise error

    files = []
    seen = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        folders.sort(key=lambda name: (Path(root, name).is_symlink(), name))
        for name in list(folders):
            place = os.path.realpath(Path(root) / name)
            hidden = name.startswith(".") or name in HIDDEN_FOLDERS
            if hidden or place in seen or Path(place, NO_DATA).is_file():
                folders.remove(name)
            seen.add(place)
        below = Path(root).relative_to(folder)
        files += [
            (below / name).as_posix() for name in names if not name.startswith(".")
        ]
    return sorted(files)


def find_recordings(source: Path, option: str = "") -> dict[str, Path]:
    """The audio file or files of AUDIO=, or of another `option`, by name or path below
    the folder.
    """
    if source.is_file():
        return {source.name: source}
    below = files_below(source) if source.is_dir() else []
    names = [name for name in below if AUDIO_FILE.fullmatch(name)]
    if not names:
        raise RequestError(
            f"{option or f'AUDIO={source}'}: expected an audio file, or a folder with"
            " some"
        )
    return {name: source / name for name in names}


def tables_beside(
    folder: Path, files: "pd.Series[str]", audio: "pd.Series[str]"
) -> str:
    """The command to type for audio at the top with tables next to it, or ""."""
    recordings = {Path(name).stem for name in audio}
    ways = []
    for name in files[~files.str.contains("/")]:
        ending = Path(name).suffix.lower()
        if ending in DATASET_TABLES and name.split(".")[0] in recordings:
            ways.append(way_of_annotations(folder, folder))
        elif ending == ".csv":
            ways.append(f"a class for each file: DATASET={folder / name}")
    return "".join(f"; {way}" for way in dict.fromkeys(filter(None, ways)))


def read_folder(folder: Path) -> Listing:
    """The clips of a published dataset, or of class folders, perhaps within a split."""
    for file, reader in LAYOUTS.items():
        if (folder / file).is_file():
            return reader(folder)
    files = pd.Series(files_below(folder), dtype=str)
    audio = files[files.str.fullmatch(AUDIO_FILE)]
    parts = audio.str.split("/")
    depth = parts.str.len()
    tops = parts.str[0]
    inner = parts.str[1]
    folds = {
        top: FOLD_OF_FOLDER.get(top.lower(), 0) for top in sorted({*tops[depth > 1]})
    }
    if not folds:
        raise RequestError(
            f"{folder} holds no audio files in sub-folders ({len(audio)} at the top,"
            f" {counted(len(files), 'file')} in all); expected one sub-folder per"
            f" class, as in {folder.name}/dog/1.wav, ESC-50's audio/ and meta/, or a"
            f" CSV{tables_beside(folder, files, audio)}"
        )
    # classes in every folder
    folders_with_class = tops[depth > 2].groupby(inner).nunique()
    shared = (folders_with_class == len(folds)).sum()
    sides_known = 0 not in folds.values() and len({*folds.values()}) > 1
    split = sides_known and shared > 1
    if split:
        clips = pd.DataFrame({"filename": audio, "label": inner})[depth > 2]
    else:
        clips = pd.DataFrame({"filename": audio, "label": tops})[depth > 1]
    several = clips["label"][clips["label"].str.contains(SEPARATOR)]
    if len(several):
        raise RequestError(
            f"the class folder {several.iloc[0]}: {SEPARATOR} separates the labels"
            " of a clip; rename the folder"
        )
    notes = []
    for count, what in (
        (len(files) - len(audio), "not audio by name"),
        (len(audio) - len(clips), "in no class folder"),
    ):
        if count:
            notes.append(f"left out, {what}: {counted(count, 'file')}")
    names = {path.name for path in folder.glob("[!.]*/") if not is_cache(path)}
    if empty := sorted(names - {*HIDDEN_FOLDERS, *tops}):
        notes.append(f"no audio in the class folder {', '.join(empty)}")
    test = None
    if split:
        clips["fold"] = tops.map(folds)
        sides = ", ".join(f"{top} is fold {fold}" for top, fold in folds.items())
        note = f"read as a split: {sides}"
        if SIDES["eval"] in folds.values():
            test = SIDES["eval"]
            note += f"; only fold {test} is tested"
        notes.append(note)
    table = clip_table(clips.reset_index(drop=True), folder, by_path=True)
    return Listing(table, notes=tuple(notes), published_test=test)
