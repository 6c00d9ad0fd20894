"""Tables of clips as people write them: CSV files, and the one in ESC-50's layout. Folders are in layouts.py.

Every reader returns a Listing: what the source itself says. Groups, folds, sample rate and duration that it
does not say are found or drawn later, see folds.py and load.py.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import pandas as pd

from commandline.registry import RequestError

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
ESC_SAMPLE_RATE, ESC_DURATION = 44_100, 5.0  # Hz, seconds
SURROGATE = re.compile("[\ud800-\udfff]")  # how Python writes a byte that is not UTF-8


@dataclass(frozen=True)
class Listing:
    """Original clips as their source lists them.

    In `table` a `fold` of 0 and a `group` of '' are not known yet, nor is a rate or duration of None.
    `columns` is the CSV behind the table, row by row; empty if there is none. `published_test` is the one
    fold that the publishers test, if they do not test each in turn.
    """

    table: pd.DataFrame
    sample_rate: int | None = None
    duration: float | None = None
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    published_test: int | None = None


def clip_table(
    ids: Sequence[str],
    paths: Sequence[str],
    labels: Iterable[str],
    fold: Iterable[int] | int = 0,
    group: Iterable[str] | str = "",
    category: Iterable[str] | None = None,
) -> pd.DataFrame:
    """The table of original clips. Without `category`: by class name if all are ESC-50's, or synthetic."""
    labels = list(labels)
    if category is None:
        known = (names for names in (ESC50_CATEGORIES, SYNTHETIC_CATEGORIES) if names.keys() >= set(labels))
        names = next(known, dict.fromkeys(labels, ""))
        category = [names[label] for label in labels]
    columns = {"clip_id": ids, "path": paths, "label": labels, "category": category}
    return pd.DataFrame(columns | {"fold": fold, "group": group, "copy_of": "", "alteration": ""})


def ids_by_name(paths: Sequence[str]) -> list[str]:
    """File names without extension; with it if two agree; the path if these agree as well."""
    return _distinct(paths, [lambda path: path.stem, lambda path: path.name, _bare, PurePath.as_posix])


def ids_by_path(paths: Sequence[str]) -> list[str]:
    """Relative paths without extension (`dog/bark 1`); if two agree both keep theirs."""
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
    for name in filter(SURROGATE.search, ids):
        raise RequestError(
            f"the file name {name!r} is not valid Unicode and cannot be written to a table: rename the file"
        )
    return ids


def read_csv(path: Path, columns: Sequence[str] = (), rows: int | None = None) -> pd.DataFrame:
    """Every cell as text, exactly as written; comma, semicolon or tab between them.

    RequestError if the file cannot be read, or lacks one of `columns`.
    """
    if path.exists() and not path.is_file():  # a FIFO is waited for, a device never ends
        raise RequestError(f"{path} cannot be read as a CSV: it is no regular file")
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        frame = pd.read_csv(
            path,
            sep=max(",;\t", key=header.count),
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
    if not set(columns) <= set(frame):
        raise RequestError(f"{path} has the columns {', '.join(frame)}; expected {', '.join(columns)}")
    return frame


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


def read_table(path: Path, audio_dir: Path | None = None) -> Listing:
    """A CSV with `filename,label` or ESC-50's columns; file names are relative to `audio_dir`, else to it."""
    frame = clips = read_csv(path)
    if not len(frame):
        raise RequestError(f"{path} lists no clip")
    if set(ESC_COLUMNS) <= set(frame) and "label" not in frame:
        clips = frame.rename(columns={"category": "label", "src_file": "group"})
    elif not {"filename", "label"} <= set(frame):
        raise RequestError(
            f"{path} has the columns {', '.join(frame)}; expected filename,label "
            f"(and, as you like, fold, group, category) or ESC-50's {','.join(ESC_COLUMNS)}"
        )
    labels = clips["label"].str.strip()
    if (labels == "").any():
        raise RequestError(f"{path}: {clips.loc[labels == '', 'filename'].iloc[0]} has no label")
    names = clips["filename"].tolist()
    table = clip_table(
        ids_by_name(names),
        [audio_path(audio_dir or path.parent, name) for name in names],
        labels,
        whole_folds(clips) if "fold" in clips else 0,
        clips.get("group", ""),
        clips.get("category"),
    )
    return Listing(table, columns=frame)


def is_esc_layout(folder: Path, audio_dir: Path | None = None) -> bool:
    """Whether a folder looks like ESC-50's: a table in meta/, and clips in audio/ or elsewhere."""
    return (audio_dir or folder / "audio").is_dir() and any((folder / "meta").glob("*.csv"))


def read_esc_layout(folder: Path, audio_dir: Path | None = None) -> Listing:
    """Its clips; official folds are kept, groups are the source recordings."""
    files = [path for path in sorted((folder / "meta").glob("*.csv")) if path.is_file()]
    tables = [path for path in files if set(ESC_COLUMNS) <= set(read_csv(path, rows=0))]
    if len(tables) != 1:
        raise RequestError(
            f"{folder / 'meta'} holds {', '.join(path.name for path in tables) or 'none'}; expected one CSV "
            f"with the columns {', '.join(ESC_COLUMNS)}: name one as DATASET=…csv with AUDIO_DIR="
        )
    listing = read_table(tables[0], audio_dir or folder / "audio")
    return replace(listing, sample_rate=ESC_SAMPLE_RATE, duration=ESC_DURATION)
