"""Read tables of clips from CSV files, from folders with one sub-folder for each class,
perhaps within train/, val/ and test/, or in ESC-50's layout.

A reader returns a Listing of what the source holds. folds.py and load.py add missing
groups, folds, sample rate and duration. In a split, only fold 3 (test) is tested, by
models trained on all other clips; with VAL=next they are trained on fold 2 (train) and
validated on fold 1 (val).
"""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError, shortened
from featurestack.base.files import without_dots
from featurestack.base.own_files import NO_DATA
from featurestack.base.quantities import counted
from featurestack.base.shell import make_command
from featurestack.base.table_files import file_column, read_table
from featurestack.features_cache.clip_table import (
    SEPARATOR,
    WINDOW_COLUMNS,
    has_tags,
    marked,
)
from featurestack.features_cache.datasets import beside_hint, is_cache
from featurestack.pipeline.audio import AUDIO_FILE

_CATEGORIES = {  # ESC-50's, and those of this project's clips
    "animals": "dog rooster pig cow frog cat hen insects sheep crow",
    "natural soundscapes and water": (
        "rain sea_waves crackling_fire crickets chirping_birds water_drops wind"
        " pouring_water toilet_flush thunderstorm"
    ),
    "human, non-speech": (
        "crying_baby sneezing clapping breathing coughing footsteps laughing"
        " brushing_teeth snoring drinking_sipping"
    ),
    "interior": (
        "door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening"
        " washing_machine vacuum_cleaner clock_alarm clock_tick glass_breaking"
    ),
    "exterior": (
        "helicopter chainsaw siren car_horn engine train church_bells airplane"
        " fireworks hand_saw"
    ),
    "pitch": "chimes_in_c chimes_in_f_sharp",
    "rhythm": "steady_beat galloping_beat",
    "timbre": "hollow_drone bright_drone",
    "noise colour": "hiss rumble",
    "envelope": "knocks swells",
}
CATEGORY_OF = {  # class -> category
    label: category
    for category, labels in _CATEGORIES.items()
    for label in labels.split()
}
# the columns that are read; `category` holds the class
ESC_COLUMNS = ("filename", "fold", "category", "src_file")
LABEL_LIST = r"""^\[\s*(|['"].*['"])\s*\]$"""  # a Python list of strings
# matches cells with several labels or with a list
SEVERAL_LABELS = rf"{SEPARATOR}|^\[\s*['\"\]]"
LARGEST_FOLD = 1_000_000


HIDDEN_FOLDERS = ("__MACOSX",)  # macOS writes it into archives
# folders of a split, by fold; VAL=next validates the model of fold 3 on fold 1
_SPLIT = {
    1: "val valid validation dev",
    2: "train training",
    3: "test testing eval evaluation",
}
FOLD_OF_FOLDER = {
    folder: fold for fold, folders in _SPLIT.items() for folder in folders.split()
}
TESTED = 3  # the only fold of a split that is tested


class Listing(NamedTuple):
    """Clips as their source lists them.

    `table` has CLIP_COLUMNS, WINDOW_COLUMNS and columns of the source such as
    `filename`. A `fold` of 0 or a `group` of '' is not known yet. `groups` is the
    source's word for a group.
    """

    table: pd.DataFrame
    sample_rate: int | None = None
    duration: float | None = None
    notes: Sequence[str] = ()
    published_test: int | None = None
    groups: str = ""


def clip_table(
    clips: pd.DataFrame, folder: Path, by_path: bool = False
) -> pd.DataFrame:
    """The table of a Listing, from filename (within `folder`), label and others."""
    clips = clips.reset_index(drop=True)
    categories = clips["label"].map(CATEGORY_OF)
    names = clips["filename"]
    folder = folder.resolve()  # clips lie where the sounds are, not below a link
    windows = {*WINDOW_COLUMNS} <= {*clips}
    clips = clips.assign(
        group=clips.get("group", ""),
        path=names.map({name: audio_path(folder, name) for name in names.unique()}),
        **({} if windows else {"start": 0.0, "end": 0.0}),
    )
    refuse_one_clip_twice(clips)
    files = names.unique()
    recordings = names.map(dict(zip(files, clip_ids(files, by_path))))
    if windows:
        clips["group"] = clips["group"].where(clips["group"] != "", recordings)
    clips = clips.assign(
        clip_id=window_ids(clips, recordings),
        category=clips.get("category", "" if categories.hasnans else categories),
        fold=whole_folds(clips) if "fold" in clips else 0,
    )
    return marked(clips, "filename")


def refuse_one_clip_twice(clips: pd.DataFrame) -> None:
    """RequestError if two rows are the same part of a file, however it is spelt, or if
    a file has several names, by which it would count as several recordings.
    """
    files = clips["path"].map({path: file_at(path) for path in clips["path"].unique()})
    again = clips.assign(file=files).duplicated(["file", "start", "end"], keep=False)
    if again.any():
        first, second = clips.index[again & (files == files[again.idxmax()])][:2]
        raise RequestError(
            f"rows {first + 1} and {second + 1} are one clip:"
            f" {clips['filename'][first]} and {clips['filename'][second]}; remove one"
        )
    names = clips.assign(file=files).drop_duplicates(["file", "filename"])
    shared = names[names.duplicated("file", keep=False)].sort_values("file")
    if len(shared):
        first, second = shared["filename"].iloc[:2]
        raise RequestError(
            f"{first} and {second} are one file: its parts are one recording, so give"
            " it one name, or remove one of the two"
        )


def file_at(path: str) -> str:
    """What tells a file from others: its device and inode, so that links and mounts of
    it are one; its path if it is not there.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 for a name with a zero byte
    except (OSError, ValueError):
        return os.path.realpath(path)
    return f"{status.st_dev} {status.st_ino}"


def clip_ids(names: Iterable[str], by_path: bool = False) -> list[str]:
    """File names as ids, or paths if `by_path`, made longer where two are the same."""
    paths = pd.Series([PurePath(name) for name in names], dtype=object)
    for row, path in paths.items():
        if not path.name.strip():
            raise RequestError(
                f"clip {row + 1} of the dataset has no file name: its path is"
                f" {str(path)!r}"
            )
    with_folders = paths.map(lambda path: path.with_suffix("").as_posix())
    ids = with_folders if by_path else paths.map(lambda path: path.stem)
    longer = [] if by_path else [paths.map(lambda path: path.name), with_folders]
    for names_of_file in (*longer, paths.map(PurePath.as_posix)):
        ids = ids.where(~ids.duplicated(keep=False), names_of_file)
    for name in ids:
        name.encode()  # refuses a name that is not UTF-8 before tables are written
    return ids.tolist()


def window_ids(clips: pd.DataFrame, recordings: "pd.Series[str]") -> "pd.Series[str]":
    """`rec` for all of rec.wav, `rec@12.5` or `rec@12.5-15.5` for a part of it."""
    written = clips[list(WINDOW_COLUMNS)].map(
        lambda seconds: f"{seconds:.6f}".rstrip("0").rstrip(".")
    )
    ids = recordings.where(clips["end"] == 0, recordings + "@" + written["start"])
    return ids.where(~ids.duplicated(keep=False), ids + "-" + written["end"])


def audio_path(audio: Path, name: str) -> str:
    """A file's absolute path; the disk may spell accents in another Unicode form. If
    the table has an absolute path that is gone, the file is looked for in `audio`.
    """
    path = str(without_dots(audio / name))
    moved = without_dots(audio / Path(name).name)
    if Path(name).is_absolute() and not Path(name).exists() and moved.exists():
        path = str(moved)
    composed = unicodedata.normalize("NFC", path)
    decomposed = unicodedata.normalize("NFD", path)
    return next(filter(os.path.exists, (path, composed, decomposed)), path)


def whole_folds(frame: pd.DataFrame) -> pd.Series:
    """The column `fold`, from 1 to LARGEST_FOLD; RequestError for others."""
    folds = pd.to_numeric(frame["fold"], errors="coerce")
    wrong = frame[~(folds.between(1, LARGEST_FOLD) & (folds % 1 == 0))]
    if len(wrong):
        name, fold = wrong[["filename", "fold"]].iloc[0]
        expected = f"a whole number from 1 to {LARGEST_FOLD}"
        raise RequestError(f"{name} has fold {fold!r}; expected {expected}")
    return folds.astype(int)


def split_labels(cells: "pd.Series[str]") -> "pd.Series[str]":
    """The labels of each cell, or of a list in it, as `dog;rain`: sorted, each once.

    >>> split_labels(pd.Series(["rain; dog", "['dog', 'rain']", "[]", "owl"])).tolist()
    ['dog;rain', 'dog;rain', '', 'owl']
    """
    inner = cells.str.extract(LABEL_LIST)[0]
    bare = inner.str.replace(r"""\s*['"]\s*""", "", regex=True)
    cells = cells.mask(inner.notna(), bare.str.replace(",", SEPARATOR))
    names = cells.map(lambda cell: {*map(str.strip, cell.split(SEPARATOR))} - {""})
    return names.map(sorted).map(SEPARATOR.join)


def tags_note(labels: "pd.Series[str]") -> str:
    """A note on the number of clips with several labels, one or none."""
    sizes = labels.str.count(SEPARATOR) + (labels != "")
    several, one, none = (sizes > 1).sum(), (sizes == 1).sum(), (sizes == 0).sum()
    return (
        f"several labels per clip, or none: {counted(several, 'clip')} with several,"
        f" {one:,} with one, {none:,} with none"
    )


def with_seconds(path: Path, clips: pd.DataFrame) -> pd.DataFrame:
    """The rows with `start` and `end` in seconds; RequestError names a line."""
    text = clips[list(WINDOW_COLUMNS)]
    points = text.apply(lambda column: column.str.replace(",", "."))
    seconds = points.apply(pd.to_numeric, errors="coerce")
    whole = text.eq("").all(axis=1)
    seconds[whole] = 0.0
    start, end = (seconds[column] for column in WINDOW_COLUMNS)
    wrong = ~((start >= 0) & (end > start) & (end < np.inf) | whole)
    if wrong.any():
        line = wrong.idxmax()
        first, last = (shortened(cell) for cell in text.loc[line])
        raise RequestError(
            f"{path}, line {line}: the clip lasts from {first!r} to {last!r}; expected"
            " a start and a later end in seconds, or neither for a whole file"
        )
    return clips.assign(start=start, end=end)


def listing_of_table(
    path: Path, audio_dir: Path, subset: str = "", label: str = ""
) -> Listing:
    """The clips of a CSV with `filename,label`, or with ESC-50's columns. A single
    column of audio files may have any name. Commas in a cell separate labels if the
    column is called `labels`.

    audio_dir  the folder of relative file names, and of files whose absolute paths
               are gone
    subset     a column of True and False: only clips with True are read
    label      LABEL=, which gives the labels, so that the table need not have them
    """
    clips = read_table(path)
    if subset:
        clips = clips[clips[subset].str.lower() == "true"]
    if not len(clips):
        raise RequestError(f"{path} lists no clip")
    if set(ESC_COLUMNS) <= set(clips) and "label" not in clips:
        clips = clips.assign(label=clips.pop("category"), group=clips["src_file"])
    elif "labels" in clips and "label" not in clips:
        clips["label"] = clips.pop("labels").str.replace(",", SEPARATOR)
    files = [name for name in clips if AUDIO_FILE.fullmatch(clips[name].iloc[0])]
    if "filename" not in clips:
        if {"file", *WINDOW_COLUMNS} <= set(clips):
            windows = make_command("windows", "AUDIO=FOLDER", f"TABLES={path}")
            raise RequestError(
                f"{path} has sounds within recordings, which {windows} makes a dataset"
            )
        # the only column of audio files, or the one of several whose name says so
        column = files[0] if len(files) == 1 else file_column(files)
        clips = clips.rename(columns={column: "filename"})
    of_column = label in clips
    if of_column or (label and "label" not in clips):
        clips["label"] = clips.get(label, "")
    if not {"filename", "label"} <= set(clips):
        raise RequestError(
            f"{path} has the columns {', '.join(read_table(path))}; expected"
            " filename,label (LABEL= names another column of classes); optionally fold,"
            " group, category, start, end, train_only; or ESC-50's"
            f" {','.join(ESC_COLUMNS)}"
        )
    written = clips["label"].str.strip()
    clips["label"] = split_labels(written)
    if {*WINDOW_COLUMNS} <= {*clips}:
        clips = with_seconds(path, clips)
    unlabelled = clips["filename"][clips["label"] == ""]
    may_lack = "start" in clips or written.str.contains(SEVERAL_LABELS).any()
    if len(unlabelled) and not may_lack and (of_column or not label):
        raise RequestError(
            f"{path}, line {unlabelled.index[0]}: {unlabelled.iloc[0]} has no label,"
            f" like {len(unlabelled):,} of {counted(len(clips), 'row')}: write one, or"
            " remove the rows"
        )
    notes = []
    if has_tags(clips):
        notes = [tags_note(clips["label"])]
    if "split" in clips:
        notes.append("the column split is ignored: FOLDS= and folds decide the tests")
    table = clip_table(clips, audio_dir)
    grouped = "group" in clips and "src_file" not in clips and table["group"].any()
    return Listing(table, notes=notes, groups="group" if grouped else "")


def is_esc_layout(folder: Path) -> bool:
    """Whether a folder looks like ESC-50's: a CSV in meta/, and a folder audio/."""
    return (folder / "audio").is_dir() and any((folder / "meta").glob("*.csv"))


def read_esc_layout(folder: Path, subset: str = "") -> Listing:
    """The clips of a folder in ESC-50's layout; its groups are the recordings."""
    files = [path for path in sorted((folder / "meta").glob("*.csv")) if path.is_file()]
    tables = [path for path in files if set(ESC_COLUMNS) <= set(read_table(path))]
    if len(tables) != 1:
        raise RequestError(
            f"{folder / 'meta'} holds"
            f" {', '.join(path.name for path in tables) or 'none'}; expected one CSV"
            f" with the columns {', '.join(ESC_COLUMNS)}: name one as DATASET=…csv with"
            " AUDIO_DIR="
        )
    return listing_of_table(tables[0], folder / "audio", subset)


def files_below(folder: Path) -> list[str]:
    """Sorted paths below `folder`, relative to it; no hidden or NO_DATA folders."""

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
        visible = [name for name in names if not name.startswith(".")]
        files += [(below / name).as_posix() for name in visible]
    return sorted(files)


def find_recordings(source: Path, option: str = "") -> dict[str, Path]:
    """Map each recording's name, or its path below AUDIO= or `option`, to its file."""
    if source.is_file():
        return {source.name: source}
    below = files_below(source) if source.is_dir() else []
    names = [name for name in below if AUDIO_FILE.fullmatch(name)]
    if not names:
        wrong, hint = "holds no audio file", ""
        if not source.is_dir():
            wrong, hint = "does not exist", beside_hint(source)
        raise RequestError(
            f"{option or f'AUDIO={source}'} {wrong}: give the path of a recording, or"
            f" of a folder of recordings{hint}"
        )
    return {name: source / name for name in names}


def read_folder(folder: Path, label: str = "") -> Listing:
    """The clips of class folders, perhaps within a split. LABEL= takes the classes from
    names, so that clips need no class folder.
    """
    files = pd.Series(files_below(folder), dtype=str)
    audio = files[files.str.fullmatch(AUDIO_FILE)]
    parts = audio.str.split("/")
    depth, tops, inner = parts.str.len(), parts.str[0], parts.str[1]
    above = sorted({*tops[depth > 1]})
    folds = {top: FOLD_OF_FOLDER.get(top.lower(), 0) for top in above}
    if not (folds or (label and len(audio))):
        raise RequestError(
            f"{folder} holds no audio files in sub-folders ({len(audio)} at the top,"
            f" {counted(len(files), 'file')} in all); expected a sub-folder for each"
            " class, ESC-50's audio/ and meta/, or a CSV; LABEL= takes the classes from"
            " names of files"
        )
    # classes in every folder
    folders_with_class = tops[depth > 2].groupby(inner).nunique()
    shared = (folders_with_class == len(folds)).sum()
    sides_known = 0 not in folds.values() and len({*folds.values()}) > 1
    split = sides_known and shared > 1
    clips = pd.DataFrame({"filename": audio, "label": inner if split else tops})
    clips = clips[depth > split if label else depth > 1 + split]
    several = clips["label"][clips["label"].str.contains(SEPARATOR)]
    if len(several):
        raise RequestError(
            f"the class folder {several.iloc[0]}: {SEPARATOR} separates the labels"
            " of a clip; rename the folder"
        )
    notes = []
    if other := len(files) - len(audio):
        notes.append(f"left out, no audio extension: {counted(other, 'file')}")
    if other := len(audio) - len(clips):
        notes.append(f"left out, in no class folder: {counted(other, 'file')}")
    names = {path.name for path in folder.glob("[!.]*/") if not is_cache(path)}
    if empty := sorted(names - {*HIDDEN_FOLDERS, *tops}):
        notes.append(f"no audio in the class folder {', '.join(empty)}")
    tested = TESTED if split and TESTED in folds.values() else None
    if split:
        clips["fold"] = tops.map(folds)
        sides = ", ".join(f"{top} is fold {fold}" for top, fold in folds.items())
        only = f"; only fold {tested} is tested" if tested else ""
        notes.append(f"read as a split: {sides}{only}")
    table = clip_table(clips.reset_index(drop=True), folder, by_path=True)
    return Listing(table, notes=notes, published_test=tested)
