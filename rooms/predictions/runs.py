"""Tables of predictions as run folders, which the analysis reads like its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

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

    title: str  # the dataset's
    kind: str  # the kind of its task
    names: tuple[str, ...]  # its classes
    parts: Mapping[int, pd.DataFrame]  # fold -> rows of its predictions.csv
    notes: tuple[str, ...] = ()

    @cached_property
    def config(self) -> RunConfig | EnsembleConfig:
        model = self.path.name
        return EnsembleConfig(
            format_version=RUN_FORMAT,
            dataset=self.title,
            task=self.kind,
            folds=tuple(self.parts),
            classes=tuple(SoundClass(name=name, category="") for name in self.names),
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
            note="; ".join(self.notes),
        )

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
    refuse_other_classes(answers)
    models = {}
    for name, parts in by_model(answers).items():
        clips = pd.concat([part.clips for part in parts], ignore_index=True)
        scores = pd.concat([part.scores for part in parts], ignore_index=True)
        own = replace(parts[0], clips=clips, scores=scores.fillna(0.0))
        models[name] = own if truth is None else with_silent(own, truth)
    every = pd.concat([own.clips for own in models.values()])
    if every["target"].nunique() < 2:
        raise RequestError(
            f"{answers[0].table.name}: all clips have one label,"
            f" {every['target'].iloc[0]!r}: expected two classes or more"
        )
    if task == "auto":
        several = every["target"].str.contains(SEPARATOR).any()
        task = "tags" if several else "classes"
    classes = classes_of([*models.values()])
    probabilities = {}
    for model, own in models.items():
        probabilities[model] = complete(own, classes, task)
    if any(NOTHING in own for own in probabilities.values()):
        classes = [*classes, NOTHING]
    refuse_class_names(classes)
    folds = fold_numbers(every["fold"])
    runs = []
    for model, own in models.items():
        clips = own.clips.assign(split="test")
        values = probabilities[model].reindex(columns=classes, fill_value=0.0)
        table = pd.concat([clips[[*PREDICTION_COLUMNS]], values], axis=1)
        tested = {
            int(fold): part for fold, part in table.groupby(clips["fold"].map(folds))
        }
        path = Path(own.table.name).parent / model
        given = dataset, task, tuple(classes), tested, notes_of(own, task)
        runs.append(ForeignRun(path, *given))
    return runs


def by_model(answers: Sequence[Answers]) -> dict[str, list[Answers]]:
    """The tables of each model; those without a common clip are one model's."""
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


def with_silent(own: Answers, truth: pd.DataFrame) -> Answers:
    """The predictions, also of clips for which a listing table has none."""
    known = truth["clip_id"].isin(own.clips["clip_id"])
    if known.all() or not own.listed:
        return own
    silent = truth[~known].assign(selection="last")
    labels = {name for text in silent["target"] for name in text.split(SEPARATOR)}
    none = pd.DataFrame(0.0, silent.index, sorted(labels - {""}))
    clips = pd.concat([own.clips, silent], ignore_index=True)
    scores = pd.concat([own.scores, none], ignore_index=True).fillna(0.0)
    return replace(own, clips=clips, scores=scores)


def refuse_other_classes(answers: Sequence[Answers]) -> None:
    """RequestError if the columns of classes differ between tables."""
    columns = [of_table for of_table in answers if not of_table.listed]
    for of_table in columns[1:]:
        for name in sorted({*of_table.scores} ^ {*columns[0].scores}):
            here, there = of_table.table.name, columns[0].table.name
            if name not in of_table.scores:
                here, there = there, here
            raise RequestError(
                f"{here}: the class {name!r} is a column here alone, {there} has none;"
                " expected the same classes"
            )


def classes_of(models: Sequence[Answers]) -> list[str]:
    """The classes of all models, first those of columns in their order."""
    columns = [name for own in models if not own.listed for name in own.scores]
    every = sorted({name for own in models for name in own.scores})
    return [*dict.fromkeys([*columns, *every])]


def complete(own: Answers, classes: Sequence[str], task: str) -> pd.DataFrame:
    """Scores of all classes; with one label per clip, probabilities whose sum is 1.

    The rest of a predicted class's score belongs to all classes alike; a clip without
    a score is predicted as NOTHING.
    """
    scores = own.scores.reindex(columns=classes, fill_value=0.0)
    if task == "tags":
        return scores
    sums = scores.sum(axis=1)
    if own.listed:
        rest = (1 - sums).clip(lower=0) / len(classes)
        scores = scores.add(rest.where(sums > 0, 0), axis=0)
        sums = scores.sum(axis=1)
    other = (sums - 1).abs() > TOLERANCE
    if other.any():
        scores[other] = scores[other].div(sums[other].where(sums > 0, 1), axis=0)
    if (sums == 0).any():
        scores[NOTHING] = (sums == 0).astype(float)
    return scores


def notes_of(own: Answers, task: str) -> tuple[str, ...]:
    """The columns that a model's tables lack for a stronger sentence."""
    notes = {own.note} - {""}
    if own.clips["group"].equals(own.clips["clip_id"]):
        notes.add("no group column: clips count as independent; name it with GROUP=")
    if own.clips["fold"].nunique() == 1:
        notes.add("one fold: no spread over folds; name it with COLUMNS=fold=NAME")
    apart = (own.scores.sum(axis=1) - 1).abs() > TOLERANCE
    if task != "tags" and not own.listed and apart.any():
        notes.add("scores of a row do not sum to 1: they are divided by their sum")
    return tuple(sorted(notes))


def fold_numbers(folds: "pd.Series[str]") -> dict[str, int]:
    """The number of each fold: its own, else its place among the sorted names."""
    names = sorted(folds.unique())
    if all(re.fullmatch(r"\d{1,6}", name) for name in names):
        return {name: int(name) for name in names}
    return {name: place for place, name in enumerate(names, 1)}
