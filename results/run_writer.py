"""Writes the files of a run folder; `results.run_folder` has their format."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError, nearest
from featurestack.features_cache.table import WINDOW_COLUMNS
from featurestack.results.config import RunConfig, UntrainedConfig, to_json
from featurestack.results.run_folder import PREDICTION_COLUMNS, PREDICTIONS_FILE
from featurestack.storage.files import replace_file


def write_config(folder: Path, config: RunConfig | UntrainedConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(config), indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / "run.json", text + "\n")


def history_row(values: Mapping[str, float], columns: Sequence[str]) -> str:
    """One line of history.csv, without its end; NaN is an empty field."""
    for name in values.keys() - {*columns}:
        raise RequestError(nearest("column of history.csv", name, columns))
    numbers = [values.get(column, math.nan) for column in columns]
    texts = [
        repr(number if isinstance(number, int) else float(number)) for number in numbers
    ]
    return ",".join("" if text == "nan" else text for text in texts)


def start_history(
    fold_folder: Path, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Write history.csv with exactly `rows`, unless the file already holds them."""
    fold_folder.mkdir(parents=True, exist_ok=True)
    header = ",".join(columns)
    lines = [header, *rows]
    content = "".join(line + "\n" for line in lines).encode()
    file = fold_folder / "history.csv"
    if not file.is_file() or file.read_bytes() != content:
        replace_file(file, content)


def append_history(fold_folder: Path, row: str) -> None:
    with (fold_folder / "history.csv").open(
        "a", encoding="utf-8", newline=""
    ) as handle:
        handle.write(row + "\n")


def write_predictions(
    fold_folder: Path,
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write `rows` (PREDICTION_COLUMNS, WINDOW_COLUMNS if any) beside `probabilities`
    (N, K), exactly; the last file of a fold.
    """
    table = pd.DataFrame(probabilities, rows.index, classes)
    columns = [*PREDICTION_COLUMNS, *(name for name in WINDOW_COLUMNS if name in rows)]
    table = pd.concat([rows[columns], table], axis=1)
    # 9 digits hold a float32
    text = table.to_csv(
        index=False, float_format="%.9g", na_rep="nan", lineterminator="\n"
    )
    replace_file(fold_folder / PREDICTIONS_FILE, text, parents=True)
