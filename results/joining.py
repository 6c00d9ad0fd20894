"""From the windows of a class to its detections. No torch.

A detection of a class begins where its probability is above a threshold, and lasts as
long as it is above a share of the threshold (hysteresis). Detections that are a short
gap apart are one, and those that are too short are none. One that is too long stands
for events that follow each other so closely that no window lies between them, and is
divided. `results.detections.fit_rules` chooses threshold, share, gap and lengths
together. (Sound event bounding boxes, Ebbers et al. 2024, separate extent from
confidence, too.)

Conventions: W windows, as in `results.windows.middles`; D detections; K classes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.results.config import JoiningRule
from featurestack.results.scores import Floats, Ints
from featurestack.results.windows import BACKGROUND, EVENT_COLUMNS

# A lower threshold, which a rare class may get, gives false alarms by the thousand.
LEAST_THRESHOLD = 0.3
TOLERANCE = 1e-6  # seconds; times are rounded


class Times(NamedTuple):
    """The columns of `middles` as arrays (W,)."""

    recording: Ints  # a number for each file
    start: Floats
    end: Floats
    follows: NDArray[np.bool_]  # the window continues the one before

    @classmethod
    def of(cls, middle: pd.DataFrame) -> "Times":
        """The times of the table of `middles`."""
        return cls(
            pd.factorize(middle["file"])[0],
            middle["start"].to_numpy(float),
            middle["end"].to_numpy(float),
            middle["follows"].to_numpy(bool),
        )

    def runs(self, chosen: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """First and last window (D,) of each run of neighbouring chosen windows."""
        joined = np.zeros(len(chosen), np.bool_)  # with the window before
        joined[1:] = chosen[1:] & chosen[:-1] & self.follows[1:]
        is_last = chosen.copy()
        is_last[:-1] &= ~joined[1:]
        return np.flatnonzero(chosen & ~joined), np.flatnonzero(is_last)

    def joined(self, probability: Floats, rule: JoiningRule) -> tuple[Ints, Ints]:
        """First and last window (D,) of each detection of a class."""
        first, last = self.runs(probability > rule.share * rule.threshold)
        above = largest_of(probability, first, last) > rule.threshold
        first, last = first[above], last[above]
        before, after = last[:-1], first[1:]  # the windows around each gap
        gap = self.start[after] - self.end[before]
        same = self.recording[after] == self.recording[before]
        apart = ~same | (gap > rule.longest_gap + TOLERANCE)
        edge = np.ones(min(len(first), 1), np.bool_)
        first = first[np.append(edge, apart)]
        last = last[np.append(apart, edge)]
        length = self.end[last] - self.start[first]
        long = length >= rule.least_length - TOLERANCE
        return self.divided(first[long], last[long], rule.longest_length)

    def divided(
        self,
        first: Ints,
        last: Ints,
        longest: float | None,
    ) -> tuple[Ints, Ints]:
        """First and last window of the parts of detections (D,). A detection is divided
        into equal parts of at most `longest` seconds, as few as possible.
        """
        if longest is None:
            return first, last
        windows = last - first + 1
        length = self.end[last] - self.start[first]
        parts = np.ceil((length - TOLERANCE) / longest).astype(np.int64)
        parts = np.clip(parts, 1, windows)
        whole = np.repeat(np.arange(len(first)), parts)  # the detection of each part
        number = np.arange(len(whole)) - np.repeat(np.cumsum(parts) - parts, parts)
        begin = number * windows[whole] // parts[whole]
        end = (number + 1) * windows[whole] // parts[whole]
        return first[whole] + begin, first[whole] + end - 1


def largest_of(values: Floats, first: Ints, last: Ints) -> Floats:
    """The largest value (D,) from the first to the last window of each detection."""
    if not len(first):
        return np.zeros(0)
    edges = np.column_stack([first, last + 1]).ravel()
    padded = np.append(values, -np.inf)  # an edge may be the number of windows
    return np.maximum.reduceat(padded, edges)[::2]


def detections_of(
    middle: pd.DataFrame,
    label: str,
    probability: Floats,
    first: Ints,
    last: Ints,
) -> pd.DataFrame:
    """The detections of one class from the first and the last window (D,) of each: the
    columns of `join_windows`.
    """
    total = np.append(0, np.cumsum(probability, dtype=np.float64))
    mean = (total[last + 1] - total[first]) / (last + 1 - first)
    return pd.DataFrame(
        {
            "file": middle["file"].to_numpy()[first],
            "start": middle["start"].to_numpy()[first],
            "end": middle["end"].to_numpy()[last],
            "label": label,
            "mean": mean,
            "largest": largest_of(probability, first, last),
        }
    )


def join_windows(
    middle: pd.DataFrame,
    chosen: pd.DataFrame,
    probabilities: pd.DataFrame,
) -> pd.DataFrame:
    """Detections: neighbouring windows of `middles` with the same class are joined;
    BACKGROUND makes none.

    chosen         (W, K), a column a class: whether it is predicted for the window
    probabilities  (W, K), a column a class

    The columns are EVENT_COLUMNS, then the mean and the largest of the windows'
    probabilities.
    """
    times = Times.of(middle)
    parts = []
    for name in chosen.columns.drop(BACKGROUND, errors="ignore"):
        probability = probabilities[name].to_numpy(float)
        first, last = times.runs(chosen[name].to_numpy(bool))
        parts.append(detections_of(middle, name, probability, first, last))
    return together(parts)


def join_by_rules(
    middle: pd.DataFrame,
    probabilities: pd.DataFrame,
    rules: Mapping[str, JoiningRule],
) -> pd.DataFrame:
    """Detections as those of `join_windows`, by the rule of each class."""
    times = Times.of(middle)
    parts = []
    for name in probabilities.columns.drop(BACKGROUND, errors="ignore"):
        probability = probabilities[name].to_numpy(float)
        first, last = times.joined(probability, rules[name])
        parts.append(detections_of(middle, name, probability, first, last))
    return together(parts)


def together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The detections of all classes, sorted by file, start, end and label."""
    if not parts:
        return pd.DataFrame(columns=[*EVENT_COLUMNS, "mean", "largest"])
    return pd.concat(parts).sort_values(EVENT_COLUMNS, ignore_index=True)
