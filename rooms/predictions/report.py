"""`make analysis PREDICTIONS=` and `fs.analyse(...)`: the report on foreign tables.

With AUDIO or DATASET the report has players and what `check` finds in the audio. A
cache without features, in the report's folder, holds the paths.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import Built, ReportJob
from featurestack.analysis.runs import Problem
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.options import DatasetOptions, option_words, part_of
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache
from featurestack.features_cache.external import create_cache
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.side_files import read_check
from featurestack.features_cache.table import SEPARATOR, has_windows, originals
from featurestack.interface import takes
from featurestack.pipeline.checks.run import findings_in
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.rooms.predictions.options import AnalyseOptions
from featurestack.rooms.predictions.read import (
    ROLES,
    Answers,
    Table,
    answers_in,
    at_start,
    class_columns,
    clips_of,
    numbers,
    read_table,
    refuse_disagreement,
    roles_of,
    tables_in,
)
from featurestack.rooms.predictions.runs import foreign_runs
from featurestack.storage.files import replace_file

NAME = "predictions"  # the name of a report on frames
# options of the command, in the order in which it is repeated
OWN = (
    *("dataset", "name", "data", "predictions", "truth", "audio"),
    *("label", "group", "columns", "task"),
)


@takes(AnalyseOptions, "name", "group", "label")
def analyse(
    table: "pd.DataFrame | Mapping[str, pd.DataFrame] | Path | str",
    options: AnalyseOptions,
) -> "Built":
    """`make analysis PREDICTIONS=`: the report on anybody's predictions.

    `table` is a data frame, one for each model by name, a CSV file, or a folder of
    them. It has one row per clip: its file, its true label, and a probability column
    per class, or the predicted class and its score.

        fs.analyse(frame, group="recording").headline
        fs.analyse({"birdnet": a, "perch": b}).page
    """
    if isinstance(table, Path | str):
        (job,) = jobs(replace(options, predictions=(Path(table),)))
        return build_report(job, options)
    title = options.name or NAME
    frames = table if isinstance(table, Mapping) else {title: table}
    tables = []
    for model, frame in frames.items():
        if not hasattr(frame, "columns") or not len(frame):
            raise RequestError(f"{model}: expected a data frame with rows")
        named = any(frame.index.names)
        tables.append(Table(model, frame.reset_index(drop=not named), model))
    return build_report(job_of(options, tables, title), options)


def jobs(options: Any) -> list[ReportJob]:
    """The report on the tables that PREDICTIONS names."""
    columns = columns_of(options)
    tables = [part for path in options.predictions for part in tables_in(path, columns)]
    name = options.name or options.predictions[0].stem
    return [job_of(options, tables, name)]


def columns_of(options: Any) -> dict[str, str]:
    """Names of columns by their content, as LABEL, GROUP and COLUMNS say."""
    columns = {"label": options.label, "group": options.group}
    words = re.split(r"\s+(?=\w+=)", options.columns) if options.columns else []
    for word in words:  # names may have blanks
        role, _, name = word.partition("=")
        if role not in ROLES:
            raise RequestError(f"COLUMNS={word}: {nearest('meaning', role, ROLES)}")
        columns[role] = name
    return {role: name for role, name in columns.items() if name}


def job_of(options: Any, tables: Sequence[Table], title: str) -> ReportJob:
    """The report on these tables, called `title`."""
    columns = columns_of(options)
    inputs = [Path(table.name) for table in tables if table.header]
    names = {str(name) for table in tables for name in table.frame}
    for name in columns.values():
        if name not in names:
            raise RequestError(nearest("column", name, names))
    folder = options.reports / title
    if (options.runs / title).is_dir() and not options.name:
        raise RequestError(
            f"{folder} is the report of the runs of {title}: give this one another"
            " name, NAME=second-opinion"
        )
    dataset = truth = None
    if options.dataset:
        source = part_of(options, DatasetOptions)
        dataset = load(SourceOptions(dataset=source.dataset, data=source.data))
    labelled = any("label" in roles_of([*table.frame], columns) for table in tables)
    if options.truth:
        truth = labels_in(read_table(options.truth, columns), columns)
        inputs.append(options.truth)
    elif dataset and not labelled:
        truth = labels_of(dataset)
    several = truth is not None and truth["target"].str.contains("^$|;").any()
    tags = options.task == "tags" or several
    answers = [
        own for table in tables for own in answers_in(table, columns, truth, tags=tags)
    ]
    runs = foreign_runs(answers, title, options.task, truth)
    if options.audio:
        dataset = with_audio(options, answers, folder, title)
    notes = [Problem(run.name, note) for run in runs for note in run.notes]
    words = option_words(options, OWN)
    proposal = "PAPER=1", "the files for a paper"
    if not options.group and any("GROUP=" in note.text for note in notes):
        proposal = "GROUP=COLUMN", "clips of one recording are drawn together"
    elif not dataset:
        proposal = "AUDIO=FOLDER", "players, leaks between folds, price of the split"
    return ReportJob(
        dataset=title,
        runs=tuple(runs),
        cache=checked_cache(dataset, folder) if dataset else None,
        folder=folder,
        given=tuple(words),
        tables=tuple(inputs),
        problems=tuple(notes),
        proposal=(make_command("analysis", *words, proposal[0]), proposal[1]),
    )


def labels_in(table: Table, given: Mapping[str, str]) -> pd.DataFrame:
    """The true labels in a table: a column, or a column of 0 and 1 for each class."""
    frame = table.frame
    roles = roles_of([*frame], given)
    clips = clips_of(table, roles)
    if "target" not in clips:
        labels = class_columns(frame, roles, {*map(str, frame)})
        positive = numbers(table, [*labels]).to_numpy() > 0
        names = np.array([*labels.values()], object)
        clips["target"] = [SEPARATOR.join(names[row]) for row in positive]
    refuse_disagreement(table, clips, once=True)
    return clips.drop(columns="selection").reset_index(drop=True)


def labels_of(dataset: Dataset) -> pd.DataFrame:
    """The true labels of a dataset's clips."""
    clips = originals(dataset.table).reset_index(drop=True)
    return clips[["clip_id", "group"]].assign(
        file=clips["path"],
        target=clips["label"],
        fold=clips["fold"].astype(str),
        at=at_start(clips["start"]) if has_windows(clips) else "",
    )


def with_audio(
    options: Any, answers: Sequence[Answers], folder: Path, name: str
) -> Dataset:
    """The clips of the tables as a dataset whose files are in AUDIO."""
    clips = pd.concat([part.clips for part in answers]).drop_duplicates("clip_id")
    table = pd.DataFrame(
        {
            "filename": clips["file"],
            "label": clips["target"],
            "group": clips["group"],
            "fold": pd.factorize(clips["fold"], sort=True)[0] + 1,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "clips.csv"
    replace_file(file, table.to_csv(index=False))
    source = SourceOptions(
        dataset=str(file), audio_dir=str(options.audio), data=folder, name=name
    )
    loaded = load(source)
    return replace(loaded, table=loaded.table.assign(clip_id=clips["clip_id"].array))


def checked_cache(dataset: Dataset, folder: Path) -> Path:
    """The dataset's cache, or one without features, with findings of `check`."""
    if not is_cache(dataset.folder):
        dataset = replace(dataset, folder=folder / "clips")
        shutil.rmtree(dataset.folder, ignore_errors=True)
        create_cache(
            dataset.folder,
            dataset.table,
            dataset=dataset.name,
            sample_rate=dataset.sample_rate,
            duration=dataset.duration,
        )
    if read_check(dataset.folder, Cache(dataset.folder).clips) is None:
        findings_in(dataset)
    return dataset.folder
