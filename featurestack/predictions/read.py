"""`make analysis PREDICTIONS=`: each table of predictions becomes a run folder. Tables
are the documented one, BirdNET's and Perch's.

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

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from scipy.special import expit

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report_inputs import refuse_users_folder
from featurestack.commandline import quantities
from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.features_cache.index import read_index
from featurestack.features_cache.names import cache_folder, dataset_name, is_cache
from featurestack.features_cache.table import (
    SEPARATOR,
    WINDOW_COLUMNS,
    has_windows,
    originals,
)
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.imported import Predictions, write_imported
from featurestack.storage.csv_files import read_csv

ROLES = ("clip", *WINDOW_COLUMNS, "fold", "group", "label", "predicted", "score")
# columns of BirdNET-Analyzer (CSV and Raven) and of Perch Hoplite in small letters
ALIASES = {
    **dict.fromkeys(("file", "filename", "clip_id", "begin path"), "clip"),
    **dict.fromkeys(("start (s)", "begin time (s)", "window_start"), "start"),
    **dict.fromkeys(("end (s)", "end time (s)", "window_end"), "end"),
    "common name": "predicted",
    "confidence": "score",
    "target": "label",
    "scientific name": "scientific",
    # used under their own names, or not at all
    **{name: name for name in ("logits", "split", "selection")},
}
TABLES = ("*.csv", "*.tsv", "*.txt")
# names of the index that pandas writes, as read_csv and pandas call it
UNNAMED = re.compile(r" \d+|Unnamed: \d+")


def read_tables(path: Path) -> pd.DataFrame:
    """The rows of a file, or of all tables in a folder, as text, indexed by file and
    line; columns that have a role are called by it.
    """
    files = [path]
    if path.is_dir():
        files = [file for pattern in TABLES for file in sorted(path.glob(pattern))]
    if not files:
        raise RequestError(f"{path} holds no table: expected files ending in .csv")
    return pd.concat([read_table(file) for file in files])


def read_table(file: Path) -> pd.DataFrame:
    """One file, see `read_tables`."""
    frame = read_csv(file)
    index = [name for name in frame if UNNAMED.fullmatch(name)]
    frame = frame.drop(columns=index).rename(columns=str.strip)
    frame.index = pd.Index([f"{file}, line {line}" for line in frame.index])
    return frame.rename(columns=roles_of([*frame]))


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
    if frame.empty:
        raise RequestError("the table of predictions has no row: expected one per clip")
    frame = tested_rows(frame)
    if "clip" not in frame:
        refuse_columns(frame, "column `clip`, of files' names")
    if truth is None and "label" not in frame:
        refuse_columns(frame, "column `label`, of true labels, and no DATASET=")
    clips = clips_of(frame)
    clips = checked_labels(clips) if truth is None else with_truth(clips, truth)
    every = clips["target"] if truth is None else truth["label"]
    labels = sorted({*every.str.split(SEPARATOR).explode()} - {""})
    tags = bool((every.str.contains(SEPARATOR, regex=False) | (every == "")).any())
    by_clip = clips["clip_id"]
    clips = clips.drop_duplicates("clip_id")
    remarks = []
    if "predicted" in frame:
        scores = listed(frame, by_clip, labels)
        if truth is not None:
            silent = truth_clips(truth[~truth["clip_id"].isin(by_clip)])
            clips = pd.concat([clips, silent])
        scores = scores.reindex(clips["clip_id"], fill_value=0.0)
        wrong = scores.sum(axis=1) == 0
        if not tags:  # the rest of a score belongs to all classes alike
            rest = (1 - scores.sum(axis=1)).clip(lower=0) / len(labels)
            scores = scores.add(rest.where(~wrong, 0.0), axis=0)
            if wrong.any():
                silent = counted(int(wrong.sum()), "clip")
                remarks.append(f"{silent} without a predicted label count as wrong")
    else:
        classes = class_columns(frame, labels)
        again = by_clip.duplicated()
        if truth is None and again.any():
            row = again.idxmax()
            raise RequestError(f"{row}: clip {shortened(by_clip[row])} has two rows")
        scores = numbers(frame, classes, most=1).groupby(by_clip).max()
        scores = scores.reindex(clips["clip_id"])
        if truth is not None and len(clips) < len(truth):
            remarks.append(f"only {len(clips)} of {len(truth)} clips are predicted")
    if (clips["group"] == clips["clip_id"]).all():
        remarks.append("no column `group`: clips count as independent recordings")
    return Predictions(
        clips.reset_index(drop=True),
        scores.reset_index(drop=True),
        "tags" if tags else "classes",
        tuple(remarks),
    )


def refuse_columns(frame: pd.DataFrame, what: str) -> NoReturn:
    source = str(frame.index[0]).partition(", ")[0]
    given = shortened(", ".join(map(str, frame)))
    raise RequestError(f"{source} has no {what}: it has the columns {given}")


def tested_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of tested clips, if a column `split` distinguishes them."""
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
    group = frame["group"].str.strip() if "group" in frame else file
    clips["group"] = group.where(group != "", file)
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
            names = names + at_start(clips["start"])
            own = own + at_start(truth["start"])
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


def class_columns(frame: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """The columns of probabilities; RequestError if a label has none."""
    known = {*ROLES, *ALIASES.values()}
    classes = [name for name in frame if name not in known]
    for label in labels:
        if label not in classes:
            columns = f"column of probabilities of the class {label!r}"
            refuse_columns(frame, f"{columns}, nor `predicted` and `score`")
    return classes


def numbers(
    frame: pd.DataFrame, columns: Sequence[str], most: float = np.inf
) -> pd.DataFrame:
    """The columns as numbers from 0 to `most`; RequestError for another cell."""
    values = {}
    for name in columns:
        cells = frame[name]
        values[name] = pd.to_numeric(cells, errors="coerce").astype(float)
        if values[name].isna().any():  # 0,9 where ; is between cells
            points = cells.astype(str).str.replace(",", ".", regex=False)
            values[name] = pd.to_numeric(points, errors="coerce").astype(float)
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
    frame: pd.DataFrame, clips: "pd.Series[str]", labels: Sequence[str]
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
    rows = pd.DataFrame({"clip": clips, "name": predicted, "score": score})
    rows = rows.assign(name=rows["name"].str.split(SEPARATOR)).explode("name")
    highest = rows.groupby(["clip", "name"])["score"].max().unstack(fill_value=0.0)
    if not {*highest} & {*labels}:
        raise RequestError(
            f"{frame.index[0]}: no predicted class is a label: predicted are"
            f" {quantities.listed([*highest])}, labels are"
            f" {quantities.listed(labels)}"
        )
    scores = highest.reindex(columns=labels, fill_value=0.0)
    scores[highest.max(axis=1) > scores.max(axis=1)] = 0.0
    return scores


def write_runs(files: Sequence[Path], options: AnalysisOptions) -> str:
    """Write a run of each table; the dataset of the report on them is DATASET, else one
    that is called as the first table.
    """
    truth = labels_of(options) if options.dataset else None
    first = options.dataset or files[0].resolve().stem
    dataset = dataset_name(first, options.name)
    refuse_users_folder(options.reports / dataset)
    for path in files:
        predictions = predictions_in(read_tables(path), truth)
        place = options.runs / dataset / path.resolve().stem
        run = write_imported(predictions, place, source=str(path.resolve()))
        tell(f"{path}: {run.path}")
    return options.dataset or dataset


def labels_of(options: AnalysisOptions) -> pd.DataFrame:
    """The clips of DATASET with their labels: of its cache, else of its files."""
    cache = cache_folder(options.dataset, options.data, options.name)
    if is_cache(cache):
        table, _ = read_index(cache)
    else:
        # with a rate and a duration no audio is opened, which may be absent
        source = part_of(options, SourceOptions, sample_rate=8000, duration=1)
        table = load(source).table
    return originals(table).reset_index(drop=True)
