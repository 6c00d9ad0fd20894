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

from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.runs import Problem
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.options import (
    DatasetOptions,
    option_words,
    part_of,
)
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache
from featurestack.features_cache.check_findings import read_check
from featurestack.features_cache.external import create_cache
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.table import SEPARATOR, originals
from featurestack.pipeline.checks.run import findings_in, keep
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.rooms.predictions.read import (
    ROLES,
    Answers,
    Table,
    answers_in,
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

OWN = ("dataset", "name", "data", "predictions", "truth", "audio", "label", "group")


def jobs(options: Any) -> list[ReportJob]:
    """The report on the tables that PREDICTIONS names."""
    columns = columns_of(options)
    tables = [part for path in options.predictions for part in tables_in(path, columns)]
    name = options.name or options.predictions[0].stem
    inputs = [Path(table.name) for table in tables]
    return [job_of(options, tables, name, inputs)]


def columns_of(options: Any) -> dict[str, str]:
    """What a column holds -> its name, as LABEL, GROUP and COLUMNS say."""
    columns = {"label": options.label, "group": options.group}
    words = re.split(r"\s+(?=\w+=)", options.columns) if options.columns else []
    for word in words:  # names may have blanks
        role, _, name = word.partition("=")
        if role not in ROLES:
            raise RequestError(f"COLUMNS={word}: {nearest('meaning', role, ROLES)}")
        columns[role] = name
    return {role: name for role, name in columns.items() if name}


def job_of(
    options: Any, tables: Sequence[Table], title: str, inputs: Sequence[Path]
) -> ReportJob:
    """The report on these tables, called `title`."""
    columns = columns_of(options)
    names = {str(name) for table in tables for name in table.frame}
    for name in columns.values():
        if name not in names:
            raise RequestError(nearest("column", name, names))
    dataset = dataset_of(options) if options.dataset else None
    truth = None
    if options.truth:
        truth = labels_in(read_table(options.truth, columns), columns)
        inputs = [*inputs, options.truth]
    elif dataset and not any(
        "label" in roles_of([*table.frame], columns) for table in tables
    ):
        truth = labels_of(dataset)
    several = truth is not None and not truth["target"].str.fullmatch("[^;]+").all()
    tags = options.task == "tags" or several
    answers = [
        own for table in tables for own in answers_in(table, columns, truth, tags=tags)
    ]
    runs = foreign_runs(answers, title, options.task, truth)
    folder = options.reports / title
    if (options.runs / title).is_dir() and not options.name:
        raise RequestError(
            f"{folder} is the report of the runs of {title}: give this one another"
            " name, NAME=second-opinion"
        )
    if options.audio:
        dataset = with_audio(options, answers, folder, title)
    cache = checked_cache(dataset, folder) if dataset else None
    words = option_words(options, [*OWN, "columns", "task"])
    notes = [Problem(run.name, note) for run in runs for note in run.notes]
    return ReportJob(
        dataset=title,
        runs=tuple(runs),
        cache=cache,
        folder=folder,
        given=tuple(words),
        tables=tuple(inputs),
        problems=tuple(notes),
        proposal=proposal(options, words, notes),
    )


def proposal(
    options: Any, words: Sequence[str], notes: Sequence[Problem]
) -> tuple[str, str]:
    """The next command, and its reason: what makes the report's sentences stronger."""
    if not options.group and any("GROUP=" in note.text for note in notes):
        command = make_command("analysis", *words, "GROUP=COLUMN")
        return command, "clips of one recording are drawn together"
    if not (options.audio or options.dataset):
        command = make_command("analysis", *words, "AUDIO=FOLDER")
        return command, "players, leaks between folds, the price of the split"
    return make_command("analysis", *words, "PAPER=1"), "the files for a paper"


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
    return pd.DataFrame(
        {
            "clip_id": clips["clip_id"],
            "file": clips["path"],
            "target": clips["label"],
            "group": clips["group"],
            "fold": clips["fold"].astype(str),
        }
    )


def dataset_of(options: Any) -> Dataset:
    """The dataset that DATASET names."""
    source = part_of(options, DatasetOptions)
    return load(SourceOptions(dataset=source.dataset, data=source.data))


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
    """The dataset's cache, else one without features in `folder`, with the findings of
    `check`.
    """
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
        keep(dataset, findings_in(dataset)[1])
    return dataset.folder
