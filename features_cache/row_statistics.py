"""The numbers that describe a feature map: mean and deviation of each row over time;
all values if columns are not time, or local means if there are too many values.

Statistics over time describe a mel spectrogram. They would average away a modulation
spectrum, whose columns are modulation frequencies.
"""

import numpy as np
from numpy.typing import NDArray

# in a channel with more values, neighbouring columns are averaged, if need be all
MOST_VALUES = 4096


def is_time(frame_unit: str) -> bool:
    """Whether frames of this unit are time; the unit index counts as time.

    >>> [is_time(unit) for unit in ("s", "index", "Hz")]
    [True, True, False]
    """
    return frame_unit in ("s", "index")


def has_statistics(frame_unit: str, frames: int) -> bool:
    """Whether mean and deviation over time describe a map of this many frames."""
    return is_time(frame_unit) and frames > 1


def kept_columns(rows: int, frames: int) -> int:
    """The number of columns that a feature map of this shape keeps.

    >>> kept_columns(32, 12), kept_columns(128, 431)
    (12, 32)
    """
    return min(frames, max(1, MOST_VALUES // rows))


def over_time(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """(B, 2 rows): means and deviations of maps (B, rows, frames), in float64."""
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


def summaries(maps: NDArray[np.floating], timed: bool) -> NDArray[np.float32]:
    """Of maps (B, rows, frames): means and deviations (B, rows, 2) if columns are time,
    else values (B, rows, kept columns).
    """
    if timed:
        both = over_time(maps).reshape(len(maps), 2, -1)
        return both.swapaxes(1, 2).astype(np.float32)
    return (maps @ column_means(*maps.shape[1:])).astype(np.float32)
