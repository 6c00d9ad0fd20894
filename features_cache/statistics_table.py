"""Row statistics of clips as one table, for R, pandas and spreadsheets.

A row is a clip: the columns of the clip table, then `mel_mean_0`, `mel_sd_0`, … over
the frames of each row of each feature, or its values if frames are not times.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import progress
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.row_statistics import is_time, over_time
from featurestack.features_cache.table import CLIP_COLUMNS, WINDOW_COLUMNS
from featurestack.storage.files import replace_file

FIRST_COLUMNS = (*CLIP_COLUMNS, *WINDOW_COLUMNS)
BATCH = 64  # clips that are read at once


def statistics_table(cache: Cache, features: Sequence[str]) -> pd.DataFrame:
    """The clips that have all these features, with their row statistics."""
    done = np.flatnonzero(cache.readable(features))
    parts = [cache.clips.iloc[done].reset_index(drop=True)]
    for name in progress(features, label="statistics", unit="features"):
        feature = cache[name]
        unit = feature.frame_unit
        blocks = []
        for rows in np.array_split(done, max(1, len(done) // BATCH)):
            values = feature.read(rows)
            blocks.append(clip_statistics(values, unit))
        columns = column_names(name, feature.rows, feature.frames, unit)
        statistics = np.concatenate(blocks)
        parts.append(pd.DataFrame(statistics, columns=columns))
    return pd.concat(parts, axis=1)


def clip_statistics(values: NDArray, frame_unit: str) -> NDArray[np.float32]:
    """(B, columns) of maps (B, rows, frames): means and deviations, or all values."""
    if not is_time(frame_unit):
        return values.astype(np.float32).reshape(len(values), -1)
    return over_time(values).astype(np.float32)


def column_names(name: str, rows: int, frames: int, frame_unit: str) -> list[str]:
    """The columns' names, in the order of `clip_statistics`."""
    if is_time(frame_unit):
        means = [f"{name}_mean_{row}" for row in range(rows)]
        deviations = [f"{name}_sd_{row}" for row in range(rows)]
        return means + deviations
    names = []
    for row in range(rows):
        names += [f"{name}_{row}_{column}" for column in range(frames)]
    return names


def write_table(table: pd.DataFrame, target: Path) -> None:
    """Write a table as CSV; RequestError for a file that is there and no such table."""
    if target.suffix != ".csv":
        raise RequestError(f"FILE={target}: expected a name that ends in .csv")
    if target.is_file():
        with target.open("rb") as content:
            first = content.readline()
        if not first.startswith(",".join(FIRST_COLUMNS).encode()):
            raise RequestError(
                f"{target} is another table and is not replaced: give another FILE"
            )
    replace_file(target, as_csv(table))
