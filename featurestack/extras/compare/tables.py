"""`make compare`: tables of predictions, and runs beside them, by `fs.compare`.

A row of a table is a tested clip: its id, `clip`; `label`, several separated by `;`;
`fold` and `group` if known; a column of numbers for each class, or one of predicted
classes. Refused, because it would mislead: a clip that counts twice, a column that is
no class, labels, groups or folds in which models differ.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.options import text_of
from featurestack.base.table_files import cell_number, read_table
from featurestack.base.terminal import tell
from featurestack.comparison.compare import compare, same_parts, table_of_run
from featurestack.comparison.metrics import are_probabilities
from featurestack.extras.compare import CompareOptions
from featurestack.features_cache.clip_table import SEPARATOR, label_indicator
from featurestack.results.run_list import select

OF_CLIPS = ("label", "fold", "group")


def clips_in(file: Path) -> pd.DataFrame:
    """The table as text, indexed by clip."""
    rows = read_table(file).rename(columns={"clip_id": "clip"})
    if "clip" not in rows or rows.empty:
        raise RequestError(f"{file}: expected a column clip, and a row for each clip")
    rows = rows.set_index(rows.pop("clip").str.strip().rename(None))
    if (again := rows.index.duplicated()).any():
        raise RequestError(f"{file}: clip {rows.index[again][0]} has several rows")
    return rows


def predictions_in(
    file: Path, rows: pd.DataFrame, labels: set[str], *, tags: bool
) -> object:
    """Probabilities, a column for each class, or one column of predicted classes."""
    names = [name for name in rows if name not in OF_CLIPS]
    if len(names) == 1 and {*rows[names[0]]} <= labels:
        return rows[names[0]]
    numbers = rows[names].map(cell_number).astype(float)
    probable = are_probabilities(numbers.to_numpy(), multilabel=tags).all()
    known = numbers.columns.isin([*labels]) | (probable and not tags)
    wrong = numbers.isna().any() | ~known
    if wrong.any():
        column = f"{file}, column {wrong.idxmax()}"
        raise RequestError(f"{column}: expected numbers of a class that clips have")
    if tags or probable:
        return numbers
    tell(f"{file}: no probabilities, so a row's highest number is its prediction")
    highest = numbers.eq(numbers.max(axis=1), axis=0).astype(float)
    return highest.div(highest.sum(axis=1), axis=0)  # equal numbers stay a tie


def compare_tables(options: CompareOptions) -> None:
    """Print the sentence and the table of `fs.compare`."""
    runs, known = [], {}  # known: label, fold and group of the first model with them
    if options.run:
        runs = select(options.runs, text_of(options.run), data=options.data)
        known = {**table_of_run(runs[0]).rename(columns={"target": "label"})}
    tables = {file: clips_in(file) for file in options.tables}
    for file, rows in tables.items():
        for name in [name for name in OF_CLIPS if name in rows]:
            first = known.setdefault(name, rows[name]).reindex(rows.index)
            same = same_parts if name != "label" else pd.Series.equals
            one_test = name == "fold" and rows[name].nunique() == 1
            if not one_test and not same(first, rows[name]):
                raise RequestError(f"{file} has other {name}s than a model before it")
    if tables and "label" not in known:
        raise RequestError("no table has a column label: the true class of each clip")
    labels = known.get("label", pd.Series(dtype=str))
    several = labels.str.split(SEPARATOR)
    tags = bool((several.str.len() > 1).any())
    classes = {*runs[0].classes} if runs else {*several.explode()} - {""}
    models: dict[str, Any] = {run.name: run for run in runs}
    for file, rows in tables.items():
        models[file.stem] = predictions_in(file, rows, classes, tags=tags)
    if not models or len(models) < len(tables) + len(runs):
        raise RequestError("give TABLES= or RUN=, with another name for each model")
    if runs:
        print(compare(models))
        return
    frames = [table for table in models.values() if isinstance(table, pd.DataFrame)]
    names = sorted(classes.union(*frames))
    if tags:
        labels = pd.DataFrame(label_indicator(labels, names), labels.index, names)
    groups, folds = known.get("group"), known.get("fold", "unknown")
    print(compare(models, labels, groups=groups, folds=folds, classes=names))
