"""Predictions of any program: `make analysis PREDICTIONS=` and `fs.compare`.

A table has a row for each tested clip:

    clip         name or path of the audio file; also clip_id or FILE_COLUMNS
    label        the true class; several are separated by ;
    fold, group  the fold that tested the clip, and its source recording, if known
    then         a column of probabilities for each class, or one of predicted classes

What would flatter: a clip that is counted twice, a column that is not a class, numbers
that are not probabilities. Such tables are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from featurestack.analysis.findings import Findings, findings
from featurestack.analysis.options import AnalysisOptions, refuse_users_folder
from featurestack.analysis.runs import load_runs
from featurestack.analysis.sentences import headline, printed
from featurestack.base import DATA
from featurestack.base.csv_files import file_column, read_csv
from featurestack.base.errors import RequestError, nearest, shortened
from featurestack.base.json_content import digest
from featurestack.base.options import part_of, written
from featurestack.base.quantities import counted, listed
from featurestack.base.shell import quoted
from featurestack.base.terminal import tell, warn
from featurestack.cli.commands import command
from featurestack.compare.significance import FAMILY_LEVEL
from featurestack.features_cache.cache import Cache, find_cache
from featurestack.features_cache.datasets import (
    cached_in,
    dataset_name,
)
from featurestack.features_cache.table import SEPARATOR, classes_in, has_tags, originals
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.imported import Predictions, write_imported
from featurestack.results.run_folder import RunFolder, find
from featurestack.results.same_run import digest_of_clips, require_trained_on
from featurestack.results.selection import select_one

FIRST_LINE = "clip,label,fold,group,CLASS,CLASS"
KNOWN = ("clip", "label", "fold", "group")
SUM_WITHIN = 1e-3  # of 1: the probabilities of a clip
COLUMNS = ["run", "accuracy", "accuracy_low", "accuracy_high", "difference"]
COLUMNS += ["difference_low", "difference_high", "p", "verdict", "reason"]


def read_table(file: Path) -> pd.DataFrame:
    """The rows as text, indexed by file and line."""
    frame = read_csv(file)
    frame.index = pd.Index([f"{file}, line {line}" for line in frame.index])
    return frame


def predictions_in(
    frame: pd.DataFrame, truth: pd.DataFrame | None = None
) -> Predictions:
    """The predictions of one model, of rows as `read_table` has them; `truth` are the
    clips of the dataset, if it has the true labels instead of the table.
    """
    if "clip" not in frame:
        names = [*map(str, frame)]
        file = "clip_id" if "clip_id" in names else file_column(names)
        frame = frame.rename(columns={file: "clip"})
    needed = ("clip",) if truth is not None else ("clip", "label")
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
    clips = clips_of(frame) if truth is None else of_dataset(frame, truth)
    every = pd.DataFrame({"label": clips["target"]}) if truth is None else truth
    tags = has_tags(every)
    classes = {*classes_in(every)}
    predicted = [name for name in frame if name not in KNOWN]
    if len(predicted) == 1 and not tags and {*frame[predicted[0]]} <= classes:
        chosen = pd.get_dummies(frame[predicted[0]], dtype=float)
        chosen = chosen.reindex(columns=sorted(classes), fill_value=0.0)
        frame = frame.drop(columns=predicted).join(chosen.astype(str))
    scores = probabilities(frame, classes, tags=tags)
    remarks = []
    if truth is not None and len(clips) < len(truth):
        remarks.append(f"only {len(clips)} of {len(truth)} clips are predicted")
    if truth is not None and (other := other_label(frame, clips)):
        remarks.append(other)
    if truth is not None and (apart := in_other_folds(frame, clips)):
        clips["fold"] = frame["fold"].str.strip()
        remarks.append(
            f"{apart} of {counted(len(clips), 'clip')} were tested in another fold than"
            " the dataset's"
        )
    if (clips["group"] == clips["clip_id"]).all():
        remarks.append("no column `group`: clips count as independent recordings")
    task = "tags" if tags else "classes"
    clips, scores = clips.reset_index(drop=True), scores.reset_index(drop=True)
    table = "" if truth is None else digest_of_clips(truth)
    return Predictions(clips, scores, task, tuple(remarks), table)


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


def in_other_folds(frame: pd.DataFrame, clips: pd.DataFrame) -> int:
    """The number of rows that were tested in another fold than the dataset's. Folds
    with other names count as equal if they divide the clips in the same way.
    """
    if "fold" not in frame or (frame["fold"].str.strip() == "").all():
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
    """A column for each class. A class that no clip has is taken only if all columns
    together, and not only the others, sum to 1 in each row.
    """
    classes = [str(name) for name in frame if name not in KNOWN]
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


def write_runs(options: AnalysisOptions) -> str:
    """Write a run for each table; return the dataset of the report on them: DATASET,
    else one that has the first table's name and no other runs.
    """
    files = options.predictions
    absent = [path for path in files if not path.exists()]
    if absent and len(files) > 1:
        raise RequestError(
            f"PREDICTIONS={written(files)}: {absent[0]} does not exist; in a list, a"
            " path with blanks has quotes, 'my table.csv'"
        )
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
    read = [predictions_in(read_table(path), truth) for path in files]
    for path, origin, predictions in zip(files, sources, read):
        place = options.runs / dataset / path.resolve().stem
        run = write_imported(predictions, place, source=origin)
        known = "" if options.dataset else dataset_of(predictions.clips, options.data)
        hint = f"; {known} compares it with the runs on these clips" if known else ""
        tell(f"{path}: {counted(len(predictions.clips), 'clip')}, {run.path}{hint}")
    return options.dataset or dataset


def dataset_of(clips: pd.DataFrame, data: Path) -> str:
    """The words DATASET=… of the smallest cached dataset that has all of these clips
    with these labels, or ''.
    """
    frame = clips.rename(columns={"clip_id": "clip", "target": "label"})
    found = []
    for name in sorted(cached_in(data)):
        cache = Cache(data / name / "features")
        with suppress(RequestError):  # other clips, or a damaged cache
            truth = originals(cache.clips).reset_index(drop=True)
            if not other_label(frame, of_dataset(frame, truth)):
                found.append((len(truth), cache.sounds))
    if not found:
        return ""
    _, (source, name) = min(found)
    words = {"DATASET": source, "NAME": name, "DATA": "" if data == DATA else str(data)}
    return " ".join(quoted(f"{word}={text}") for word, text in words.items() if text)


PANDAS = pd.Series | pd.DataFrame
AS_ARRAY = "or these rows in the order of labels as an array, by .to_numpy()"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models on the same clips, the best first."""

    # model, score, low, high, difference (from the best), difference_low, …_high, p,
    # verdict: best, no clear difference, clearly worse, not compared
    # reason: what other data or protocol a run has that is not compared
    table: pd.DataFrame
    headline: str  # the finding in one sentence

    def __repr__(self) -> str:
        return f"{self.headline}\n{self.table.to_string(index=False)}"


@command
def compare(
    predictions: "Mapping[str, ArrayLike] | Sequence[RunFolder | Path | str]",
    labels: "ArrayLike | None" = None,
    *,
    groups: "ArrayLike | None" = None,
    folds: "ArrayLike | None" = None,
    classes: "Sequence[str] | None" = None,
) -> Comparison:
    """Verdicts on models that predicted the same clips, or on runs, with intervals.
    Nothing is written.

    Parameters
    ----------
    predictions : mapping, or sequence of runs
        Model -> probabilities (N, K), an array or a data frame whose columns are the
        classes, or predicted classes (N,), or a run or its name. Or a list of runs,
        their names or paths.
    labels : array (N,) or (N, K), optional
        True classes; of several labels per clip 0 and 1. A list of runs has its own.
        If labels have an index, like `clips.set_index("clip_id").label`, frames with an
        index and runs are put in its order.
    groups : array (N,), optional
        Source recordings, speakers or sites, which are drawn together. By default each
        clip is its own.
    folds : array (N,), optional
        The fold that tested each clip. By default one, or the folds of a run among the
        predictions; a run that was tested by others is not compared.
    classes : sequence of K names, optional
        The columns of arrays. By default the labels, sorted.

    Returns
    -------
    Comparison
        `.table` has a row for each model, `.headline` is the finding. A model is
        clearly worse if its p is below `level`. p and intervals are corrected for the
        comparisons of this call; a report corrects for all that it shows.

    Examples
    --------
    >>> sure = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]]
    >>> both = fs.compare({"a": sure, "b": list("xxxx")}, list("xyxy"))
    >>> both.table["score"].tolist()
    [1.0, 0.5]
    """
    if isinstance(predictions, list | tuple) and predictions:
        of_arrays = ("labels", labels), ("groups", groups), ("folds", folds)
        return compare_runs(predictions, [n for n, own in of_arrays if own is not None])
    if not isinstance(predictions, Mapping) or not predictions:
        raise RequestError(
            "predictions: expected a dictionary, model -> predictions, or a list of"
            " runs, as in fs.compare([one, other])"
        )
    return compare_predictions(predictions, labels, groups, folds, classes)


def compare_predictions(
    predictions: Mapping[Any, Any], labels: Any, groups: Any, folds: Any, classes: Any
) -> Comparison:
    """The comparison of arrays, frames or runs by name; arguments as in `compare`. A
    run keeps the folds that tested it.
    """
    runs = {
        str(model): opened(given)
        for model, given in predictions.items()
        if isinstance(given, str | PathLike)
    }
    if folds is None and 0 < len(runs) < len(predictions):
        name, run = next(iter(runs.items()))
        folds = run.scored()["fold"]
        warn(
            f"folds= is missing: the folds of {name} are taken as those that tested the"
            " clips of all models; scikit-learn's PredefinedSplit(clips.fold) uses them"
        )
    groups, folds = in_order("groups", groups, labels), in_order("folds", folds, labels)
    clips, names = clips_of_arrays(labels, groups, folds, classes)
    with TemporaryDirectory() as folder:
        models: dict[Path, str] = {}
        for number, (model, given) in enumerate(predictions.items()):
            remedy, tested_by = AS_ARRAY, {}
            if trained := runs.get(str(model)):
                scored = trained.scored()
                given = scored[trained.classes]
                remedy = "or a list of runs instead of a dictionary"
                own_folds = in_order(str(model), scored["fold"], labels, remedy)
                tested_by = {"fold": np.asarray(own_folds).astype(str)}
            own = in_order(str(model), given, labels, remedy)
            frame = clips.assign(**tested_by)
            frame = frame.join(columns_of(str(model), own, names, len(clips)))
            frame.index = pd.Index([f"{model}, row {row}" for row in frame.index])
            place = Path(folder, "compared", str(number))
            imported = write_imported(predictions_in(frame), place, source=str(model))
            models[imported.path] = str(model)
        word = "" if groups is None else "group"
        # of arrays the protocol is not known
        return comparison([*map(RunFolder, models)], models, word, headline)


def compare_runs(
    given: "Sequence[RunFolder | Path | str]", unwanted: Sequence[str]
) -> Comparison:
    """The comparison of runs; `unwanted` are given arguments that runs have already."""
    if not all(isinstance(own, str | PathLike) for own in given):
        raise RequestError(
            "a list holds runs, their names or paths; predictions need names: {'A':"
            " predictions, 'B': others}"
        )
    if unwanted:
        raise RequestError(f"runs have their own {listed(unwanted)}: leave them out")
    runs = [*map(opened, given)]
    several = len({run.dataset for run in runs}) > 1
    names = {
        run.path: f"{run.dataset}/{run.name}" if several else run.name for run in runs
    }
    word = ""
    with suppress(RequestError):  # its cache is elsewhere
        cache = Cache(DATA / runs[0].dataset / "features")
        require_trained_on(runs[0], cache)
        word = cache.groups
    return comparison(runs, names, word, printed)


def comparison(
    folders: Sequence[RunFolder],
    names: Mapping[Path, str],
    word: str,
    say: Callable[[Findings], str],
) -> Comparison:
    """Compare runs.

    names  the folder of each run -> its name in the comparison
    word   the dataset's word for a group
    say    makes the sentence on what was found
    """
    runs, problems = load_runs(folders)
    for place, run in enumerate(runs):
        if run.imported:  # whose sentences have its name
            name = names[run.folders[0].path]
            runs[place] = replace(run, name=name, features=name)
    found = replace(findings(runs, problems), groups=word)
    if found.main is None:
        raise RequestError("; ".join(problem.text for problem in found.problems))
    table = pd.DataFrame([own.row() for own in found.every])[COLUMNS]
    table["run"] = [names[own.run.folders[0].path] for own in found.every]
    apart = {problem.run: problem.text for problem in found.problems}
    reasons = [apart.get(own.name, own.reason) for own in found.every]
    table["reason"] = [text.rpartition("not compared: ")[2] for text in reasons]
    table["level"] = FAMILY_LEVEL
    table.columns = table.columns.str.replace("accuracy_", "")
    told = say(found)
    if len(found.ranked) == 1 and found.others:
        told = "; ".join(f"{own.run}: {own.text}" for own in found.problems)
    return Comparison(
        table=table.rename(columns={"run": "model", "accuracy": "score"}),
        headline=told,
    )


def opened(run: "RunFolder | PathLike[str] | str") -> RunFolder:
    """The run of an object that has its path, or of a name."""
    return select_one("runs", fspath(run), predicting=False)


def in_order(name: str, given: Any, labels: Any, remedy: str = AS_ARRAY) -> Any:
    """The rows in the order of `labels` by their index; without an index they are in
    this order.
    """
    own, wanted = index_of(given), index_of(labels)
    if own is None:
        if wanted is None or not isinstance(given, PANDAS):
            return given
        raise RequestError(
            f"labels have an index, such as {wanted[0]}, but {name} has none: give"
            f" {name} with the same index, {remedy}"
        )
    if wanted is None:
        raise RequestError(
            f"{name} has an index, such as {own[0]}, and labels have none: give labels"
            f" with the same, such as clips.set_index('clip_id').label, {remedy}"
        )
    shared = len(own.intersection(wanted))
    if not len(own) == len(wanted) == shared:
        raise RequestError(
            f"{name} has other rows than labels: {len(own)} and {len(wanted)}, of which"
            f" {shared} have the same index"
        )
    return given.loc[wanted]


def index_of(given: Any) -> "pd.Index[Any] | None":
    """The index of a pandas object, None for rows that are only counted, 0 to N - 1."""
    if isinstance(given, PANDAS) and not given.index.equals(pd.RangeIndex(len(given))):
        return given.index
    return None


def clips_of_arrays(
    labels: Any, groups: Any, folds: Any, classes: Any
) -> tuple[pd.DataFrame, list[str]]:
    """clip, label, and group and fold if they are given; and the names of classes."""
    if labels is None:
        raise RequestError(
            "labels= is missing: the true class of each clip; runs are given in a list"
        )
    values = np.asarray(labels)
    if values.ndim not in (1, 2) or not len(values) or pd.isna(values).any():
        raise RequestError(
            f"labels of shape {values.shape}: expected one class for each clip, (N,),"
            " or 0 and 1 for each class, (N, K)"
        )
    if classes is None:
        classes = np.unique(values) if values.ndim == 1 else pd.DataFrame(labels)
    names = [*map(str, classes)]
    if values.ndim == 2:
        if values.dtype.kind not in "biuf" or len(names) != values.shape[1]:
            raise RequestError(f"labels of shape {values.shape}: expected 0 and 1")
        values = np.array([SEPARATOR.join(np.array(names)[row]) for row in values > 0])
    clips = pd.DataFrame({"clip": [f"{row:08d}" for row in range(len(values))]})
    for name, given in (("label", values), ("group", groups), ("fold", folds)):
        if given is None:
            continue
        if np.shape(given) != (len(clips),):
            raise RequestError(
                f"{name} has the shape {np.shape(given)}: expected ({len(clips)},), one"
                " for each clip"
            )
        clips[name] = np.asarray(given).astype(str)
    return clips, names


def columns_of(
    model: str, given: Any, classes: Sequence[str], clips: int
) -> pd.DataFrame:
    """A model's columns of a table; RequestError for another shape."""
    values = np.asarray(given)
    if values.shape == (clips,):  # predicted classes
        chosen = pd.get_dummies(values.astype(str), dtype=float)
        if values.dtype.kind == "f" and (values != np.rint(values)).any():
            raise RequestError(
                f"predictions of {model} are numbers with a fraction, ({clips},): give"
                f" probabilities ({clips}, {len(classes)}), a column for each class, or"
                f" predicted classes ({clips},)"
            )
        for name in chosen:
            if name not in classes:
                hint = "classes= names those that no label has"
                if values.dtype.kind in "iu" and not {*chosen} & {*classes}:
                    hint = "these look like numbers of columns: give classes[i]"
                raise RequestError(
                    f"predictions of {model}: {nearest('class', name, classes)}; {hint}"
                )
        return chosen.reindex(columns=[*classes], fill_value=0.0).astype(str)
    names = [*map(str, getattr(given, "columns", classes))]
    if "clip_id" in names:
        raise RequestError(
            f"{model} is a table of clips: give its columns of classes, or the run"
        )
    if values.shape != (clips, len(names)) or {*names} & {*KNOWN}:
        raise RequestError(
            f"predictions of {model} have the shape {values.shape}: expected ({clips},"
            f" {len(names)}), a column for each class, or ({clips},)"
        )
    return pd.DataFrame(values, columns=names).astype(str)
