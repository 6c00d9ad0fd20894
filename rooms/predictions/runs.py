"""Tables of predictions as run folders, which the analysis reads like its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import SEPARATOR, refuse_class_names
from featurestack.results.config import (
    RUN_FORMAT,
    EnsembleConfig,
    RunConfig,
    SoundClass,
    digest,
)
from featurestack.results.run_folder import PREDICTION_COLUMNS, RunFolder
from featurestack.rooms.predictions.read import TOLERANCE, Answers

NOTHING = "(none)"  # the prediction for a clip without a score
MODEL = "predictions"  # value of `model` in its configuration


@dataclass(frozen=True, eq=False, repr=False)
class ForeignRun(RunFolder):
    """One model's predictions in the place of a run folder, which does not exist."""

    stated: EnsembleConfig
    parts: Mapping[int, pd.DataFrame]  # fold -> rows of its predictions.csv
    notes: tuple[str, ...] = ()

    @cached_property
    def config(self) -> RunConfig | EnsembleConfig:
        return self.stated

    @property
    def exact(self) -> bool:
        return True  # a table has no seeds

    @property
    def finished(self) -> list[int]:
        return [*self.parts]

    @cached_property
    def _tables(self) -> dict[tuple[int, str], pd.DataFrame]:
        return {(fold, ""): part for fold, part in self.parts.items()}


def foreign_runs(
    answers: Sequence[Answers],
    dataset: str,
    task: str,
    truth: pd.DataFrame | None = None,
) -> list[ForeignRun]:
    """A run for each model; `task` may be auto. RequestError if they do not fit.

    truth  every clip, if another table or a dataset has the labels: a table with one
           row per prediction may leave clips out
    """
    models = by_model(answers)
    if truth is not None:
        models = {
            name: [*parts, *silent(parts, truth)] for name, parts in models.items()
        }
        answers = [part for parts in models.values() for part in parts]
    texts = pd.concat([of_table.clips["target"] for of_table in answers])
    if task == "auto":
        task = "tags" if texts.str.contains(SEPARATOR).any() else "classes"
    classes = shared_classes(answers)
    if len({*texts}) < 2:
        raise RequestError(
            f"{answers[0].table.name}: all clips have one label, {texts.iloc[0]!r}:"
            " expected two classes or more"
        )
    scores = {}
    for model, parts in models.items():
        scores[model] = [complete(part, classes, task) for part in parts]
    if any(NOTHING in part for parts in scores.values() for part in parts):
        classes = [*classes, NOTHING]
    refuse_class_names(classes)
    folds = fold_numbers([of_table.clips["fold"] for of_table in answers])
    runs = []
    for model, parts in models.items():
        clips = pd.concat([part.clips for part in parts], ignore_index=True)
        every = [
            part.reindex(columns=classes, fill_value=0.0) for part in scores[model]
        ]
        values = pd.concat(every, ignore_index=True)
        table = pd.concat(
            [clips.assign(split="test")[[*PREDICTION_COLUMNS]], values], axis=1
        )
        numbers = clips["fold"].map(folds)
        tested = {int(fold): part for fold, part in table.groupby(numbers)}
        notes = notes_of(clips, parts, task)
        config = EnsembleConfig(
            format_version=RUN_FORMAT,
            dataset=dataset,
            task=task,
            folds=tuple(sorted({*folds.values()})),
            classes=tuple(SoundClass(name=name, category="") for name in classes),
            sample_rate=0,
            duration=0,
            synthetic=False,
            features=model,
            model=MODEL,
            seed=0,
            family=digest([model]),
            hash=digest([model]),
            name=model,
            protocol="predictions of another program",
            members=(),
            parameters=0,
            seconds=0,
            note="; ".join(notes),
        )
        runs.append(
            ForeignRun(Path(parts[0].table.name).parent / model, config, tested, notes)
        )
    return runs


def by_model(answers: Sequence[Answers]) -> dict[str, list[Answers]]:
    """The tables of each model: those of one name, and all if no clip is in two of
    them, such as a table per recording.
    """
    models: dict[str, list[Answers]] = {}
    for of_table in answers:
        name = re.sub(r'[<>:"/\\|?*\s]+', ".", of_table.table.model)
        models.setdefault(name, []).append(of_table)
    keys = ["clip_id", "selection"]
    every = pd.concat([of_table.clips[keys] for of_table in answers])
    files = {of_table.table.name for of_table in answers}
    if len(files) == len(answers) > 1 and not every.duplicated().any():
        return {next(iter(models)): [*answers]}
    for name, parts in models.items():
        clips = pd.concat([part.clips[keys] for part in parts])
        if clips.duplicated().any():
            clip = clips["clip_id"][clips.duplicated()].iloc[0]
            where = " and ".join(dict.fromkeys(part.table.name for part in parts))
            raise RequestError(
                f"{where}: two tables of the model {name} have the clip {clip!r};"
                " expected one, or another file name for another model"
            )
    return models


def silent(parts: Sequence[Answers], truth: pd.DataFrame) -> list[Answers]:
    """The clips for which tables with one row per prediction have none."""
    predicted = pd.concat([part.clips["clip_id"] for part in parts])
    clips = truth[~truth["clip_id"].isin(predicted)].assign(selection="last")
    if clips.empty or not all(part.listed for part in parts):
        return []
    labels = {name for text in clips["target"] for name in text.split(SEPARATOR)}
    none = pd.DataFrame(0.0, clips.index, sorted(labels - {""}))
    return [Answers(parts[0].table, clips, none, listed=True)]


def shared_classes(answers: Sequence[Answers]) -> list[str]:
    """The classes of all tables: those of columns must be the same in all."""
    columns = [of_table for of_table in answers if not of_table.listed]
    for of_table in columns[1:]:
        alone = {*of_table.scores} ^ {*columns[0].scores}
        for name in sorted(alone):
            here, there = of_table.table.name, columns[0].table.name
            if name not in of_table.scores:
                here, there = there, here
            raise RequestError(
                f"{here}: the class {name!r} is a column here alone, {there} has none;"
                " expected the same classes"
            )
    first = [*columns[0].scores] if columns else []
    others = {name for of_table in answers for name in of_table.scores}
    return [*first, *sorted(others - {*first})]


def complete(part: Answers, classes: Sequence[str], task: str) -> pd.DataFrame:
    """Scores of all classes; with one label per clip, probabilities whose sum is 1.

    The rest of a predicted class's score belongs to all classes alike; a clip without
    a score is predicted as NOTHING.
    """
    scores = part.scores.reindex(columns=classes, fill_value=0.0)
    if task == "tags":
        return scores
    sums = scores.sum(axis=1)
    if part.listed:
        rest = (1 - sums).clip(lower=0) / len(classes)
        scores = scores.add(rest.where(sums > 0, 0), axis=0)
        sums = scores.sum(axis=1)
    other = (sums - 1).abs() > TOLERANCE
    if not other.any():
        return scores
    scores[other] = scores[other].div(sums[other].where(sums > 0, 1), axis=0)
    if (sums == 0).any():
        scores[NOTHING] = (sums == 0).astype(float)
    return scores


def notes_of(
    clips: pd.DataFrame, parts: Sequence[Answers], task: str
) -> tuple[str, ...]:
    """What a model's tables lack for a stronger sentence."""
    notes = {part.note for part in parts} - {""}
    if clips["group"].equals(clips["clip_id"]):
        notes.add("no group column: clips count as independent; name it with GROUP=")
    if clips["fold"].nunique() == 1:
        notes.add("one fold: no spread over folds; name it with COLUMNS=fold=NAME")
    for part in parts:
        apart = (part.scores.sum(axis=1) - 1).abs() > TOLERANCE
        if task != "tags" and not part.listed and apart.any():
            notes.add("scores of a row do not sum to 1: they are divided by their sum")
    return tuple(sorted(notes))


def fold_numbers(folds: Sequence["pd.Series[str]"]) -> dict[str, int]:
    """The number of each fold: its own, else its place among the sorted names."""
    names = sorted({*np.concatenate([part.unique() for part in folds])})
    if all(re.fullmatch(r"\d{1,6}", name) for name in names):
        return {name: int(name) for name in names}
    return {name: place for place, name in enumerate(names, 1)}
