"""The numbers that describe a feature map: mean and deviation of each row over time;
if columns are not time all values, or if there are many, local means. Also their table
for R, pandas and spreadsheets.

Statistics over time describe a mel spectrogram. They would average away a modulation
spectrum, whose columns are modulation frequencies.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import progress
from featurestack.features_cache.table import CLIP_COLUMNS, WINDOW_COLUMNS
from featurestack.storage.files import replace_file

if TYPE_CHECKING:
    from featurestack.features_cache.cache import Cache

# a channel with more values has neighbouring columns averaged, if need be all into one
MOST_VALUES = 4096
FIRST_COLUMNS = (*CLIP_COLUMNS, *WINDOW_COLUMNS)
BATCH = 64  # clips that are read at once


def is_time(frame_unit: str) -> bool:
    """Whether frames of this unit are time; those of an index count as time.

    >>> [is_time(unit) for unit in ("s", "index", "Hz")]
    [True, True, False]
    """
    return frame_unit in ("s", "index")


def has_statistics(frame_unit: str, frames: int) -> bool:
    """Whether mean and deviation over time describe a map of so many frames: one frame
    is described by its values.
    """
    return is_time(frame_unit) and frames > 1


def kept_columns(rows: int, frames: int) -> int:
    """The number of columns that a feature map of this shape keeps.

    >>> kept_columns(32, 12), kept_columns(128, 431)
    (12, 32)
    """
    return min(frames, max(1, MOST_VALUES // rows))


def over_time(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """(B, 2 rows): means and deviations of maps (B, rows, frames), by float64 sums."""
    values = maps.astype(np.float64)
    means = values.mean(axis=2)
    values -= means[:, :, None]
    # takes half the time of std
    squares = np.einsum("brf,brf->br", values, values)
    return np.concatenate([means, np.sqrt(squares / values.shape[2])], axis=1)


def column_means(rows: int, frames: int) -> NDArray[np.float32]:
    """(frames, kept columns): weights that average neighbouring columns."""
    kept = kept_columns(rows, frames)
    neighbours = np.array_split(np.arange(frames), kept)
    weights = np.zeros((frames, kept), np.float32)
    for column, members in enumerate(neighbours):
        weights[members, column] = 1 / len(members)
    return weights


def statistics_table(cache: "Cache", features: Sequence[str]) -> pd.DataFrame:
    """The clips that have all these features, with their row statistics.

    A row is a clip: the columns of the clip table, then `mel_mean_0`, `mel_sd_0`, …
    over the frames of each row of each feature, or its values if frames are not times.
    """
    done = np.flatnonzero(cache.readable(features))
    parts = [cache.clips.iloc[done].reset_index(drop=True)]
    for name in progress(features, label="statistics", unit="features"):
        feature = cache[name]
        timed = is_time(feature.frame_unit)
        blocks = []
        for rows in np.array_split(done, max(1, len(done) // BATCH)):
            values = feature.read(rows)
            block = over_time(values) if timed else values.reshape(len(rows), -1)
            blocks.append(block.astype(np.float32))
        first: Iterable[object] = range(feature.rows)
        last = range(feature.frames)
        if timed:
            first, last = ("mean", "sd"), range(feature.rows)
        columns = [f"{name}_{a}_{b}" for a, b in itertools.product(first, last)]
        statistics = np.concatenate(blocks)
        parts.append(pd.DataFrame(statistics, columns=columns))
    return pd.concat(parts, axis=1)


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
