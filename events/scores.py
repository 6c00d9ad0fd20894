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
    segment error   the part of the time at which the labels differ

Conventions: E events and D detections of one label on one axis of seconds, on which
recordings are far apart; both sorted by start; detections do not overlap.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featurestack.results.bootstrap import CONFIDENCE, REPLICATES
from featurestack.results.scores import Floats, Ints

IOU = 0.5
OTHER_IOUS = (0.3, 0.7)
COLLAR = 0.05  # seconds
ALL = "all classes"


class Spans(NamedTuple):
    """Spans of one label, sorted by start."""

    start: Floats
    end: Floats
    stretch: Ints  # the recording, or the block of one, that each lies in

    def take(self, chosen: NDArray[np.generic]) -> "Spans":
        return Spans(*(column[chosen] for column in self))

    @property
    def middle(self) -> Floats:
        return (self.start + self.end) / 2


# ---- matching


def match(
    events: Spans,
    detections: Spans,
    iou: float,
    *,
    points: bool = False,
) -> tuple[Ints, Ints]:
    """The events and detections that are partners: each has at most one, and as many as
    possible have one.
    """
    pairs = (
        near_points(events, detections)
        if points
        else overlapping(events, detections, iou)
    )
    shape = len(events.start), len(detections.start)
    allowed = csr_matrix((np.ones(pairs.shape[1]), pairs), shape)
    partner = maximum_bipartite_matching(allowed, perm_type="column")  # -1: none
    event = np.flatnonzero(partner >= 0)
    return event, partner[event].astype(np.intp)


def overlapping(events: Spans, detections: Spans, iou: float) -> Ints:
    """(2, P) events and detections with at least this IoU, 0.3 or more.

    Such a detection covers 0.3 of the event, and so one of three times that lie a
    quarter of the event apart: three searches an event, whatever lasts how long.
    """
    if not len(detections.start):
        return np.empty((2, 0), np.intp)
    length = events.end - events.start
    times = events.start[:, None] + length[:, None] * np.array([0.25, 0.5, 0.75])
    before = np.searchsorted(detections.start, times, side="right") - 1
    event = np.repeat(np.arange(len(length))[:, None], 3, axis=1)
    event, detection = event[before >= 0], before[before >= 0]
    start = events.start[event], detections.start[detection]
    end = events.end[event], detections.end[detection]
    shared = np.minimum(*end) - np.maximum(*start)
    whole = np.maximum(*end) - np.minimum(*start)
    # times of an axis have rounding
    near = shared >= iou * whole - 1e-9
    return np.unique(np.stack([event[near], detection[near]]), axis=1)


def near_points(events: Spans, detections: Spans) -> Ints:
    """(2, P) points that are at most COLLAR apart."""
    low = np.searchsorted(detections.start, events.start - COLLAR, side="left")
    high = np.searchsorted(detections.start, events.start + COLLAR, side="right")
    number = high - low
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    event = np.repeat(np.arange(len(low)), number)
    return np.stack([event, np.repeat(low, number) + within])


def lie_on(spans: Spans, others: Spans) -> NDArray[np.bool_]:
    """Whether each span contains the middle of one of the others, or one of them its
    middle.
    """
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


# ---- time


def union(start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Starts and ends of the times that spans, sorted by start, cover."""
    if not len(start):
        return start, end
    latest = np.maximum.accumulate(end)
    begins = np.append(True, start[1:] > latest[:-1])
    last = np.append(np.flatnonzero(begins)[1:] - 1, len(start) - 1)
    return start[begins], latest[last]


def differing(events: Spans, detections: Spans) -> tuple[Floats, Floats]:
    """Starts and ends of the times at which there is one of them and not the other."""
    ends = [*union(events.start, events.end), *union(detections.start, detections.end)]
    changes = np.sort(np.concatenate(ends))
    return changes[::2], changes[1::2]


# ---- scores


class Tally(NamedTuple):
    """What is counted of one label, or of several."""

    counts: Floats  # (3, S) partners at IOU, events, detections
    at_other_ious: Ints  # partners at OTHER_IOUS
    found: int  # events
    false_alarms: int
    wrong_names: int
    onsets: Floats  # seconds between the starts of partners
    differing: tuple[Floats, Floats]  # starts and ends, sorted

    def scores(self, seconds: Floats) -> dict[str, float]:
        """The columns of `event_scores`; seconds (S,) of the stretches."""
        matched, events, detections = self.counts.sum(axis=1)
        hours = seconds.sum() / 3600
        low, high = f1_interval(self.counts)
        onset = np.full(2, np.nan)
        if len(self.onsets):
            onset = np.quantile(1000 * self.onsets, [0.5, 0.9])
        start, end = union(*self.differing)
        at_others = 2 * self.at_other_ious
        return {
            "events": int(events),
            "detections": int(detections),
            "f1": ratio(2 * matched, events + detections),
            "low": low,
            "high": high,
            "precision": ratio(matched, detections),
            "recall": ratio(matched, events),
            **{
                f"f1_iou_{iou:g}": ratio(partners, events + detections)
                for iou, partners in zip(OTHER_IOUS, at_others)
            },
            "found": ratio(self.found, events),
            "false_alarms": self.false_alarms / hours,
            "wrong_names": self.wrong_names / hours,
            "onset_ms": onset[0],
            "onset_90_ms": onset[1],
            "segment_error": (end - start).sum() / seconds.sum(),
        }


def event_scores(
    events: Mapping[str, Spans],
    detections: Mapping[str, Spans],
    seconds: Floats,
) -> pd.DataFrame:
    """Scores of each label, and of ALL together: events, detections, f1, low and high
    (its 95 % interval by recording), precision, recall, f1_iou_0.3, f1_iou_0.7, found,
    false_alarms and wrong_names an hour, onset_ms (median) and onset_90_ms,
    segment_error.

    seconds  (S,) of each stretch; every label of `events` has `detections`
    """
    every = together(list(events.values()))
    tallies = {
        name: tally(own, detections[name], every, len(seconds))
        for name, own in events.items()
    }
    starts, ends = (
        np.concatenate(part)
        for part in zip(*(own.differing for own in tallies.values()))
    )
    order = np.argsort(starts, kind="stable")
    each = tallies.values()
    everything = Tally(
        np.sum([own.counts for own in each], axis=0),
        np.sum([own.at_other_ious for own in each], axis=0),
        sum(own.found for own in each),
        sum(own.false_alarms for own in each),
        sum(own.wrong_names for own in each),
        np.concatenate([own.onsets for own in each]),
        (starts[order], ends[order]),
    )
    rows = {
        name: own.scores(seconds) for name, own in [*tallies.items(), (ALL, everything)]
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("label")


def tally(events: Spans, detections: Spans, every: Spans, stretches: int) -> Tally:
    """The tally of one label; `every` are the events of all labels."""
    points = is_points(events)
    event, detection = match(events, detections, IOU, points=points)
    counts = [
        np.bincount(spans.stretch, minlength=stretches)
        for spans in (events.take(event), events, detections)
    ]
    at_other_ious = [
        len(match(events, detections, iou, points=points)[0]) for iou in OTHER_IOUS
    ]
    on_own = lie_on(detections, events)
    on_any = lie_on(detections, every)
    return Tally(
        np.stack(counts).astype(float),
        np.array(at_other_ious),
        int(lie_on(events, detections).sum()),
        int((~on_any).sum()),
        int((on_any & ~on_own).sum()),
        np.abs(events.start[event] - detections.start[detection]),
        differing(events, detections),
    )


def is_points(events: Spans) -> bool:
    """Whether a class is one of points: its events have no length."""
    return len(events.start) > 0 and not (events.end > events.start).any()


def together(spans: list[Spans]) -> Spans:
    """The spans of several labels as one, sorted by start."""
    columns = Spans(*map(np.concatenate, zip(*spans)))
    return columns.take(np.argsort(columns.start, kind="stable"))


def f1_interval(counts: Floats) -> tuple[float, float]:
    """The 95 % interval of F1 by resampled recordings, of counts (3, S): partners,
    events, detections; NaN for a single recording.
    """
    holding = counts[:, counts[1:].sum(axis=0) > 0]
    recordings = holding.shape[1]
    if recordings < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(recordings, np.full(recordings, 1 / recordings), REPLICATES)
    partners, events, detections = (drawn @ holding.T).T
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(2 * partners / (events + detections), [tail, 1 - tail])
    return float(low), float(high)


def ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
