"""`predict RUN=run DATASET=other`: a run of another labelled dataset.

Features are computed from the other dataset's audio at the run's own sample rate, and
clips count whose labels the run knows. The answers of all folds' models together become
a run folder of the other dataset, with the table that PREDICTIONS= reads in it.

What would flatter, or the contrary: all folds' models together answer better than one,
which answers at home; so each is scored there alone, and the scores are averaged. The
classes have other shares there, so their mean recall is compared. The interval of the
change takes both datasets' clips as independent.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError, first_names
from featurestack.commandline.quantities import counted, points
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import tell
from featurestack.features_cache.names import dataset_name
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    has_windows,
    originals,
    spans,
)
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.predict.bundle import Probabilities
from featurestack.predict.files import predict_files, trained_clips
from featurestack.predict.predictor import Predictor
from featurestack.results.config import ChoiceConfig
from featurestack.results.folders import find
from featurestack.results.imported import (
    Predictions,
    documented_table,
    write_imported,
)
from featurestack.results.run_folder import RunFolder
from featurestack.scores.bootstrap import accuracy_interval
from featurestack.scores.metrics import Score
from featurestack.scores.ranking_metric import of_choice
from featurestack.scores.tasks.base import Task, clip_metric
from featurestack.storage.files import replace_file
from featurestack.train.options import PredictOptions

TABLE = "table.csv"  # its place in the run folder


@dataclass(frozen=True)
class LabelledClips:
    """The clips of another dataset that count for a run."""

    table: pd.DataFrame  # clip_id, group, fold, path, start, end, target
    classes: tuple[str, ...]  # classes of both the run and the other dataset
    remarks: tuple[str, ...]  # clips that were left out, and why


def score_elsewhere(options: PredictOptions) -> int:
    """Write a run of DATASET and print its scores; 1 if a file was unreadable."""
    model = Predictor.open(replace(options, dataset=""))
    run = model.run
    if run is None:
        raise RequestError(
            "DATASET= compares with cross-validated scores: give a run, a bundle has"
            " none"
        )
    other = load_other(options, run)
    clips = labelled_clips(other, run, options.data)
    tell(f"predicted by {model.title}")
    table = clips.table.set_index("clip_id", drop=False)
    apart: dict[str, Probabilities] = {}
    answers = predict_files(
        model,
        table["path"].map(Path).to_dict(),
        places=dict(zip(table.index, spans(table))),
        apart=apart,
    )
    if answers.empty:
        raise RequestError(f"no file of {other.name} can be read")
    parts = [] if has_windows(table) else ["start", "end"]
    known = table.loc[answers.index].drop(columns=["path", *parts])
    known["fold"] = known["fold"].astype(str)
    predictions = Predictions(
        known.reset_index(drop=True),
        answers[run.classes].reset_index(drop=True),
        run.task.name,
        clips.remarks,
    )
    scored = write_imported(
        predictions,
        options.runs / other.name / f"{run.dataset}.{run.name}",
        source=str(run.path.resolve()),
        protocol=f"trained on {run.dataset}",
    )
    replace_file(scored.path / TABLE, as_csv(documented_table(predictions)))
    by_fold = []
    for values in np.stack([apart[key] for key in answers.index], axis=1):
        alone = pd.DataFrame(values, answers.index, run.classes)
        by_fold.append(known[["clip_id", "group", "target"]].join(alone).assign(fold=1))
    for remark in clips.remarks:
        tell(remark)
    print(f"{scored}\n{home_sentence(run, by_fold, clips.classes)}")
    report = make_command("analysis", f"DATASET={options.dataset}")
    print(f"next: {report} (classes and errors; {scored.path / TABLE} has the table)")
    return 1 if len(answers) < len(table) else 0


def home_sentence(
    run: RunFolder, by_fold: Sequence[pd.DataFrame], common: Sequence[str]
) -> str:
    """The change from the cross-validated score of the same classes."""
    home = scored_at_home(run)
    if home is None:
        return f"no score on {run.dataset} to compare with: it chose these features"
    compared = compare_scores(by_fold, rows_of_run(home, common), common, run.task)
    if home is not run:
        compared = replace(compared, own=of_choice(compared.own))
    ends = [points(compared.change + side * compared.reach) for side in (-1, 1)]
    return (
        f"one fold's model alone: {compared.name} {compared.elsewhere}, cross-validated"
        f" on {run.dataset} {compared.own}, {points(compared.change)} points"
        f" ({ends[0]} to {ends[1]})"
    )


def load_other(options: PredictOptions, run: RunFolder) -> Dataset:
    """The dataset that DATASET names; RequestError if it is the run's own."""
    if dataset_name(options.dataset) == run.dataset:
        raise RequestError(
            f"{run.name} was trained on {run.dataset}: give another dataset as"
            " DATASET=, one of another name, or new audio as AUDIO="
        )
    return load(SourceOptions(dataset=options.dataset, data=options.data))


def labelled_clips(other: Dataset, run: RunFolder, data: Path) -> LabelledClips:
    """The other dataset's clips of the run's classes, but for files of the run; tells
    what is left out.
    """
    table = originals(other.table)
    text = table[run.task.column]
    labels = by_label(pd.DataFrame({"label": text}))["label"]
    present = {*labels} - {""}
    unknown = sorted(present - {*run.classes})
    target = kept_labels(text, run.classes, run.task)
    keeps_labels = (target != "") | (text == "")  # some, or there were none
    counts = run.task.known(target, run.classes) & keeps_labels
    if not counts.any() or not present & {*run.classes}:
        theirs = first_names(unknown) or "no label"
        raise RequestError(
            f"{other.name} and {run.name} have no class in common: {theirs} there,"
            f" {first_names(run.classes)} here"
        )
    kept = table.assign(target=target)[counts]
    files = {path: Path(path) for path in kept["path"].unique()}
    seen = kept["path"].isin(trained_clips(run.dataset, data, files))
    if seen.all():
        raise RequestError(
            f"{run.name} was trained on every file of {other.name}: give a dataset of"
            " other recordings"
        )
    remarks = []
    if unknown:
        remarks.append(
            f"{counted(int((~counts).sum()), 'clip')} left out, of classes that the run"
            f" does not know ({first_names(unknown)})"
        )
    if seen.any():
        remarks.append(
            f"{counted(int(seen.sum()), 'clip')} left out: the run was trained on their"
            " files"
        )
    common = tuple(name for name in run.classes if name in present)
    columns = ["clip_id", "group", "fold", "path", "start", "end", "target"]
    return LabelledClips(kept.loc[~seen, columns], common, tuple(remarks))


def kept_labels(
    text: "pd.Series[str]", classes: Sequence[str], task: Task
) -> "pd.Series[str]":
    """The targets; of several labels those that the run knows."""
    if not task.multilabel:
        return text
    return text.map(
        lambda labels: SEPARATOR.join(
            label for label in labels.split(SEPARATOR) if label in classes
        )
    )


def scored_at_home(run: RunFolder) -> RunFolder | None:
    """The run whose cross-validated score a run may be compared with: its own, or that
    of the choice that recommends it. None if scores of the tested folds composed it.
    """
    if not run.config.composed_from:
        return run
    for folder in find(run.path.parents[1], run.dataset):
        with suppress(RequestError, OSError):
            config = folder.config
            if isinstance(config, ChoiceConfig) and config.recommended_run == run.name:
                return folder
    return None


def rows_of_run(run: RunFolder, common: Sequence[str]) -> pd.DataFrame:
    """The run's own test clips of the classes in common, with fold and recording."""
    rows = run.scored()
    recordings = rows["group"].where(rows["group"] != "", rows["clip_id"])
    target = kept_labels(rows["target"], common, run.task)
    rows = rows.assign(group=recordings, target=target)
    return rows[run.task.known(target, common)]


@dataclass(frozen=True)
class ComparedScores:
    """The scores of the two datasets, and the difference with its 95 % interval."""

    name: str  # `accuracy`, or `balanced accuracy`
    elsewhere: Score
    own: Score

    @property
    def change(self) -> float:
        return self.elsewhere.mean - self.own.mean

    @property
    def reach(self) -> float:
        """Half the width of the interval of the change; NaN if one score has none."""
        there = (self.elsewhere.high - self.elsewhere.low) / 2
        here = (self.own.high - self.own.low) / 2
        return float(np.hypot(there, here))


def compare_scores(
    by_fold: Sequence[pd.DataFrame],
    at_home: pd.DataFrame,
    classes: Sequence[str],
    task: Task,
) -> ComparedScores:
    """The mean score of the folds' models there, from the predictions of each, and the
    cross-validated one.
    """
    if task.multilabel:
        score, name = clip_metric(task).configuration_score, clip_metric(task).title
    else:
        score, name = balanced_score, f"balanced {clip_metric(task).title}"
    return ComparedScores(name, score(by_fold, classes), score([at_home], classes))


def balanced_score(tables: Sequence[pd.DataFrame], classes: Sequence[str]) -> Score:
    """The classes' mean recall, a mean over models, with its interval."""
    clips = pd.concat(tables, ignore_index=True)
    correct = clips[list(classes)].idxmax(axis=1) == clips["target"]
    keys = [clips["fold"], clips["target"], clips["group"], clips["clip_id"]]
    each = correct.groupby(keys).mean()
    target = each.index.get_level_values("target")
    counts = target.value_counts()
    weights = 1 / (len(counts) * counts[target].to_numpy())
    groups = each.index.get_level_values("group").to_numpy(dtype=str)
    ((low, high),) = accuracy_interval(each.to_numpy()[:, None], groups, weights)
    recalls = each.groupby(["fold", "target"]).mean()
    return Score(float(weights @ each), low, high, recalls.groupby(level="fold").mean())
