"""A run scored on another labelled dataset: does what it learned hold elsewhere?

`python -m train predict RUN=run DATASET=other`: features are computed from the other
dataset's audio at the run's own sample rate, and clips count whose labels the run
knows. The output compares the score with the cross-validated score of the same classes.

All folds' models together answer better than one, which answers at home. So each
fold's model is scored alone there, and the scores are averaged. If the classes have
other shares there, balanced accuracies are compared. The fall has an interval: the two
datasets' clips are independent. predictions.csv has the answers of all models together.
Files in OUT, by default reports/<other>/by-<run>: predictions.csv,
scores.csv, confusion.csv. The report of the run's own dataset shows every scores.csv
below REPORTS.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, points
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import tell
from featurestack.features_cache.index import read_index
from featurestack.features_cache.location import cache_folder, dataset_name, is_cache
from featurestack.features_cache.table import SEPARATOR, by_label, originals, spans
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.predict.audio_model import AudioModel, predict_files, trained_clips
from featurestack.predict.bundle import Probabilities
from featurestack.results.config import ChoiceConfig
from featurestack.results.run_folder import ELSEWHERE, RunFolder, find
from featurestack.scores.bootstrap import accuracy_interval
from featurestack.scores.metrics import Score
from featurestack.scores.ranking_metric import of_choice
from featurestack.scores.tasks.base import Task, clip_metric
from featurestack.storage.files import replace_file
from featurestack.train.options import PredictOptions

NAMED = 5  # unknown classes that are named
SCORES = "scores.csv"
SCORES_BEGIN = b"dataset,trained,run,score,"  # its first line
WRITTEN = ("predictions.csv", SCORES, "confusion.csv")
UNEQUAL = 0.05  # share of the clips by which classes' shares may differ


@dataclass(frozen=True)
class LabelledClips:
    """The clips of another dataset that count for a run, and what was left out."""

    table: pd.DataFrame  # clip_id, group, path, start, end, target
    classes: tuple[str, ...]  # classes of both the run and the other dataset
    left_out: int  # clips whose label is unknown
    trained_on: int  # clips whose file the run was trained on


def score_elsewhere(options: PredictOptions) -> int:
    """Score the run on DATASET and write the files; 1 if one was unreadable."""
    model = AudioModel.open(replace(options, dataset=""))
    run = model.run
    if run is None:
        raise RequestError(
            "DATASET= compares with cross-validated scores: give a run, a bundle has"
            " none"
        )
    other = load_other(options, run)
    scored = f"{ELSEWHERE}{run.dataset}-{run.name}"
    folder = options.out or options.reports / other.name / scored
    refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)  # a wrong REPORTS is refused at once
    clips = labelled_clips(other, run, options.data)
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
    clip_columns = table.loc[answers.index, ["clip_id", "group", "target"]]
    known = clip_columns.join(answers)
    # average precision needs classes in common
    classes = [*clips.classes] if run.task.multilabel else run.classes
    by_fold = []
    for values in np.stack([apart[key] for key in answers.index], axis=1):
        alone = pd.DataFrame(values, answers.index, run.classes)
        by_fold.append(clip_columns.join(alone).assign(fold=1))
    home = scored_at_home(run)
    at_home = rows_of_run(home or run, clips.classes)
    compared = compare_scores(by_fold, at_home, classes, run.task)
    if home is None:
        unknown = replace(compared.own, mean=np.nan, low=np.nan, high=np.nan)
        compared = replace(compared, own=unknown)
    elif home is not run:
        compared = replace(compared, own=of_choice(compared.own))
    write_files(folder, other.name, known, clips, run, compared)
    print(*score_lines(known, clips, run, compared), sep="\n")
    print(f"predictions, scores and confusions: {folder}")
    return 1 if len(answers) < len(table) else 0


def refuse_foreign(folder: Path) -> None:
    """RequestError for files that this command did not write beside scores.csv."""
    scores = folder / SCORES
    own = scores.is_file() and scores.read_bytes().startswith(SCORES_BEGIN)
    for name in WRITTEN:
        if (folder / name).exists() and not own:
            raise RequestError(
                f"{folder / name} exists and is not from this command, so it is not"
                " replaced: give another OUT"
            )


def load_other(options: PredictOptions, run: RunFolder) -> Dataset:
    """The dataset that DATASET names; RequestError if it is the run's own."""
    source = {"dataset": options.dataset, "data": str(options.data)}
    if dataset_name(options.dataset) == run.dataset:
        folder = cache_folder(run.dataset, options.data, run.dataset)
        own = read_index(folder)[1]["source"] if is_cache(folder) else options.dataset
        if own in (options.dataset, str(Path(options.dataset).resolve())):
            raise RequestError(
                f"{run.name} was trained on {run.dataset}: give another dataset as"
                " DATASET=, or new audio as AUDIO="
            )
        source["name"] = f"{run.dataset}2"  # another dataset of the same name
    return load(SourceOptions.build(source))


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
        raise RequestError(
            f"{other.name} and {run.name} have no class in common:"
            f" {named(unknown) or 'no label'} there, {named(run.classes)} here"
        )
    kept = table.assign(target=target)[counts]
    files = {path: Path(path) for path in kept["path"].unique()}
    seen = kept["path"].isin(trained_clips(run.dataset, data, files))
    if seen.all():
        raise RequestError(
            f"{run.name} was trained on every file of {other.name}: give a dataset of"
            " other recordings"
        )
    left_out = int((~counts).sum())
    if unknown:
        tell(
            f"{counted(len(unknown), 'class')} of {other.name} unknown to the run"
            f" ({named(unknown)}): {counted(left_out, 'clip')} left out"
        )
    trained_on = int(seen.sum())
    if trained_on:
        tell(
            f"{counted(trained_on, 'clip')} left out: the run was trained on their"
            " files"
        )
    common = [name for name in run.classes if name in present]
    columns = ["clip_id", "group", "path", "start", "end", "target"]
    return LabelledClips(
        table=kept.loc[~seen, columns],
        classes=tuple(common),
        left_out=left_out,
        trained_on=trained_on,
    )


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
    rows = run.scored(split=run.scored_split)
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
    metric = clip_metric(task)
    if task.multilabel or not shares_differ(by_fold[0]["target"], at_home["target"]):
        elsewhere = metric.configuration_score(by_fold, classes)
        own = metric.configuration_score([at_home], classes)
        return ComparedScores(metric.title, elsewhere, own)
    elsewhere = balanced_score(by_fold, classes)
    own = balanced_score([at_home], classes)
    return ComparedScores(f"balanced {metric.title}", elsewhere, own)


def shares_differ(there: "pd.Series[str]", here: "pd.Series[str]") -> bool:
    """Whether more than UNEQUAL of the clips would need another class."""
    own = here.value_counts(normalize=True)
    apart = there.value_counts(normalize=True).subtract(own, fill_value=0).abs()
    return bool(apart.sum() / 2 > UNEQUAL)


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


def change_sentence(compared: ComparedScores) -> str:
    """`−6.1 points (−9.0 to −3.2)`."""
    change = compared.change
    if np.isnan(compared.reach):
        return f"{points(change)} points"
    ends = [points(change + side * compared.reach) for side in (-1, 1)]
    return f"{points(change)} points ({ends[0]} to {ends[1]})"


def named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} …" if len(names) > NAMED else shown


def score_lines(
    known: pd.DataFrame, clips: LabelledClips, run: RunFolder, compared: ComparedScores
) -> list[str]:
    """The scores with their intervals, and the most frequent errors."""
    recordings = counted(known["group"].nunique(), "recording")
    classes = counted(len(clips.classes), "class")
    at_home = (
        f"cross-validated on {run.dataset}, the same classes: {compared.own};"
        f" {change_sentence(compared)}"
    )
    if np.isnan(compared.own.mean):
        at_home = f"no score on {run.dataset} to compare with: it chose these features"
    elif run.config.composed_from:
        at_home = f"of the choice of its features, {at_home}"
    found = [
        f"{counted(len(known), 'clip')} of {recordings}, {classes} in common",
        f"{compared.name} {compared.elsewhere}; {at_home}",
    ]
    wrong = known[known["target"] != known["predicted"]]
    worst = wrong.groupby(["target", "predicted"]).size().nlargest(3)
    if len(worst):
        each = [
            f"{target} predicted as {predicted} ({clips})"
            for (target, predicted), clips in worst.items()
        ]
        found.append(f"most confused: {'; '.join(each)}")
    return found


def write_files(
    folder: Path,
    other: str,
    known: pd.DataFrame,
    clips: LabelledClips,
    run: RunFolder,
    compared: ComparedScores,
) -> None:
    """Write predictions.csv, scores.csv and confusion.csv."""
    elsewhere, own = compared.elsewhere, compared.own
    row = {
        "dataset": other,
        "trained": run.dataset,
        "run": run.name,
        "score": compared.name,
        "value": elsewhere.mean,
        "low": elsewhere.low,
        "high": elsewhere.high,
        "cross_validated": own.mean,
        "cross_validated_low": own.low,
        "cross_validated_high": own.high,
        "change": compared.change,
        "change_low": compared.change - compared.reach,
        "change_high": compared.change + compared.reach,
        "clips": len(known),
        "recordings": known["group"].nunique(),
        "classes": len(clips.classes),
        "left_out": clips.left_out,
        "trained_on": clips.trained_on,
    }
    tables = {
        "predictions.csv": known,
        SCORES: pd.DataFrame([row]),
        "confusion.csv": pd.crosstab(known["target"], known["predicted"]).reset_index(),
    }
    for name, table in tables.items():
        replace_file(folder / name, as_csv(table))
