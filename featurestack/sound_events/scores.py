"""Scores of detections against annotated events. No torch.

    F1 at IoU 0.5   a detection is right if it and an event of its label share half of
                    the time that one of them lasts (intersection over union), each
                    having one partner and as many as possible having one; points are
                    right within COLLAR seconds
    found           events that a detection of their label lies on: one of the two
                    contains the other's middle
    false alarms    detections that lie on no event, an hour; detections that lie on an
                    event of another label alone are `wrong_names`
    onset error     between the starts of partners, milliseconds

Conventions: E events and D detections of one label on one axis of seconds, on which
recordings are far apart; both sorted by start; detections do not overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featurestack.scores.bootstrap import (
    drawn_recordings,
    effective_recordings,
    wilson_interval,
)
from featurestack.scores.metrics import Floats, Ints

Mask = NDArray[np.bool_]
IOU = 0.5
COLLAR = 0.05  # seconds
ROUNDING = 1e-9  # seconds, of times on the axis
ALL = "all classes"


class Spans(NamedTuple):
    """Spans of one label, sorted by start."""

    start: Floats
    end: Floats
    stretch: Ints  # the recording, or the block of one, that each lies in
    score: Floats  # the highest probability of each detection, NaN of an event

    def take(self, chosen: NDArray[np.generic]) -> "Spans":
        return Spans(*(column[chosen] for column in self))

    @property
    def middle(self) -> Floats:
        return (self.start + self.end) / 2

    @property
    def lasts(self) -> Floats:
        return self.end - self.start


# ---- matching


def match(events: Spans, detections: Spans) -> tuple[Ints, Ints]:
    """The events and detections that are partners, as many as possible."""
    if is_points(events):
        pairs = near_points(events, detections)
    else:
        pairs = overlapping(events, detections)
    shape = len(events.start), len(detections.start)
    allowed = csr_matrix((np.ones(pairs.shape[1]), pairs), shape)
    partner = maximum_bipartite_matching(allowed, perm_type="column")  # -1: none
    event = np.flatnonzero(partner >= 0)
    return event, partner[event].astype(np.intp)


def overlapping(events: Spans, detections: Spans) -> Ints:
    """(2, P) events and detections with an IoU of at least IOU.

    Such a detection covers half of the event, and so one of the times at 0.4 and 0.6 of
    it: two searches an event, whatever lasts how long.
    """
    if not len(detections.start):
        return np.empty((2, 0), np.intp)
    pairs = []
    for part in (0.4, 0.6):
        times = events.start + part * events.lasts
        begun = np.searchsorted(detections.start, times, side="right") - 1
        event = np.flatnonzero(begun >= 0)
        pairs.append(np.stack([event, begun[event]]))
    event, detection = np.unique(np.concatenate(pairs, axis=1), axis=1)
    start = events.start[event], detections.start[detection]
    end = events.end[event], detections.end[detection]
    shared = np.minimum(*end) - np.maximum(*start)
    whole = np.maximum(*end) - np.minimum(*start)
    near = shared >= IOU * whole - ROUNDING
    return np.stack([event[near], detection[near]])


def near_points(events: Spans, detections: Spans) -> Ints:
    """(2, P) points that are at most COLLAR apart."""
    earliest, latest = events.start - COLLAR, events.start + COLLAR
    first = np.searchsorted(detections.start, earliest, side="left")
    after = np.searchsorted(detections.start, latest, side="right")
    return np.stack(numbers_between(first, after))


def numbers_between(first: Ints, after: Ints) -> tuple[Ints, Ints]:
    """Each whole number from `first` up to, without it, `after`, beside its place in
    the two.

    >>> place, number = numbers_between(np.array([3, 9]), np.array([5, 10]))
    >>> place.tolist(), number.tolist()
    ([0, 0, 1], [3, 4, 9])
    """
    count = np.maximum(0, after - first)
    place = np.repeat(np.arange(len(first)), count)
    counted_before = np.cumsum(count) - count
    within = np.arange(count.sum()) - counted_before[place]
    return place, first[place] + within


def lie_on(spans: Spans, others: Spans) -> Mask:
    """Whether a span and one of the others contain the other's middle."""
    if not len(others.start):
        return np.zeros(len(spans.start), bool)
    margin = COLLAR * (others.end == others.start)  # points
    middles = np.sort(others.middle)
    first = np.searchsorted(middles, spans.start, side="left")
    last = np.searchsorted(middles, spans.end, side="right")
    begun = np.searchsorted(others.start - margin, spans.middle, side="right") - 1
    latest_end = np.maximum.accumulate(others.end + margin)
    inside = (begun >= 0) & (latest_end[begun] >= spans.middle)
    return (last > first) | inside


# ---- scores


@dataclass(frozen=True, eq=False)
class Tally:
    """The counts of one label, or of several together, in S stretches."""

    # (6, S) partners, events, detections, found events, false alarms, detections under
    # a wrong name
    by_stretch: Floats
    seconds: Floats  # (S,) that the stretches last
    onsets: "pd.Series[float]"  # seconds between the starts of partners, by stretch

    @property
    def counts(self) -> Floats:
        """(3, S) partners, events and detections."""
        return self.by_stretch[:3]

    def within(self, chosen: Mask) -> "Tally":
        """The counts of the chosen (S,) stretches alone."""
        onsets = self.onsets[chosen[self.onsets.index]]
        counts = self.by_stretch[:, chosen]
        return Tally(counts, self.seconds[chosen], onsets)

    def scores(self) -> dict[str, float]:
        """The columns of `score_table`."""
        sums = self.by_stretch.sum(axis=1).tolist()
        partners, events, detections, found, false_alarms, wrong_names = sums
        both = events + detections
        hours = self.seconds.sum() / 3600
        low, high = f1_interval(self.counts[None])
        return {
            "events": int(events),
            "detections": int(detections),
            "f1": ratio(2 * partners, both),
            "low": low,
            "high": high,
            "precision": ratio(partners, detections),
            "recall": ratio(partners, events),
            "found": ratio(found, events),
            "false_alarms": false_alarms / hours,
            "wrong_names": wrong_names / hours,
            "onset_ms": 1000 * self.onsets.quantile(0.5),
            "onset_90_ms": 1000 * self.onsets.quantile(0.9),
        }


def score_table(tallies: Mapping[Any, Tally]) -> pd.DataFrame:
    """Scores of each label: events, detections, f1, low and high (its 95 % interval by
    recording), precision, recall, found, false_alarms and wrong_names an hour, onset_ms
    (median) and onset_90_ms.
    """
    rows = {name: own.scores() for name, own in tallies.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("label")


def tally_all(
    events: Mapping[str, Spans], detections: Mapping[str, Spans], seconds: Floats
) -> dict[str, Tally]:
    """The tally of each label, and of ALL; seconds (S,) of the stretches."""
    every = together([*events.values()])
    tallies = {
        name: tally(own, detections[name], every, seconds)
        for name, own in events.items()
    }
    whole = Tally(
        np.sum([own.by_stretch for own in tallies.values()], axis=0),
        seconds,
        pd.concat([own.onsets for own in tallies.values()]),
    )
    return {**tallies, ALL: whole}


def tally(events: Spans, detections: Spans, every: Spans, seconds: Floats) -> Tally:
    """The tally of one label; `every` are the events of all labels."""
    event, detection = match(events, detections)
    wrong = errors(events, detections, every)
    counted = [
        events.take(event),
        events,
        detections,
        events.take(lie_on(events, detections)),
        wrong["false alarm"],
        wrong["wrong name"],
    ]
    apart = np.abs(events.start[event] - detections.start[detection])
    onsets = pd.Series(apart, events.stretch[event])
    numbers = [np.bincount(spans.stretch, minlength=len(seconds)) for spans in counted]
    return Tally(np.stack(numbers).astype(float), seconds, onsets)


def errors(events: Spans, detections: Spans, every: Spans) -> dict[str, Spans]:
    """The errors of one label by kind; `every` are the events of all labels."""
    on_any = lie_on(detections, every)
    on_own = lie_on(detections, events)
    return {
        "false alarm": detections.take(~on_any),
        "wrong name": detections.take(on_any & ~on_own),
        "missed": events.take(~lie_on(events, detections)),
    }


def is_points(events: Spans) -> bool:
    """Whether a class is one of points: its events have no length."""
    return len(events.start) > 0 and not (events.end > events.start).any()


def together(spans: Sequence[Spans]) -> Spans:
    """The spans of several labels as one, sorted by start."""
    columns = Spans(*map(np.concatenate, zip(*spans)))
    return columns.take(np.argsort(columns.start, kind="stable"))


def f1_of(counts: Floats) -> Floats:
    """F1 (...) of counts (..., 3): partners, events, detections; NaN of nothing."""
    partners, events, detections = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore"):
        return 2 * partners / (events + detections)


def f1_interval(counts: Floats) -> tuple[float, float]:
    """The 95 % interval of F1, a mean over B seeds, by resampled recordings; NaN for a
    single recording; counts (B, 3, S) of partners, events, detections.

    The variance of the replicates makes the interval, as of accuracies
    (`scores.bootstrap`): a perfect score has one too.
    """
    weights = counts[:, 1:].sum(axis=(0, 1))
    counts = counts[:, :, weights > 0]
    recordings = counts.shape[2]
    if recordings < 2:
        return np.nan, np.nan
    by_content = np.lexsort(counts.reshape(-1, recordings))
    counts = counts[:, :, by_content]  # no name decides what is drawn
    f1 = f1_of(counts.sum(axis=2)).mean()
    replicates = [
        f1_of(np.moveaxis(counts @ drawn.T, 1, 2)).mean(axis=0)
        for drawn in drawn_recordings(recordings)
    ]
    effective = effective_recordings(weights[weights > 0][:, None])
    ((low, high),) = wilson_interval(
        np.array([f1]),
        np.nanvar(np.concatenate(replicates), keepdims=True),
        effective,
        round(counts[:, 1].sum() / len(counts)),
    )
    return float(low), float(high)


def ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
