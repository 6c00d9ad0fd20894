"""Tables of predictions: the documented one, BirdNET's and Perch's.

    clip         name or path of the file, whose last parts say which clip it is
    start, end   seconds of a window in the file
    fold, group  the fold that tested the clip, and its source recording
    label        the true class; several are separated by ;
    then         a column of probabilities for each class; or `predicted` and `score`, a
                 row for each prediction

What would flatter: rows of clips that trained the model, a clip that is counted twice
or left out, numbers that are no probabilities. Such tables are refused; a clip for
which a list of predictions has none of the labels counts as wrong.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.special import expit

from featurestack.commandline.errors import RequestError, first_names, shortened
from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import (
    SEPARATOR,
    WINDOW_COLUMNS,
    has_windows,
)
from featurestack.results.imported import Predictions
from featurestack.storage.files import CLOSED

ROLES = ("clip", *WINDOW_COLUMNS, "fold", "group", "label", "predicted", "score")
# columns of BirdNET-Analyzer (CSV and Raven) and of Perch Hoplite in small letters
ALIASES = {
    "file": "clip",
    "filename": "clip",
    "clip_id": "clip",
    "begin path": "clip",
    "start (s)": "start",
    "begin time (s)": "start",
    "window_start": "start",
    "end (s)": "end",
    "end time (s)": "end",
    "window_end": "end",
    "common name": "predicted",
    "confidence": "score",
    "target": "label",
    "scientific name": "scientific",
    "logits": "logits",
    "split": "split",
}
TABLES = ("*.csv", "*.tsv", "*.txt")
UNNAMED = re.compile(r"(Unnamed: \d+)?")  # pandas writes its index so


def read_tables(path: Path) -> pd.DataFrame:
    """The rows of a file, or of all tables in a folder, indexed by file and line;
    columns that have a role are called by it, and are text.
    """
    files = [path]
    if path.is_dir():
        files = [file for pattern in TABLES for file in sorted(path.glob(pattern))]
    if not files:
        raise RequestError(f"{path} holds no table: expected files ending in .csv")
    return pd.concat([read_table(file) for file in files])


def read_table(file: Path) -> pd.DataFrame:
    """One file, see `read_tables`; RequestError if it is no table."""
    if not file.is_file():  # reading a named pipe would wait for ever
        why = "is no regular file" if file.exists() else "is not there"
        raise RequestError(f"{file} {why}: expected a table of predictions, CSV or TSV")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except PermissionError:
        raise RequestError(f"{file} {CLOSED}") from None
    except ValueError:
        raise RequestError(f"{file} is no UTF-8 text: save it as UTF-8 CSV") from None
    above = 0
    if re.match("sep=.\r?\n", text):  # Excel's line above the header
        above, text = 1, text.partition("\n")[2]
    headers = {
        separator: next(csv.reader(io.StringIO(text), delimiter=separator), [])
        for separator in ",;\t"
    }
    separator = max(headers, key=lambda each: len(headers[each]))
    header = headers[separator]
    names = [name.strip() for name in header]
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise RequestError(f"{file} has two columns called {twice[0]!r}: rename one")
    roles = roles_of(names)
    expected = f"expected {len(names)} as in the header, and decimal points"
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype={name: str for name in header if name.strip() in roles},
            keep_default_na=False,
            skip_blank_lines=False,
            low_memory=False,
        )
    except ValueError as error:
        line, fields = re.findall(r"line (\d+), saw (\d+)", str(error))[0] or (1, "no")
        where = f"{file}, line {int(line) + above}"
        raise RequestError(f"{where}: {fields} fields; {expected}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise RequestError(f"{file}, line {2 + above}: too many fields; {expected}")
    frame.columns = pd.Index([roles.get(name, name) for name in names])
    frame.index = pd.Index([f"{file}, line {n + 2 + above}" for n in frame.index])
    frame = frame.fillna(dict.fromkeys(roles.values(), ""))
    return frame[((frame != "") & frame.notna()).any(axis=1)]


def roles_of(names: Sequence[str]) -> dict[str, str]:
    """Names of columns -> what they hold, one column for each role."""
    low = {name.lower(): name for name in reversed(names)}
    roles = {role: role for role in ROLES} | ALIASES
    if "logits" in low:  # Perch calls the predicted class `label`
        roles["label"] = "predicted"
    by_role: dict[str, str] = {}
    for word, role in roles.items():
        if word in low:
            by_role.setdefault(role, low[word])
    return {name: role for role, name in by_role.items()}


def predictions_in(
    frame: pd.DataFrame, truth: pd.DataFrame | None = None
) -> Predictions:
    """The predictions of one model.

    frame  rows as `read_tables` has them; its index is for messages
    truth  the clips of the dataset, if it has the true labels instead of the table
    """
    frame = tested_rows(frame)
    if frame.empty:
        raise RequestError("the table of predictions has no row: expected one per clip")
    source = str(frame.index[0]).partition(", ")[0]
    if "clip" not in frame:
        refuse_columns(source, "column `clip`, of files' names", frame)
    if truth is None and "label" not in frame:
        refuse_columns(source, "column `label`, of true labels, and no DATASET=", frame)
    clips = clips_of(frame)
    clips = checked_labels(clips) if truth is None else with_truth(clips, truth)
    every = clips["target"] if truth is None else truth["label"]
    labels = sorted({*every.str.split(SEPARATOR).explode()} - {""})
    tags = bool((every.str.contains(SEPARATOR, regex=False) | (every == "")).any())
    remarks = []
    if "predicted" in frame:
        scores = listed(frame, clips, labels)
        clips = clips.drop_duplicates("clip_id")
        if truth is not None:
            silent = truth_clips(truth[~truth["clip_id"].isin(clips["clip_id"])])
            clips = pd.concat([clips, silent])
        scores = scores.reindex(clips["clip_id"], fill_value=0.0)
        if not tags:
            scores, wrong = whole(scores)
            text = f"{counted(wrong, 'clip')} without a predicted label count as wrong"
            remarks += [text] if wrong else []
    else:
        classes = class_columns(frame, labels, source)
        again = clips.duplicated("clip_id")
        if truth is None and again.any():
            clip = shortened(clips["clip_id"][again.idxmax()])
            raise RequestError(f"{again.idxmax()}: clip {clip} has two rows")
        scores = numbers(frame, classes, most=1).groupby(clips["clip_id"]).max()
        clips = clips.drop_duplicates("clip_id")
        scores = scores.reindex(clips["clip_id"])
        if truth is not None and len(clips) < len(truth):
            remarks.append(f"only {len(clips)} of {len(truth)} clips are predicted")
    if (clips["group"] == clips["clip_id"]).all():
        remarks.append("no column `group`: clips count as independent recordings")
    clips = clips.reset_index(drop=True)
    task = "tags" if tags else "classes"
    return Predictions(clips, scores.reset_index(drop=True), task, tuple(remarks))


def refuse_columns(source: str, what: str, frame: pd.DataFrame) -> NoReturn:
    given = shortened(", ".join(map(str, frame)))
    raise RequestError(f"{source} has no {what}: it has the columns {given}")


def tested_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of tested clips, if a column `split` tells them apart."""
    if "split" not in frame:
        return frame
    split = frame["split"].str.strip().str.lower()
    if split.nunique() > 1 and not (split == "test").any():
        raise RequestError(
            f"{frame.index[0]}: the column `split` has {', '.join(split.unique())}:"
            " write test where the model was not trained, or remove the other rows"
        )
    return frame[split == "test"] if split.nunique() > 1 else frame


def clips_of(frame: pd.DataFrame) -> pd.DataFrame:
    """clip_id, target, group, fold of each row, and start and end of windows. A
    window's clip is `file@start`, its group the file.
    """
    file = frame["clip"].str.strip().str.replace("\\", "/", regex=False)
    clips = pd.DataFrame({"file": file, "clip_id": file})
    clips["group"] = (
        frame["group"].where(frame["group"] != "", file) if ("group" in frame) else file
    )
    clips["fold"] = frame["fold"].str.strip() if "fold" in frame else "1"
    clips["target"] = frame["label"].str.strip() if "label" in frame else ""
    if "start" in frame:
        clips["start"] = numbers(frame, ["start"])["start"]
        clips["clip_id"] += at_start(clips["start"])
        end = [name for name in ["end"] if name in frame]
        clips["end"] = numbers(frame, end)["end"] if end else clips["start"] + 1
    return clips


def at_start(seconds: "pd.Series[float]") -> "pd.Series[str]":
    """The end of the names of windows that start so in their file: @12.5."""
    return "@" + seconds.map("{:.10g}".format)


def checked_labels(clips: pd.DataFrame) -> pd.DataFrame:
    """The clips; RequestError if one has no label, or two labels, folds or groups."""
    several = clips["target"].str.contains(SEPARATOR, regex=False).any()
    if (lacking := clips["target"] == "").any() and not several:
        raise RequestError(f"{lacking.idxmax()}: the clip has no label")
    for what in ("target", "fold", "group"):
        first = clips.groupby("clip_id", sort=False)[what].transform("first")
        if (wrong := first != clips[what]).any():
            name = "labels" if what == "target" else f"{what}s"
            row = wrong.idxmax()
            clip = shortened(clips["clip_id"][row])
            raise RequestError(f"{row}: clip {clip} has two {name}; expected one")
    return clips


def truth_clips(truth: pd.DataFrame) -> pd.DataFrame:
    """The columns of `Predictions.clips` of a dataset's clips."""
    spans = [*WINDOW_COLUMNS] if has_windows(truth) else []
    named = truth.rename(columns={"label": "target"})
    return named[["clip_id", "target", "group", *spans]].assign(
        fold=truth["fold"].astype(str)
    )


def with_truth(clips: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The dataset's clip of each row, by its id, else by as many of the last parts of
    its path as tell the dataset's files apart.
    """
    windows = has_windows(truth) and "start" in clips
    ways = [(clips["clip_id"], truth["clip_id"]), (clips["file"], truth["clip_id"])]
    for parts in (1, 2, 3, 4):
        names, own = last_parts(clips["file"], parts), last_parts(truth["path"], parts)
        if windows:
            names, own = (
                names + at_start(clips["start"]),
                own + at_start(truth["start"]),
            )
        ways.append((names, own))
    for names, own in ways:
        unique = own[~own.duplicated(keep=False)]
        places = names.map(pd.Series(unique.index, unique))
        if places.notna().all():
            return truth_clips(truth.loc[places]).set_index(clips.index)
    row = places.isna().idxmax()
    raise RequestError(
        f"{row}: {shortened(clips['clip_id'][row])} is not among the {len(truth):,}"
        " clips of the dataset; expected the same file names"
    )


def last_parts(paths: "pd.Series[str]", parts: int) -> "pd.Series[str]":
    """The last parts of these paths, without the ending of the file."""
    whole = paths.str.replace(r"\.\w{1,5}$", "", regex=True)
    return whole.str.split("/").str[-parts:].str.join("/")


def class_columns(frame: pd.DataFrame, labels: Sequence[str], source: str) -> list[str]:
    """The columns of probabilities; RequestError if a label has none."""
    known = {*ROLES, *ALIASES.values()}
    classes = [name for name in frame if not (name in known or UNNAMED.fullmatch(name))]
    for label in labels:
        if label not in classes:
            columns = f"column of probabilities of the class {label!r}"
            refuse_columns(source, f"{columns}, nor `predicted` and `score`", frame)
    return classes


def numbers(
    frame: pd.DataFrame, columns: Sequence[str], most: float = np.inf
) -> pd.DataFrame:
    """The columns as numbers from 0 to `most`; RequestError for another cell."""
    values = {}
    for name in columns:
        cells = frame[name]
        if not is_numeric_dtype(cells):  # 0,9 where ; is between cells
            cells = cells.astype(str).str.replace(",", ".", regex=False)
        values[name] = pd.to_numeric(cells, errors="coerce").astype(float)
        sound = values[name].between(0, most) & (values[name] < np.inf)
        if not sound.all():
            row = sound.idxmin()
            number = "probability from 0 to 1" if most == 1 else "number of seconds"
            raise RequestError(
                f"{row}, column {name}: {shortened(str(frame[name][row]))!r} is no"
                f" {number}; a column of other content has to be removed"
            )
    return pd.DataFrame(values)


def listed(
    frame: pd.DataFrame, clips: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """clip_id × label: the highest score of a table with a row for each prediction.

    A clip whose highest is another class than one of the labels has 0 for all.
    """
    score = pd.Series(1.0, frame.index)
    if "logits" in frame:
        logits = pd.to_numeric(frame["logits"], errors="coerce")
        frame = frame.assign(score=expit(logits))
    if "score" in frame:
        score = numbers(frame, ["score"], most=1)["score"]
    predicted = frame["predicted"].str.strip()
    if "scientific" in frame and not {*predicted} & {*labels}:
        predicted = frame["scientific"].str.strip()
    rows = pd.DataFrame({"clip": clips["clip_id"], "name": predicted, "score": score})
    rows = rows.assign(name=rows["name"].str.split(SEPARATOR)).explode("name")
    highest = rows.groupby(["clip", "name"])["score"].max().unstack(fill_value=0.0)
    if not {*highest} & {*labels}:
        raise RequestError(
            f"{frame.index[0]}: no predicted class is a label: predicted are"
            f" {first_names([*highest])}, labels are {first_names(labels)}"
        )
    scores = highest.reindex(columns=labels, fill_value=0.0)
    scores[highest.max(axis=1) > scores.max(axis=1)] = 0.0
    return scores


def whole(scores: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Scores of one label as probabilities: the rest belongs to all classes alike. And
    how many clips have no score.
    """
    sums = scores.sum(axis=1)
    rest = (1 - sums).clip(lower=0).where(sums > 0, 0) / len(scores.columns)
    return scores.add(rest, axis=0), int((sums == 0).sum())
