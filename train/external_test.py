"""A run scored on another labelled dataset: does what it learned hold elsewhere?

`python -m train predict RUN=run DATASET=other`: features are computed from the other
dataset's audio at the run's own sample rate, all folds' models answer together, and
clips count whose labels the run knows. Beside the score stands the cross-validated one
of the same classes. Files in OUT, by default reports/<other>/by-<run>: predictions.csv,
scores.csv, confusion.csv. The report of the run's own dataset shows every scores.csv
below REPORTS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, points
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import tell
from featurestack.features_cache.index import read_index
from featurestack.features_cache.location import (
    cache_folder,
    dataset_name,
    is_cache,
)
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    originals,
    spans,
)
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.ranking_metric import Score
from featurestack.results.run_folder import ELSEWHERE, RunFolder
from featurestack.results.tasks.base import Task
from featurestack.storage.files import content_hash, replace_file
from featurestack.train.audio_model import AudioModel, predict_files
from featurestack.train.options import PredictOptions

NAMED = 5  # unknown classes that are named


@dataclass(frozen=True)
class LabelledClips:
    """The clips of another dataset that count for a run, and what was left out."""

    table: pd.DataFrame  # clip_id, group, path, start, end, target
    classes: tuple[str, ...]  # classes of both the run and the other dataset
    unknown: tuple[str, ...]  # labels that the run does not know
    left_out: int  # clips whose label is unknown
    trained_on: int  # clips whose file the run was trained on


def score_elsewhere(options: PredictOptions) -> int:
    """Score the run on the clips of DATASET, print the scores and write the files;
    returns 1 if a file could not be read.
    """
    model = AudioModel.open(replace(options, dataset=""), options.threshold)
    run = model.run
    if run is None:
        raise RequestError(
            "DATASET= compares with cross-validated scores: give a run, a bundle has"
            " none"
        )
    other = load_other(options, run)
    clips = labelled_clips(other, run, known_files(run, options.data))
    tell_left_out(clips, other.name)
    table = clips.table.set_index("clip_id", drop=False)
    answers = predict_files(
        model,
        table["path"].map(Path).to_dict(),
        places=dict(zip(table.index, spans(table))),
    )
    if answers.empty:
        raise RequestError(f"no file of {other.name} can be read")
    known = table.loc[answers.index, ["clip_id", "group", "target"]].join(answers)
    classes = scored_classes(run, clips.classes)
    elsewhere = run.task.metric.configuration_score([known.assign(fold=1)], classes)
    own = score_of_run(run, clips.classes, classes)
    folder = options.out or options.reports / other.name / f"{ELSEWHERE}{run.name}"
    write_files(folder, other.name, known, clips, run, elsewhere, own)
    print(*lines(known, clips, run, elsewhere, own), sep="\n")
    print(f"predictions, scores and confusions: {folder}")
    return 1 if len(answers) < len(table) else 0


def load_other(options: PredictOptions, run: RunFolder) -> Dataset:
    """The dataset that DATASET names; RequestError if it is the run's own."""
    source = {"dataset": options.dataset, "data": str(options.data)}
    if dataset_name(options.dataset) == run.dataset:
        folder = cache_folder(run.dataset, options.data, run.dataset)
        own = read_index(folder)[1]["source"] if is_cache(folder) else options.dataset
        if own in (options.dataset, str(Path(options.dataset).resolve())):
            raise RequestError(
                f"{run.name} was trained on {run.dataset}: give another dataset as"
                " DATASET=, new audio as AUDIO=, or TEST_CLIPS=1 for its own test clips"
            )
        source["name"] = f"{run.dataset}2"  # another dataset of the same name
    return load(SourceOptions.build(source))


def known_files(run: RunFolder, data: Path) -> set[str]:
    """Hashes of the audio files that the run's cache was extracted from; none if the
    cache is not there.
    """
    folder = cache_folder(run.dataset, data, run.dataset)
    if not is_cache(folder):
        return set()
    clips, _ = read_index(folder)
    return {*clips["source_hash"]} - {""}


def labelled_clips(
    other: Dataset,
    run: RunFolder,
    trained_on: set[str],
) -> LabelledClips:
    """The clips of the other dataset with classes of the run; RequestError if there is
    none.

    trained_on  hashes of files that do not count
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
            f"{other.name} and {run.name} have no class in common: {named(unknown)}"
            f" there, {named(run.classes)} here"
        )
    kept = table.assign(target=target)[counts]
    seen = np.zeros(len(kept), bool)
    if trained_on:
        hashes = {path: content_hash(Path(path)) for path in kept["path"].unique()}
        seen = kept["path"].map(hashes).isin(trained_on).to_numpy()
    if seen.all():
        raise RequestError(
            f"{run.name} was trained on every file of {other.name}: give a dataset of"
            " other recordings"
        )
    common = [name for name in run.classes if name in present]
    columns = ["clip_id", "group", "path", "start", "end", "target"]
    return LabelledClips(
        table=kept.loc[~seen, columns],
        classes=tuple(common),
        unknown=tuple(unknown),
        left_out=int((~counts).sum()),
        trained_on=int(seen.sum()),
    )


def kept_labels(
    text: "pd.Series[str]",
    classes: Sequence[str],
    task: Task,
) -> "pd.Series[str]":
    """The targets without labels that the run does not know, if clips may have
    several.
    """
    if not task.multilabel:
        return text
    names = {*classes}

    def kept(labels: list[str]) -> str:
        return SEPARATOR.join(label for label in labels if label in names)

    return text.str.split(SEPARATOR).map(kept)


def scored_classes(run: RunFolder, common: Sequence[str]) -> list[str]:
    """The columns that are scored: an answer may be any class of the run; average
    precision exists only of classes in common.
    """
    return [*common] if run.task.multilabel else run.classes


def score_of_run(
    run: RunFolder,
    common: Sequence[str],
    classes: Sequence[str],
) -> Score:
    """The cross-validated score of the run's test clips of the classes in common."""
    rows = run.scored(split=run.scored_split)
    recordings = rows["group"].where(rows["group"] != "", rows["clip_id"])
    target = kept_labels(rows["target"], common, run.task)
    rows = rows.assign(group=recordings, target=target)
    of_common = rows[run.task.known(target, common)]
    return run.task.metric.configuration_score([of_common], classes)


def tell_left_out(clips: LabelledClips, name: str) -> None:
    """Name the classes and count the clips that do not count."""
    if clips.unknown:
        tell(
            f"{counted(len(clips.unknown), 'class')} of {name} unknown to the run"
            f" ({named(clips.unknown)}): {counted(clips.left_out, 'clip')} left out"
        )
    if clips.trained_on:
        tell(
            f"{counted(clips.trained_on, 'clip')} left out: the run was trained on"
            " their files"
        )


def named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} …" if len(names) > NAMED else shown


def lines(
    known: pd.DataFrame,
    clips: LabelledClips,
    run: RunFolder,
    elsewhere: Score,
    own: Score,
) -> list[str]:
    """The result in lines: the score with its interval, the cross-validated one, the
    most frequent errors.
    """
    recordings = counted(known["group"].nunique(), "recording")
    classes = counted(len(clips.classes), "class")
    fall = elsewhere.mean - own.mean
    at_home = f"cross-validated on {run.dataset}, the same classes: {own}"
    found = [
        f"{counted(len(known), 'clip')} of {recordings}, {classes} in common",
        f"{run.task.metric.title} {elsewhere}; {at_home}; {points(fall)} points",
    ]
    errors = confusions(known)
    if len(errors):
        each = [
            f"{row.target} predicted as {row.predicted} ({row.clips})"
            for row in errors[:3].itertuples()
        ]
        found.append(f"most confused: {'; '.join(each)}")
    return found


def confusions(known: pd.DataFrame) -> pd.DataFrame:
    """Target, prediction and number of clips of each error, the most frequent first."""
    wrong = known[known["target"] != known["predicted"]]
    counts = wrong.groupby(["target", "predicted"]).size()
    table = counts.rename("clips").reset_index()
    return table.sort_values("clips", ascending=False, kind="stable")


def write_files(
    folder: Path,
    other: str,
    known: pd.DataFrame,
    clips: LabelledClips,
    run: RunFolder,
    elsewhere: Score,
    own: Score,
) -> None:
    """Write predictions.csv, scores.csv and confusion.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {
        "dataset": other,
        "trained": run.dataset,
        "run": run.name,
        "score": run.task.metric.column,
        "value": elsewhere.mean,
        "low": elsewhere.low,
        "high": elsewhere.high,
        "cross_validated": own.mean,
        "cross_validated_low": own.low,
        "cross_validated_high": own.high,
        "clips": len(known),
        "recordings": known["group"].nunique(),
        "classes": len(clips.classes),
        "left_out": clips.left_out,
        "trained_on": clips.trained_on,
    }
    tables = {
        "predictions.csv": known,
        "scores.csv": pd.DataFrame([row]),
        "confusion.csv": pd.crosstab(known["target"], known["predicted"]).reset_index(),
    }
    for name, table in tables.items():
        replace_file(folder / name, as_csv(table))
