"""Predictions of any program as runs: `make analysis PREDICTIONS=`.

A table has a row for each tested clip:

    clip         name or path of the audio file; also clip_id or FILE_COLUMNS
    label        the true class; several are separated by ;
    fold, group  the fold that tested the clip, and its source recording, if known
    then         a column of probabilities for each class, or one of predicted classes

What would flatter: a clip that is counted twice, a column that is not a class, numbers
that are not probabilities. Such tables are refused.
"""

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from featurestack.analysis.report_jobs import AnalysisOptions, refuse_users_folder
from featurestack.base.errors import RequestError, shortened
from featurestack.base.json_content import digest
from featurestack.base.options import part_of
from featurestack.base.quantities import counted
from featurestack.base.table_files import file_column, read_table
from featurestack.base.terminal import tell
from featurestack.compare.comparison import remarks_on_groups
from featurestack.features_cache.cache import find_cache
from featurestack.features_cache.clip_table import (
    SEPARATOR,
    classes_in,
    has_tags,
    originals,
)
from featurestack.features_cache.datasets import dataset_name
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.imported import ImportedPredictions, write_imported
from featurestack.results.run_folder import find
from featurestack.results.same_run import digest_of_clips

FIRST_LINE = "clip,label,fold,group,CLASS,CLASS"
OF_CLIPS = ("clip", "label", "fold", "group")
SUM_WITHIN = 1e-3  # of 1: the probabilities of a clip


def numbered_rows(file: Path) -> pd.DataFrame:
    """The rows as text, indexed by file and line."""
    frame = read_table(file)
    frame.index = pd.Index([f"{file}, line {line}" for line in frame.index])
    return frame


def predictions_in(
    frame: pd.DataFrame, truth: pd.DataFrame | None = None
) -> ImportedPredictions:
    """The predictions of one model, of rows from `numbered_rows`; `truth` are the
    clips of the dataset, if it has the true labels instead of the table.
    """
    frame = with_clip_column(frame, labelled=truth is None)
    clips = clips_of(frame) if truth is None else of_dataset(frame, truth)
    labels = clips.rename(columns={"target": "label"}) if truth is None else truth
    tags = has_tags(labels)
    scores = probabilities(frame, {*classes_in(labels)}, tags=tags)
    remarks = [] if tags else remarks_on_sums(scores.sum(axis=1))
    if truth is not None:
        remarks += remarks_on_dataset(frame, clips, truth)
        if in_other_folds(frame, clips):
            clips["fold"] = frame["fold"].str.strip()
    remarks += group_remarks(clips)
    if not has_folds(frame):
        remarks.append(
            "no column `fold`: this is one test of a trained model; cross-validated"
            " predictions need the fold of each clip"
            if truth is None
            else "no column `fold`: the predictions are judged as cross-validated in"
            " the dataset's folds"
        )
    task = "tags" if tags else "classes"
    clips, scores = clips.reset_index(drop=True), scores.reset_index(drop=True)
    table = "" if truth is None else digest_of_clips(truth)
    return ImportedPredictions(clips, scores, task, tuple(remarks), table)


def with_clip_column(frame: pd.DataFrame, *, labelled: bool) -> pd.DataFrame:
    """The table with its column of clips called `clip`; RequestError if it has no such
    column, two rows for a clip, or no labels although it should be `labelled`.
    """
    if "clip" not in frame:
        names = [*map(str, frame)]
        file = "clip_id" if "clip_id" in names else file_column(names)
        frame = frame.rename(columns={file: "clip"})
    needed = ("clip", "label") if labelled else ("clip",)
    lacking = [f"column {name}" for name in needed if name not in frame]
    if frame.empty or lacking:
        what = " and no ".join(lacking or ["row"])
        raise RequestError(
            f"the table of predictions has no {what}; its first line should be"
            f" {FIRST_LINE}, or without label if DATASET= has the labels; it is"
            f" {shortened(','.join(map(str, frame)))}"
        )
    frame = frame.assign(clip=frame["clip"].str.strip())
    if (again := frame["clip"].duplicated()).any():
        row = again.idxmax()
        clip = shortened(frame["clip"][row])
        raise RequestError(f"{row}: clip {clip} has two rows; expected one")
    return frame


def remarks_on_sums(sums: "pd.Series[float]") -> list[str]:
    if ((sums - 1).abs() <= SUM_WITHIN).all():
        return []
    ends = dict.fromkeys(f"{end:.3g}" for end in (sums.min(), sums.max()))
    remark = (
        f"the rows sum to {' to '.join(ends)}, not to 1: the highest number of a row"
        " counts as its prediction, which is wrong for distances and ranks"
    )
    return [remark]


def group_remarks(clips: pd.DataFrame) -> list[str]:
    alone = int((clips["group"] == clips["clip_id"]).sum())
    if alone == len(clips):
        return ["no column `group`: clips count as independent recordings"]
    remarks = []
    if alone:
        remarks.append(
            f"{counted(alone, 'clip')} without a group (empty, NA or nan) count as"
            " independent recordings"
        )
    return [*remarks, *remarks_on_groups(clips["group"], clips["fold"])]


def remarks_on_dataset(
    frame: pd.DataFrame, clips: pd.DataFrame, truth: pd.DataFrame
) -> list[str]:
    """Where the rows differ from the dataset: clips, labels, folds."""
    remarks = []
    if len(clips) < len(truth):
        remarks.append(f"only {len(clips)} of {len(truth)} clips are predicted")
    if other := other_label(frame, clips):
        remarks.append(other)
    if apart := in_other_folds(frame, clips):
        remarks.append(
            f"{apart} of {counted(len(clips), 'clip')} were tested in another fold than"
            " the dataset's"
        )
    return remarks


def other_label(frame: pd.DataFrame, clips: pd.DataFrame) -> str:
    """A remark if the rows have other labels than the dataset's `clips`; else ''."""
    own = frame.get("label", clips["target"]).str.strip()
    labels, true = (
        column.map(lambda text: {*map(str.strip, text.split(SEPARATOR))})
        for column in (own, clips["target"])
    )
    other = own[(own != "") & (labels != true)]
    if other.empty:
        return ""
    first = other.index[0]
    return (
        f"{len(other)} of {counted(len(own), 'clip')} had another label in the table,"
        f" the first {other[first]}; the dataset's count, here {clips['target'][first]}"
    )


def has_folds(frame: pd.DataFrame) -> bool:
    return "fold" in frame and bool((frame["fold"].str.strip() != "").any())


def in_other_folds(frame: pd.DataFrame, clips: pd.DataFrame) -> int:
    """The number of rows that were tested in another fold than the dataset's. Folds
    with other names count as equal if they divide the clips in the same way.
    """
    if not has_folds(frame):
        return 0
    counts = pd.crosstab(frame["fold"].str.strip(), clips["fold"])
    if ((counts > 0).sum(axis=0) == 1).all() and ((counts > 0).sum(axis=1) == 1).all():
        return 0
    return int(len(frame) - counts.max(axis=1).sum()) or len(frame)


def clips_of(frame: pd.DataFrame) -> pd.DataFrame:
    """clip_id, target, group and fold of each row; RequestError without a label."""
    clips = pd.DataFrame({"clip_id": frame["clip"]})
    labels = frame["label"].str.split(SEPARATOR)
    named = labels.map(lambda labels: filter(None, map(str.strip, labels)))
    clips["target"] = named.map(SEPARATOR.join)
    group = frame.get("group", frame["clip"]).str.strip()
    clips["group"] = group.where(group != "", frame["clip"])
    clips["fold"] = frame["fold"].str.strip() if "fold" in frame else "1"
    if (lacking := clips["target"] == "").any() and (labels.str.len() < 2).all():
        raise RequestError(f"{lacking.idxmax()}: the clip has no label")
    return clips


def of_dataset(frame: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The dataset's clip of each row, by its id, else by the name of its file."""
    names = frame["clip"].str.replace("\\", "/", regex=False).map(PurePosixPath)
    stems = names.map(lambda path: path.stem)
    for given, own in (
        (frame["clip"], truth["clip_id"]),
        (names.map(lambda path: str(path.with_suffix(""))), truth["clip_id"]),
        (stems, truth["path"].map(lambda path: PurePosixPath(path).stem)),
    ):
        unique = own[~own.duplicated(keep=False)]
        places = given.map(pd.Series(unique.index, unique))
        if places.notna().all() and places.is_unique:
            named = truth.loc[places].rename(columns={"label": "target"})
            named = named.assign(fold=named["fold"].astype(str)).set_index(frame.index)
            return named[["clip_id", "target", "group", "fold"]]
    row = places.isna().idxmax()
    raise RequestError(
        f"{row}: {shortened(frame['clip'][row])} is not among the {len(truth):,} clips"
        " of the dataset, by their ids or by the names of their files"
    )


def probabilities(frame: pd.DataFrame, labels: set[str], *, tags: bool) -> pd.DataFrame:
    """A column for each class; 0 and 1 if one column has the predicted classes. A
    class that no clip has is taken only if all columns together, and not only the
    others, sum to 1 in each row.
    """
    classes = [str(name) for name in frame if name not in OF_CLIPS]
    if len(classes) == 1 and not tags and labels & {*frame[classes[0]]}:
        return predicted_classes(frame[classes[0]], labels)
    file = str(frame.index[0]).partition(",")[0]
    if absent := sorted(labels - {*classes}):
        raise RequestError(
            f"{file}: the class {absent[0]!r} has no column of probabilities;"
            f" the columns are {shortened(', '.join(classes))}"
        )
    scores = frame[classes].apply(pd.to_numeric, errors="coerce").astype(float)
    sound = ((scores >= 0) & (scores <= 1)).to_numpy()
    if not sound.all():
        row, column = np.argwhere(~sound)[0]
        cell = repr(shortened(str(frame[classes].iat[row, column])))
        hint = "" if sound[:, column].any() else "; remove it if it is not a class"
        raise RequestError(
            f"{frame.index[row]}, column {classes[column]}: {cell} is not a probability"
            f" from 0 to 1{hint}"
        )
    unlabelled = [name for name in classes if name not in labels]
    if unlabelled:
        with_them = (scores.sum(axis=1) - 1).abs() < SUM_WITHIN
        without = (scores[[*labels]].sum(axis=1) - 1).abs() < SUM_WITHIN
        if tags or not with_them.all() or without.all():
            raise RequestError(
                f"{file}: no clip has the class {unlabelled[0]!r}; remove the"
                " column if it is not a class"
            )
    return scores


def predicted_classes(predicted: "pd.Series[str]", labels: set[str]) -> pd.DataFrame:
    """A column for each class: 1 for the predicted one, else 0."""
    if (other := ~predicted.isin(labels)).any():
        row = other.idxmax()
        raise RequestError(
            f"{row}, column {predicted.name}: {shortened(predicted[row])!r} is no"
            " clip's label; expected the predicted class"
        )
    columns = pd.get_dummies(predicted, dtype=float)
    return columns.reindex(columns=sorted(labels), fill_value=0.0)


def write_runs(options: AnalysisOptions) -> str:
    """Write a run for each table; return the dataset of the report on them: DATASET,
    else one that has the first table's name and no other runs.
    """
    files = options.predictions
    truth = None
    if options.dataset:
        _, cache = find_cache(options.dataset, options.data, options.name)
        if cache:
            table = cache.clips
        else:
            # with a rate and a duration no audio is opened, which may be absent
            source = part_of(options, SourceOptions, sample_rate=8000, duration=1)
            table = load(source).table
        truth = originals(table).reset_index(drop=True)
    sources = [str(path.resolve()) for path in files]
    dataset = dataset_name(options.dataset or files[0].resolve().stem, options.name)
    if truth is None and not options.name:
        runs = [run for run in find(options.runs, dataset) if run.config.dataset]
        if any(run.config.source not in sources for run in runs):
            dataset = f"{dataset}-{digest(sources)[:6]}"
    refuse_users_folder(options.reports / dataset)
    read = [predictions_in(numbered_rows(path), truth) for path in files]
    for path, origin, predictions in zip(files, sources, read):
        place = options.runs / dataset / path.resolve().stem
        run = write_imported(predictions, place, source=origin)
        tell(f"{path}: {counted(len(predictions.clips), 'clip')}, {run.path}")
    return options.dataset or dataset
