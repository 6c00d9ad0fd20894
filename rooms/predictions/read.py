"""Tables of predictions that any program wrote, in the form of predictions.csv.

A table has one row per clip with a probability column per class, or one row per
prediction with the predicted class and its score. Columns are found by the names that
BirdNET-Analyzer, Perch Hoplite, OpenSoundscape and users of scikit-learn give them.

What would flatter: a clip that is counted twice, a clip without a detection that is
left out, numbers that are no probabilities. The first and the last are refused; a clip
without a detection is predicted as NOTHING, which is wrong for every label.
"""

import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from scipy.special import expit

from featurestack.commandline.errors import RequestError, shortened
from featurestack.features_cache.table import SEPARATOR
from featurestack.storage.files import CLOSED

# content of a column -> its usual names in small letters, the first that is there
ROLES = {
    "clip": "clip_id clip file filename file_name filepath path audio source_id id",
    "start": "start_time window_start start_(s) start offset timestamp_s",
    "label": "label target true_label y_true truth ground_truth true actual y",
    "predicted": "predicted prediction predicted_label y_pred pred common_name",
    "score": "score confidence probability prob logits logit",
    "fold": "fold",
    "group": "group recording source_recording",
    "model": "model model_name",
}
# columns that are neither classes nor needed
UNUSED = re.compile(
    "(unnamed:.*|index|idx|split|selection|project|dataset_name|seed|category"
    "|scientific_name|end|end_time|end_[(]s[)]|window_end)?"
)
PREFIX = re.compile(r"^(prob|proba|probability|p|score)[_ .:]")  # class columns
SCIENTIFIC = "Scientific name"
OF_RUN = "fold*/predictions.csv"
FOLD = re.compile(r"fold[_-]?(\d+)", re.IGNORECASE)
TOLD = ("split", "selection")  # columns of a run's own predictions.csv
NO_LABEL = ("", "nan", "NaN", "None", "<NA>")
TOLERANCE = 1e-3  # probabilities whose sum differs more from 1 are of another scale


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it was given."""

    name: str  # the file's path, or the name of a data frame
    frame: pd.DataFrame  # its index counts the rows from 0
    model: str
    fold: str = "1"  # the fold of all rows, if no column has it
    header: int = 0  # the line of the first row, if it is a file's

    def at(self, row: object) -> str:
        """The place of a row, for messages."""
        unit = "line" if self.header else "row"
        return f"{self.name}, {unit} {int(str(row)) + self.header}"


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions of one model."""

    table: Table
    clips: pd.DataFrame  # clip_id, file, target, group, fold, selection
    scores: pd.DataFrame  # one column per class, rows as in `clips`
    listed: bool  # the table has one row per prediction: a clip may have none
    note: str = ""  # the remark on what its scores lack


def tables_in(path: Path, columns: Mapping[str, str]) -> list[Table]:
    """The tables of a file or a folder; the folds of a run are parts of one model."""
    files = [path]
    if path.is_dir():
        files = sorted(path.rglob(OF_RUN)) or sorted(path.glob("*.[ct]sv"))
    if not files:
        raise RequestError(f"{path} holds no table: expected files ending in .csv")
    return [read_table(file, columns) for file in files]


def read_table(file: Path, columns: Mapping[str, str]) -> Table:
    """A CSV or TSV file with a header; RequestError for another file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except PermissionError:
        raise RequestError(f"{file} {CLOSED}") from None
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, OSError) else "no UTF-8 text"
        raise RequestError(f"{file}: {why}; expected a table, CSV or TSV") from None
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    names = [name.strip('"\r ') for name in header.split(separator)]
    as_text = dict.fromkeys([*roles_of(names, columns).values(), *TOLD], str)
    expected = f"expected {len(names)} as in the header, and decimal points"
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            names=names,
            header=0,
            dtype=as_text,
            keep_default_na=False,
            low_memory=False,
        )
    except ValueError as error:
        line = re.search(r"line (\d+), saw (\d+)", str(error)) or ("", "1", "no")
        fields = f"line {line[1]}: {line[2]} fields"
        raise RequestError(f"{file}, {fields}; {expected}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise RequestError(f"{file}, line 2: too many fields; {expected}")
    if frame.empty:
        raise RequestError(f"{file} has no row: expected one per clip")
    place = file.resolve()
    of_run = place.match(OF_RUN)
    fold = FOLD.search(place.parent.name if of_run else file.stem)
    model = place.parent.parent.name if of_run else file.stem
    return Table(str(file), frame, model, fold[1] if fold else "1", header=2)


def roles_of(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Names of a table's columns by their content, `given` or usual ones."""
    roles = {role: name for role, name in given.items() if name in names}
    free = [name for name in names if name not in roles.values()]
    usual = {str(name).strip().lower().replace(" ", "_"): name for name in free}
    for role, words in ROLES.items():
        found = [usual[word] for word in words.split() if word in usual]
        if role not in roles and found:
            roles[role] = found[0]
    return roles


def answers_in(
    table: Table, given: Mapping[str, str], truth: pd.DataFrame | None, *, tags: bool
) -> list[Answers]:
    """The predictions of each model in a table.

    given  what a column holds -> its name, as the user says
    truth  clip_id, file, target, group and fold, if the table has no true labels
    tags   whether a clip may have no label
    """
    frame = table.frame
    roles = roles_of([*frame], given)
    if "split" in frame and (frame["split"] == "test").any():
        frame = frame[frame["split"] == "test"]
    parts = {table.model: frame}
    if "model" in roles:
        parts = {str(name): part for name, part in frame.groupby(roles["model"])}
    return [
        answers_of(replace(table, frame=part, model=model), roles, truth, tags=tags)
        for model, part in parts.items()
    ]


def answers_of(
    table: Table, roles: dict[str, str], truth: pd.DataFrame | None, *, tags: bool
) -> Answers:
    """The predictions of one model."""
    texts = pd.Series(dtype=str)
    if truth is not None:
        texts = truth["target"]
    elif "label" in roles:
        texts = table.frame[roles["label"]].astype(str).str.strip()
    labels = {name for text in texts.unique() for name in text.split(SEPARATOR)}
    classes = class_columns(table.frame, roles, labels - {*NO_LABEL})
    if not classes and "score" in roles and "predicted" not in roles:
        roles = {
            **roles,
            "predicted": roles.pop("label", ""),
        }  # Perch Hoplite has it so
    if truth is None and "label" not in roles:
        names = ", ".join(ROLES["label"].split())
        raise RequestError(
            f"{table.name} has no column of true labels, called {names}: name it with"
            " LABEL=, or give a table of labels, TRUTH=labels.csv"
        )
    if not classes and not roles.get("predicted"):
        raise RequestError(
            f"{table.name} has neither a column of probabilities for each class, called"
            " as the class, nor one of predicted classes (COLUMNS=predicted=NAME)"
        )
    scientific = {*table.frame.get(SCIENTIFIC, ())}  # BirdNET's, beside common names
    if labels & scientific and not classes:
        roles = {**roles, "predicted": SCIENTIFIC}
    clips = clips_of(table, roles)
    if truth is not None:
        clips = with_truth(table, clips, truth)
    lacking = clips.index[clips["target"].isin(NO_LABEL)]
    if len(lacking) and not tags:
        raise RequestError(
            f"{table.at(lacking[0])}: the clip has no label; expected a class"
            " (TASK=tags, if clips may have none)"
        )
    refuse_disagreement(table, clips, once=bool(classes) and truth is None)
    if not classes:
        return listed(table, roles, clips)
    scores = numbers(table, [*classes]).rename(columns=classes)
    if unknown := sorted(labels - {*scores, *NO_LABEL}):
        own = clips["target"].map(lambda text: unknown[0] in text.split(SEPARATOR))
        raise RequestError(
            f"{table.at(own.idxmax())}: no column has the probability of"
            f" {unknown[0]!r}; expected one per class, and there are"
            f" {shortened(', '.join(scores))}"
        )
    if clips.duplicated(["clip_id", "selection"]).any():  # windows of a labelled file
        scores = scores.groupby(clips["clip_id"], sort=False).max()
        clips = clips.drop_duplicates("clip_id")
    return Answers(table, clips, scores, listed=False)


def class_columns(
    frame: pd.DataFrame, roles: Mapping[str, str], labels: Collection[str]
) -> dict[str, str]:
    """Column of probabilities -> its class; empty if no column is called as a label."""
    names = {}
    for name in map(str, frame):
        if name in roles.values() or UNUSED.fullmatch(name.lower().replace(" ", "_")):
            continue
        bare = PREFIX.sub("", name)
        names[name] = bare if bare in labels and name not in labels else name
    if not {*names.values()} & {*labels}:
        return {}
    return {
        column: name
        for column, name in names.items()
        if name in labels or frame[column].dtype.kind in "fiu"
    }


def numbers(table: Table, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as probabilities; RequestError for the first that is none."""
    frame = table.frame[columns]
    values = frame.apply(pd.to_numeric, errors="coerce").astype(float)
    sound = ((values >= 0) & (values <= 1)).to_numpy()
    if sound.all():
        return values
    row, place = np.argwhere(~sound)[0]
    text = str(frame.iat[row, place])
    why = "is no number" if np.isnan(values.iat[row, place]) else "is no probability"
    if re.fullmatch(r"-?\d*,\d+", text):
        why = "has a decimal comma"
    raise RequestError(
        f"{table.at(frame.index[row])}, column {columns[place]}: {shortened(text)!r}"
        f" {why}; expected a number from 0 to 1, such as 0.93"
    )


def clips_of(table: Table, roles: Mapping[str, str]) -> pd.DataFrame:
    """clip_id, file, at, group, fold, selection of each row, and target if it is there.

    A window's clip is `file@start`, its group the file.
    """
    frame = table.frame
    columns = {
        role: frame[name].astype(str).str.strip() for role, name in roles.items()
    }
    rows = pd.Series(frame.index.astype(str), frame.index)
    clips = pd.DataFrame({"file": columns.get("clip", rows)})
    clips["selection"] = frame.get("selection", "last")
    if "start" in columns and clips.duplicated().any():
        clips["at"] = at_start(pd.to_numeric(columns["start"], errors="coerce"))
    else:
        parts = clips["file"].str.extract(r"^(.+)(@\d+(?:\.\d+)?)$")
        clips["file"] = parts[0].fillna(clips["file"])
        clips["at"] = parts[1].fillna("")
    clips["clip_id"] = clips["file"] + clips["at"]
    group = columns.get("group", clips["file"])
    clips["group"] = group.where(group != "", clips["clip_id"])
    clips["fold"] = columns.get("fold", table.fold)
    if "label" in columns:
        clips["target"] = columns["label"]
    return clips


def at_start(seconds: "pd.Series[float]") -> "pd.Series[str]":
    """The end of the names of windows that start so in their file: @12.5."""
    return "@" + seconds.map("{:.10g}".format)


def with_truth(table: Table, clips: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The clips as `truth` has them, perhaps without folder or ending; windows of a
    file whose label alone is known have that.
    """
    stem, known = (
        own["file"].map(lambda name: PurePath(name).stem) for own in (clips, truth)
    )
    ways = [
        (clips["clip_id"], truth["clip_id"]),
        (stem + clips["at"], known + truth["at"]),
    ]
    if not truth["at"].any():
        ways += [(clips["file"], truth["file"]), (stem, known)]
    for names, own in ways:
        first = pd.Series(truth.index, own)
        places = names.map(first[~own.duplicated(keep=False).to_numpy()])
        if places.notna().all():
            found = truth.loc[places].set_index(clips.index)
            return clips.assign(**{name: found[name] for name in found})
    unknown = clips.index[places.isna()][0]
    raise RequestError(
        f"{table.at(unknown)}: {shortened(clips['clip_id'][unknown])} is not among the"
        f" {len(truth):,} clips with a true label; expected the same file names"
    )


def refuse_disagreement(table: Table, clips: pd.DataFrame, *, once: bool) -> None:
    """RequestError for a clip with two labels, folds or, if `once`, rows."""
    rows = pd.Series(clips.index, clips.index)
    keys = [clips["clip_id"], clips["selection"]]
    first = rows.groupby(keys, sort=False).transform("first")
    again = clips.loc[first].set_index(clips.index)
    reasons = {
        "labels": clips["target"] != again["target"],
        "folds": clips["fold"] != again["fold"],
        "rows": (rows != first) & once,
    }
    for what, wrong in reasons.items():
        if wrong.any():
            row = wrong.idxmax()
            raise RequestError(
                f"{table.at(row)}: clip {shortened(clips['clip_id'][row])} has two"
                f" {what}, also in {table.at(first[row])}; expected one"
            )


def listed(table: Table, roles: Mapping[str, str], clips: pd.DataFrame) -> Answers:
    """The predictions of a table with a row for each, the highest of a clip."""
    score = pd.Series(1.0, clips.index)
    lack = "no score column: calibration and log loss say nothing"
    if column := roles.get("score"):
        if column.lower().startswith("logit"):
            logits = pd.to_numeric(table.frame[column], errors="coerce")
            table = replace(table, frame=table.frame.assign(**{column: expit(logits)}))
        score = numbers(table, [column])[column]
        lack = "predicted classes alone have a score, so log loss is approximate"
    every = clips.drop_duplicates("clip_id")
    predicted = table.frame[roles["predicted"]].astype(str).str.strip()
    texts = every["target"].unique()
    labels = {name for text in texts for name in text.split(SEPARATOR)} - {*NO_LABEL}
    classes = pd.Index(sorted({*predicted} | labels))
    values = np.zeros((len(every), len(classes)))
    places = pd.Index(every["clip_id"]).get_indexer(clips["clip_id"])
    np.maximum.at(values, (places, classes.get_indexer(predicted)), score)
    scores = pd.DataFrame(values, every.index, classes)
    return Answers(table, every, scores, listed=True, note=lack)
