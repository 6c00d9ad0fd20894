"""The clip table: one row per clip, CLIP_COLUMNS in every stage.

`complete` checks and completes a table, `untrainable` says why it cannot be trained on,
`source_changes` how its files have changed since extraction, and `fold_split` gives
each fold's train, validation and test clips. No two sides of a split share a group,
which is a source recording. Clips that the table marks `train_only` are trained on if
their group is neither validated nor tested.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base import NAMED
from featurestack.base.csv_files import read_csv
from featurestack.base.errors import DamagedFile, RequestError
from featurestack.base.files import content_hash

CLIP_COLUMNS = ("clip_id", "path", "label", "category", "fold", "group", "train_only")
# cells of train_only, in small letters, and what they mean
MARKS = {"": "", "0": "", "0.0": "", "false": "", "1": "1", "1.0": "1", "true": "1"}
WINDOW_COLUMNS = ("start", "end")  # seconds in the file; 0 to 0 is the whole file
SEPARATOR = ";"  # between labels in a cell; an empty cell means none of the classes
SOURCE_COLUMNS = {
    "source_size": np.int64,
    "source_time_ns": np.int64,
    "source_hash": str,
    "source_seconds": np.float64,  # duration of the audio; 0 if unknown
}
# columns of sources' tables and of folds.csv that do not describe a recording
SOURCE_TABLE_COLUMNS = (
    "filename",
    "alteration",
    "grouped_by",
    "split",
    "subset",
    "target",
    "seconds",
)
INDEX_COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS, *WINDOW_COLUMNS)
# a table's other columns may be speakers, sites or devices
KNOWN_COLUMNS = frozenset((*INDEX_COLUMNS, *SOURCE_TABLE_COLUMNS))
# columns of predictions.csv and of what predict writes: no class has these names
NO_CLASS_NAMES = (
    "clip_id",
    "group",
    "split",
    "selection",
    "target",
    "fold",
    "file",
    "predicted",
    "start",
    "end",
)
NEEDED = ("clip_id", "label", "fold")  # other columns may be absent


def has_windows(table: pd.DataFrame) -> bool:
    """Whether some clip is a part of its file."""
    return bool((table["end"] > 0).any())


def spans(table: pd.DataFrame) -> list[tuple[float, float]]:
    """(start, end) in seconds of each clip in its file; 0 to 0 is the whole file."""
    return list(zip(table["start"].tolist(), table["end"].tolist()))


def refuse_class_names(names: Iterable[str]) -> None:
    if taken := ", ".join(sorted(set(names) & set(NO_CLASS_NAMES))):
        raise RequestError(
            f"{taken}: no class may have the name of a column of predictions; rename"
            " them"
        )


def has_tags(table: pd.DataFrame) -> bool:
    """Whether any clip has several labels or none; then every clip may."""
    several = table["label"].str.contains(SEPARATOR, regex=False)
    return bool((several | (table["label"] == "")).any())


def by_label(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a row for each label of a clip; a clip with none has a row ''."""
    labels = table["label"].str.split(SEPARATOR)
    return table.assign(label=labels).explode("label")


def classes_in(table: pd.DataFrame) -> list[str]:
    return sorted({*by_label(table)["label"]} - {""})


def label_indicator(labels: Iterable[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """(N, K): whether each clip has each of the classes among its labels.

    >>> label_indicator(["dog", "dog;rain", ""], ["dog", "rain"]).tolist()
    [[True, False], [True, True], [False, False]]
    """
    codes, texts = pd.factorize(pd.Series([*labels], dtype=object))
    has = pd.Series(texts, dtype=object).str.get_dummies(SEPARATOR)
    return has.reindex(columns=classes, fill_value=0).to_numpy(bool)[codes]


def marked(clips: pd.DataFrame, names: str = "clip_id") -> pd.DataFrame:
    """The clips with the column `train_only`: 1 for a clip that is only ever trained
    on, else ''. RequestError for any other cell names its clip by the column `names`.
    """
    absent = pd.Series("", clips.index)
    given = clips.get("train_only", absent).astype(object)
    cells = given.where(given.notna(), "").astype(str)
    marks = cells.str.strip().str.lower().map(MARKS)
    wrong = marks.isna()
    if wrong.any():
        raise RequestError(
            f"{clips[names][wrong].iloc[0]} has train_only {cells[wrong].iloc[0]!r};"
            " expected 1 for a clip that is only ever trained on, else nothing"
        )
    return clips.assign(train_only=marks)


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The clips that are tested: all but those marked `train_only`."""
    return table[table["train_only"] == ""]


def with_own_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The table in which a clip without a group is its own group; RequestError if the
    clip is marked `train_only`, since the recording it was made of may be tested.
    """
    blank = table["group"].str.strip() == ""
    if (unknown := blank & (table["train_only"] != "")).any():
        raise RequestError(
            f"{table['clip_id'][unknown].iloc[0]} is marked train_only and has no"
            " group: expected the source recording that it was made of, or a name of"
            " its own if it was made of none"
        )
    return table.assign(group=table["group"].where(~blank, table["clip_id"]))


def rows_of(ids: NDArray, among: NDArray) -> NDArray[np.intp]:
    """(N,) each id's position in `among`, -1 if it is not there."""
    if np.array_equal(ids, among):
        return np.arange(len(ids))
    if not pd.Index(among).is_unique:
        raise DamagedFile("clip_id names a clip twice")
    return pd.Index(among).get_indexer(pd.Index(ids)).astype(np.intp)


def untrainable(clips: pd.DataFrame) -> str:
    """Why no model can be trained and tested on these clips, and what helps, or ''."""
    clips = originals(clips)
    if has_windows(clips) and not (clips["label"] != "").any():
        return "no piece has a label: there is nothing to learn"
    if reason := too_few_classes(clips):
        return reason
    if clips["fold"].nunique() > 1:
        return ""
    groups = clips["group"].nunique()
    if has_windows(clips):
        way = "give parts of a recording, such as every two minutes, their own groups"
    elif groups == 1:
        way = "add clips of a second source recording, or distinguish them by GROUP="
    else:
        way = "folds are drawn if the table has no column fold"
    return f"one fold only, and testing needs two: {way}"


def too_few_classes(clips: pd.DataFrame) -> str:
    """Why these clips have too few classes to learn, or ''; windows may have one."""
    labels = clips["label"].unique()
    if len(labels) > 1 or has_windows(clips):
        return ""
    named = ", ".join(labels) or "no label"
    return (
        f"one class only ({named}), and training needs two: give each a sub-folder, or"
        " give DATASET= a CSV with a label for each file"
    )


def complete(table: pd.DataFrame | Mapping[str, object]) -> pd.DataFrame:
    """The table with all columns of clips; RequestError names what is wrong."""
    if missing := [column for column in NEEDED if column not in table]:
        raise RequestError(
            f"the clip table lacks the columns {', '.join(missing)}; it has"
            f" {', '.join(table)}"
        )
    given = marked(pd.DataFrame(table).reset_index(drop=True))
    clean = given.reindex(columns=list(CLIP_COLUMNS), fill_value="")
    for column in CLIP_COLUMNS:
        if column != "fold":
            clean[column] = clean[column].fillna("").astype(str)
    try:
        # Int64 refuses fractions
        clean["fold"] = clean["fold"].astype("Int64").astype(np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(
            f"the clip table's folds are not whole numbers: {error}"
        ) from None
    places = given.reindex(columns=list(WINDOW_COLUMNS), fill_value=0.0)
    clean[list(WINDOW_COLUMNS)] = places.astype(np.float64)
    ids = clean["clip_id"]
    if not len(ids):
        raise RequestError("the clip table is empty")
    if (nameless := ids == "").any():
        row = int(nameless.argmax())
        raise RequestError(f"row {row} of the clip table has no clip_id")
    if (twice := ids[ids.duplicated()]).size:
        raise RequestError(f"clip ids occur twice: {', '.join(twice[:5])}")
    if not len(originals(clean)):
        raise RequestError("every clip is marked train_only: none is left to test")
    return with_own_groups(clean)


def with_sources(table: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from `known`."""
    sources = pd.DataFrame(known, columns=["clip_id", *SOURCE_COLUMNS])
    sources = sources.set_index("clip_id")
    columns = {}
    for name, kind in SOURCE_COLUMNS.items():
        column = sources[name].reindex(table["clip_id"], fill_value=kind())
        columns[name] = column.astype(kind).to_numpy()
    return table.assign(**columns)


def source_changes(
    clips: pd.DataFrame, settings: Mapping[str, Any], folds: Path
) -> str:
    """How the files have changed since extraction, such as `3 clips new`; '' if no
    audio is there. `folds` is the dataset's folds.csv.

    Audio files are compared by size and time, and by content if the time differs; a
    table by its number of rows, and by content if that is equal. Labels, folds and
    groups may have changed, also in `folds`. New files are looked for next to known
    ones, but not in a folder with a CSV table, which may leave files out on purpose.
    """
    clips = clips[clips["path"] != ""]
    files = clips.drop_duplicates("path")
    states = [audio_state(file) for file in files.itertuples()]
    gone = files[[state == "removed" for state in states]]
    if len(gone) == len(files):
        return ""
    new = 0
    edited = []
    source = settings["source"]
    place = Path(source)
    if source not in NAMED and place.is_file():
        with suppress(RequestError):  # `make features` names what is wrong in it
            new = len(read_csv(place)) - len(clips)
            if not new and settings.get("table") not in (None, content_hash(place)):
                edited = [f"{place.name} was edited"]
    elif source not in NAMED and place.is_dir():
        new = new_files(place, set(files["path"]))
    counts = {
        "new": max(0, new),
        "removed": len(gone) + max(0, -new),
        "changed": states.count("changed"),
    }
    parts = [
        f"{count:,} {'clip' if count == 1 else 'clips'} {what}"
        for what, count in counts.items()
        if count
    ]
    if has_other_folds(clips, folds):
        edited.append(f"{folds.name} has other groups or folds")
    return ", ".join(parts + edited)


def has_other_folds(clips: pd.DataFrame, folds: Path) -> bool:
    """Whether folds.csv gives one of these clips another group or fold; False if the
    file has no such columns.
    """
    columns = ["group", "fold"]
    try:
        given = read_csv(folds, missing=()).set_index("clip_id")[columns]
    except (OSError, KeyError, RequestError):
        return False
    own = clips.set_index("clip_id")[columns].astype(str)
    given = given[~given.index.duplicated()]
    known = own.index.intersection(given.index)
    return not own.loc[known].equals(given.loc[known].astype(str))


def audio_state(file: Any) -> str:
    """`same`, `changed` or `removed`; `same` for a file not found at extraction."""
    if not (file.source_size or file.source_time_ns):
        return "same"
    path = Path(file.path)
    try:
        status = path.stat()
        same = status.st_size == file.source_size and (
            status.st_mtime_ns == file.source_time_ns
            or content_hash(path) == file.source_hash
        )
    except OSError:
        return "removed"
    return "same" if same else "changed"


def new_files(folder: Path, known: Collection[str]) -> int:
    """The number of unknown files next to known ones and with the same endings."""
    if any(folder.glob("*.csv")) or any(folder.glob("*/*.csv")):
        return 0
    endings = {Path(path).suffix for path in known}
    new = 0
    for place in {Path(path).parent for path in known}:
        for file in place.glob("[!.]*"):
            new += file.suffix in endings and str(file) not in known
    return new


Ids = NDArray[np.object_]
VALIDATION_FRACTION = 0.15  # the part of the training groups that VAL=group sets aside


@dataclass(frozen=True)
class Split:
    """Clip ids of one fold's split, in the table's order.

    `train` holds originals, then clips that are only trained on; `statistics` the
    originals only; `left_out` originals whose group is tested or validated.
    """

    train: Ids
    test: Ids
    val: Ids
    statistics: Ids
    left_out: Ids


def fold_split(
    table: pd.DataFrame,
    fold: int,
    *,
    val: Literal["none", "next", "group"] = "none",
    seed: int = 0,
) -> Split:
    """The split in which `fold` is tested; RequestError if a side would be empty.

    `val` sets the next fold aside, or 15 % of the training groups, drawn from `seed`.
    """
    clips = originals(table)
    folds = sorted(clips["fold"].unique().tolist())
    if fold not in folds:
        raise RequestError(f"there is no fold {fold}; the folds are {folds}")
    test = clips[clips["fold"] == fold]
    rest = clips[clips["fold"] != fold]
    candidates = drop_leaking(rest, test)
    validated = np.zeros(len(candidates), bool)
    if val == "next":
        following = folds[(folds.index(fold) + 1) % len(folds)]
        validated = candidates["fold"].to_numpy() == following
    elif val == "group":
        rng = np.random.default_rng([seed, fold])
        chosen = draw_groups(candidates, VALIDATION_FRACTION, rng)
        validated = candidates["group"].isin(chosen).to_numpy()
    train = drop_leaking(candidates[~validated], candidates[validated])
    if not len(train) or (val != "none" and not validated.any()):
        raise RequestError(
            f"with fold {fold} tested and VAL={val} no clip is left to train on, or to"
            f" validate on; the folds are {folds}: give more folds, VAL=group or"
            " VAL=none"
        )
    held_out = pd.concat([test, candidates[validated]])
    only_trained = drop_leaking(table.drop(clips.index), held_out)
    used = pd.concat([train, candidates[validated]])["clip_id"]
    return Split(
        train=_ids(pd.concat([train, only_trained])),
        val=_ids(candidates[validated]),
        test=_ids(test),
        statistics=_ids(train),
        left_out=_ids(rest[~rest["clip_id"].isin(used)]),
    )


def whole_split(table: pd.DataFrame) -> Split:
    """The split that trains on every clip, and validates and tests nothing."""
    clips = originals(table)
    trained, none = _ids(clips), _ids(clips[:0])
    every = _ids(pd.concat([clips, table.drop(clips.index)]))
    return Split(train=every, val=none, test=none, statistics=trained, left_out=none)


def _ids(clips: pd.DataFrame) -> Ids:
    return clips["clip_id"].to_numpy(dtype=object)


def drop_leaking(clips: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """The rows of `clips` whose group does not occur in `held_out`."""
    return clips[~clips["group"].isin(set(held_out["group"]))]


def draw_groups(
    clips: pd.DataFrame, share: float, rng: np.random.Generator
) -> set[str]:
    """Draw a share of the groups, by their commonest class, never all of a class."""
    counts = by_label(clips).groupby(["group", "label"]).size()
    # by group, then by name of the label: the first of equally common classes counts
    commonest = counts.sort_values(ascending=False, kind="stable")
    class_of = commonest.reset_index().drop_duplicates("group").set_index("group")
    class_of = class_of["label"].sort_index()
    shuffled = class_of.sample(frac=1, random_state=rng)
    by_class = shuffled.groupby(shuffled, sort=False)
    groups = {label: list(members.index) for label, members in by_class}
    wanted = {label: share * len(members) for label, members in groups.items()}
    taken = {label: min(int(wanted[label]), len(groups[label]) - 1) for label in groups}
    missing = max(1, round(share * len(class_of))) - sum(taken.values())
    # largest remainder first
    for label in sorted(groups, key=lambda label: taken[label] - wanted[label]):
        if missing > 0 and taken[label] < len(groups[label]) - 1:
            taken[label] += 1
            missing -= 1
    return {
        group for label, members in groups.items() for group in members[: taken[label]]
    }
