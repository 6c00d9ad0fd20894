"""Tables of clips from what users have: folders of classes, ESC-50's layout, CSV files as people write them.

Each reader returns FoundClips: what the source itself says. Groups, folds, sample rate and duration that it
does not say are found or drawn later, see folds.py and load.py.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import pandas as pd

from commandline.registry import RequestError
from commandline.terminal import counted
from pipeline.audio import AUDIO_FILE

_ESC = {
    "animals": "dog rooster pig cow frog cat hen insects sheep crow",
    "natural soundscapes and water": (
        "rain sea_waves crackling_fire crickets chirping_birds water_drops wind pouring_water toilet_flush "
        "thunderstorm"
    ),
    "human, non-speech": (
        "crying_baby sneezing clapping breathing coughing footsteps laughing brushing_teeth snoring "
        "drinking_sipping"
    ),
    "interior": (
        "door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine "
        "vacuum_cleaner clock_alarm clock_tick glass_breaking"
    ),
    "exterior": "helicopter chainsaw siren car_horn engine train church_bells airplane fireworks hand_saw",
}
_SYNTHETIC = {
    "pitch": "chimes_in_c chimes_in_f_sharp",
    "rhythm": "steady_beat galloping_beat",
    "timbre": "hollow_drone bright_drone",
    "noise colour": "hiss rumble",
    "envelope": "knocks swells",
}
ESC50_CATEGORIES, SYNTHETIC_CATEGORIES = (  # class -> category
    {label: category for category, labels in categories.items() for label in labels.split()}
    for categories in (_ESC, _SYNTHETIC)
)
ESC_COLUMNS = ("filename", "fold", "category", "src_file")  # those that are used; `category` holds the class
TABLE_COLUMNS = ("filename", "label", "fold", "group", "category")
NO_HEADER = re.compile(r"Unnamed: \d+")  # what pandas calls a column without a name
ESC_SAMPLE_RATE, ESC_DURATION = 44_100, 5.0  # Hz, seconds
SHOWN_LABELS = 3


@dataclass(frozen=True)
class FoundClips:
    """Original clips as a reader found them; what their source does not say is still to be found or drawn.

    In `table` a `fold` of 0 and a `group` of '' are not known yet; a rate or duration of None is to be
    found in the files. `columns` is the file behind the table, row by row, where there is one;
    `unused_columns` those of a user's own that nothing was read from; `published_test` the one fold that
    the publishers test, where it is not each in turn.
    """

    table: pd.DataFrame
    sample_rate: int | None = None
    duration: float | None = None
    columns: pd.DataFrame | None = None
    unused_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    published_test: int | None = None


def categories_of(labels: Sequence[str]) -> list[str]:
    """The category of every label where all of them are ESC-50's (or the synthetic dataset's), else ''."""
    for known in (ESC50_CATEGORIES, SYNTHETIC_CATEGORIES):
        if set(labels) <= known.keys():
            return [known[label] for label in labels]
    return [""] * len(labels)


def ids_by_name(paths: Sequence[str]) -> list[str]:
    """File names without extension; with it where two agree; the path where these agree as well."""
    return _distinct(paths, [lambda path: path.stem, lambda path: path.name, _bare, PurePath.as_posix])


def ids_by_path(paths: Sequence[str]) -> list[str]:
    """Relative paths without extension (`dog/bark 1`); where two agree both keep theirs."""
    return _distinct(paths, [_bare, PurePath.as_posix])


def _bare(path: PurePath) -> str:
    return path.with_suffix("").as_posix()


def _distinct(paths: Sequence[str], namings: Sequence[Callable[[PurePath], str]]) -> list[str]:
    """Each path's id by the first naming under which it agrees with no other."""
    ids = [""] * len(paths)
    waiting = list(range(len(paths)))
    for naming in namings:
        for number in waiting:
            ids[number] = naming(PurePath(paths[number]))
        times = Counter(ids)
        waiting = [number for number in waiting if times[ids[number]] > 1]
    if waiting:
        raise RequestError(f"{paths[waiting[0]]} is listed twice; a clip is one row")
    for name in ids:
        _refuse_unwritable(name)
    return ids


def _refuse_unwritable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"the file name {name!r} is not valid Unicode and cannot be written to a table: rename the file"
        ) from None


def read_csv(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Every cell as text, exactly as written; comma, semicolon or tab between them."""
    if path.exists() and not path.is_file():  # a FIFO is waited for, a device never ends
        raise RequestError(f"{path} cannot be read as a CSV: it is no regular file")
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        return pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            nrows=rows,
            skipinitialspace=True,
        )
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text: save it as UTF-8 CSV") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise RequestError(f"{path} cannot be read as a CSV: {str(error).strip()}") from None


def audio_path(audio: Path, name: str) -> str:
    """The absolute path of an audio file that a table names; accents may be composed otherwise on disk."""
    path = audio.absolute() / name
    spellings = (path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD")))
    return str(next((spelling for spelling in spellings if spelling.exists()), path))


def whole_folds(frame: pd.DataFrame) -> pd.Series:
    """The column `fold` as whole numbers from 1."""
    folds = pd.to_numeric(frame["fold"], errors="coerce")
    wrong = frame[~((folds >= 1) & (folds % 1 == 0))]
    if len(wrong):
        row = wrong.iloc[0]
        raise RequestError(f"{row['filename']} has fold {row['fold']!r}; expected a whole number from 1")
    return folds.astype(int)


def describe_labels(labels: Iterable[str]) -> list[str]:
    """Lines on classes that may be one, and on labels that may be several: `dog;rain` beside dog and rain.

    >>> describe_labels(["dog", "Dog", "rain", "dog;rain"])[0]
    'classes that differ by case alone: Dog and dog; each is a class'
    """
    names = sorted(set(labels))
    alike, parts = defaultdict(list), {name: re.split(r"\s*[;|,]\s*", name) for name in names}
    for name in names:
        alike[name.casefold()].append(name)
    by_case = [" and ".join(spellings) for spellings in alike.values() if len(spellings) > 1]
    times = Counter(part for name in names for part in set(parts[name]))
    several = [
        name for name in names if len(parts[name]) > 1 and all(times[part] > 1 for part in parts[name])
    ]
    lines = [f"classes that differ by case alone: {'; '.join(by_case)}; each is a class"] if by_case else []
    if several:
        shown = ", ".join(repr(name) for name in several[:SHOWN_LABELS])
        lines.append(f"one label a clip is read, so each of {shown} is a class of its own")
    return lines


def read_class_folders(folder: Path) -> FoundClips:
    """Any folder of clips, one sub-folder a class, nested as deep as one likes: every audio file, by path.

    What was left out is named in the notes.
    """
    files = files_below(folder)
    audio = [name for name in files if AUDIO_FILE.fullmatch(name)]
    clips = [name for name in audio if len(PurePath(name).parts) > 1]
    if not clips:
        raise RequestError(
            f"{folder} holds no audio files in sub-folders ({len(audio)} beside each other, "
            f"{counted(len(files), 'file')} in all); expected one sub-folder a class, as in "
            f"{folder.name}/dog/1.wav, "
            "ESC-50's audio/ and meta/, or a CSV"
        )
    labels = [PurePath(name).parts[0] for name in clips]
    table = pd.DataFrame(
        {
            "clip_id": ids_by_path(clips),
            "path": [str(folder.absolute() / name) for name in clips],
            "label": labels,
            "category": categories_of(labels),
            "fold": 0,
            "group": "",
            "copy_of": "",
            "alteration": "",
        }
    )
    empty = _empty_folders(folder, labels)
    return FoundClips(table, notes=(*_left_out(files, audio, clips), *empty))


def files_below(folder: Path) -> list[str]:
    """Relative paths, sorted; links are followed; names that begin with a dot are the system's."""
    found = []
    seen = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_unreadable):
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


def _refuse_unreadable(error: OSError) -> None:
    raise RequestError(f"{error.filename} cannot be read: {error.strerror}") from None


def _left_out(files: list[str], audio: list[str], clips: list[str]) -> tuple[str, ...]:
    others = Counter(PurePath(name).suffix.lower() or "no extension" for name in set(files) - set(audio))
    notes = []
    if others:
        kinds = ", ".join(f"{times} of {kind}" for kind, times in others.most_common())
        notes.append(f"left out, not audio files by their names: {kinds}")
    if len(audio) > len(clips):
        notes.append(f"left out, in no class folder: {counted(len(audio) - len(clips), 'audio file')}")
    return tuple(notes)


def _empty_folders(folder: Path, labels: list[str]) -> tuple[str, ...]:
    """A line on class folders that hold no audio file: their class does not exist."""
    folders = (path.name for path in folder.iterdir() if path.is_dir() and _may_be_read(path.name))
    empty = sorted(set(folders) - set(labels))
    left_out = "left out as a class" if len(empty) == 1 else "left out as classes"
    return (f"no audio files in {', '.join(empty)}: {left_out}",) if empty else ()


def is_esc_layout(folder: Path, audio_dir: Path | None = None) -> bool:
    """Whether a folder looks like ESC-50's: a table in meta/, and clips in audio/ or elsewhere."""
    return (audio_dir or folder / "audio").is_dir() and any((folder / "meta").glob("*.csv"))


def read_esc_layout(folder: Path, audio_dir: Path | None = None) -> FoundClips:
    """Its clips; official folds are kept, groups are the source recordings."""
    path = _esc_table(folder)
    frame = read_csv(path)
    table = _esc_clips(frame, audio_dir or folder / "audio", path)
    return FoundClips(table, ESC_SAMPLE_RATE, ESC_DURATION, columns=frame)


def _esc_table(folder: Path) -> Path:
    """The one table in meta/ that has ESC-50's columns."""
    found = sorted(
        path
        for path in (folder / "meta").glob("*.csv")
        if path.is_file() and set(ESC_COLUMNS) <= set(read_csv(path, rows=0).columns)
    )
    if len(found) == 1:
        return found[0]
    expected = f"one CSV with the columns {', '.join(ESC_COLUMNS)}"
    listed = ", ".join(path.name for path in found) or "none"
    raise RequestError(
        f"{folder / 'meta'} holds {listed}; expected {expected}: name one as DATASET=…csv with AUDIO_DIR="
    )


def _esc_clips(frame: pd.DataFrame, audio: Path, path: Path) -> pd.DataFrame:
    """The clip table of the rows of `path`, in ESC-50's columns."""
    labels = _labels(frame, "category", path)
    return pd.DataFrame(
        {
            "clip_id": ids_by_name(frame["filename"].tolist()),
            "path": [audio_path(audio, name) for name in frame["filename"]],
            "label": labels,
            "category": categories_of(labels.tolist()),
            "fold": whole_folds(frame),
            "group": frame["src_file"],
            "copy_of": "",
            "alteration": "",
        }
    )


def _labels(frame: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """The classes in a column, without blanks at their ends; a clip without one is refused."""
    labels = frame[column].str.strip()
    if (labels == "").any():
        raise RequestError(f"{path}: {frame.loc[labels == '', 'filename'].iloc[0]} has no label")
    return labels


def read_table(path: Path, audio_dir: Path | None = None) -> FoundClips:
    """Its clips; file names are absolute, or relative to `audio_dir` or else to the CSV."""
    frame = read_csv(path)
    if not len(frame):
        raise RequestError(f"{path} lists no clip")
    audio = audio_dir or path.parent
    if set(ESC_COLUMNS) <= set(frame.columns) and "label" not in frame.columns:
        return FoundClips(_esc_clips(frame, audio, path), columns=frame)
    missing = [column for column in TABLE_COLUMNS[:2] if column not in frame.columns]
    if missing:
        raise RequestError(
            f"{path} has the columns {', '.join(frame.columns)}; expected filename,label "
            f"(and, as you like, fold, group, category) or ESC-50's {','.join(ESC_COLUMNS)}"
        )
    frame["label"] = _labels(frame, "label", path)
    others = (column for column in frame.columns if column not in TABLE_COLUMNS)
    unused = tuple(column for column in others if not NO_HEADER.fullmatch(column))
    return FoundClips(_table_clips(frame, audio), columns=frame, unused_columns=unused)


def _table_clips(frame: pd.DataFrame, audio: Path) -> pd.DataFrame:
    given = frame.columns
    labels = frame["label"].tolist()
    return pd.DataFrame(
        {
            "clip_id": ids_by_name(frame["filename"].tolist()),
            "path": [audio_path(audio, name) for name in frame["filename"]],
            "label": labels,
            "category": frame["category"] if "category" in given else categories_of(labels),
            "fold": whole_folds(frame) if "fold" in given else 0,
            "group": frame["group"] if "group" in given else "",
            "copy_of": "",
            "alteration": "",
        }
    )
