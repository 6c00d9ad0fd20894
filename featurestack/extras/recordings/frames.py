"""Frames of recordings: where they lie in pieces, the targets that events give them,
and the detections that their probabilities give. No torch.

A stretch is a recording, or a block of a recording that folds keep together. Its frames
follow each other in time, `hop` seconds apart.

    target      whether the frame's time lies in an event of the class
    detection   a run of frames above the lower threshold of the class's rule, one of
                them above its threshold, that lasts the least length or more
    match       an event and a detection of its label overlap for at least half of the
                time that the two cover together (IoU 0.5); each has at most one
                partner, and as many as possible have one

A rule that was chosen on the frames that it is scored on would flatter the scores: the
rules of a fold come from the other folds, and only the median length of a class comes
from all folds.

Conventions: T frames of all stretches together, S stretches, K classes, E events, D
detections. `axis` times are seconds on one axis, on which stretches follow each other
GAP apart, so that one pass serves all recordings; detections do not overlap.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featurestack.compare.metrics import Floats, Ints
from featurestack.features_cache.datasets import EVENT_COLUMNS

Numbers = NDArray[np.floating]
Mask = NDArray[np.bool_]
GAP_FRAMES = 1.5  # hops; a gap of one frame is shorter, one of two is longer
GAP = 10.0  # seconds; more than anything that is compared is apart
# Labels exclude each other if they share less than this part of the events' time: marks
# made by hand overlap by a few milliseconds.
EXCLUSIVE = 0.01
IOU = 0.5
ROUNDING = 1e-9  # seconds, of times on the axis
# the first of each make the default rule
THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
SHARES = (0.5, 1.0, 0.25)
LEAST_LENGTH = 0.3  # share of the class's median event; shorter detections are dropped
MARGIN = 1.0  # standard errors of the default rule's F1 that another rule has to gain
LEAST_SHARE = 0.25  # share of the lowest threshold that a candidate scores at least
STEP = 0.001  # between thresholds that CHECKED proposes


class Spans(NamedTuple):
    """Spans of one label, sorted by start."""

    start: Floats
    end: Floats
    stretch: Ints  # the recording, or the block of one, that each lies in
    score: Floats  # the highest probability of each detection, NaN for an event

    def take(self, chosen: NDArray[np.generic]) -> "Spans":
        return Spans(*(column[chosen] for column in self))

    @property
    def middle(self) -> Floats:
        return (self.start + self.end) / 2

    @property
    def lasts(self) -> Floats:
        return self.end - self.start


def match(events: Spans, detections: Spans) -> tuple[Ints, Ints]:
    """The events and detections that are partners, as many as possible."""
    pairs = overlapping(events, detections)
    shape = len(events.start), len(detections.start)
    allowed = csr_matrix((np.ones(pairs.shape[1]), pairs), shape)
    partner = maximum_bipartite_matching(allowed, perm_type="column")  # -1: none
    event = np.flatnonzero(partner >= 0)
    return event, partner[event].astype(np.intp)


def overlapping(events: Spans, detections: Spans, least: float = IOU) -> Ints:
    """(2, P) events and detections with an IoU of at least `least`."""
    first = np.searchsorted(detections.end, events.start, side="right")
    after = np.searchsorted(detections.start, events.end)
    event, detection = numbers_between(first, after)
    start = events.start[event], detections.start[detection]
    end = events.end[event], detections.end[detection]
    shared = np.minimum(*end) - np.maximum(*start)
    whole = np.maximum(*end) - np.minimum(*start)
    near = shared >= least * whole - ROUNDING
    return np.stack([event[near], detection[near]])


def numbers_between(first: Ints, after: Ints) -> tuple[Ints, Ints]:
    """The place and the numbers of each range from `first` up to `after`: for 3 to 5
    and 9 to 10 the places 0, 0, 1 and the numbers 3, 4, 9.
    """
    count = np.maximum(0, after - first)
    place = np.repeat(np.arange(len(first)), count)
    counted_before = np.cumsum(count) - count
    within = np.arange(count.sum()) - counted_before[place]
    return place, first[place] + within


def together(spans: Sequence[Spans]) -> Spans:
    """The spans of several labels as one, sorted by start."""
    columns = Spans(*map(np.concatenate, zip(*spans)))
    return columns.take(np.argsort(columns.start, kind="stable"))


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of stretches.

    stretches  (S) file, start, end in seconds, fold, frames (their number)
    times      (T,) seconds in the recording, in order within a stretch
    """

    stretches: pd.DataFrame
    times: Floats
    hop: float
    classes: tuple[str, ...]

    @cached_property
    def start(self) -> Floats:  # (S,)
        return self.stretches["start"].to_numpy(float)

    @cached_property
    def end(self) -> Floats:  # (S,)
        return self.stretches["end"].to_numpy(float)

    @cached_property
    def seconds(self) -> Floats:  # (S,)
        return self.end - self.start

    @cached_property
    def shift(self) -> Floats:
        """(S,) axis time - time in the recording."""
        places = self.seconds + GAP
        begins = np.cumsum(places) - places
        return begins - self.start

    @cached_property
    def stretch(self) -> Ints:
        """(T,) the stretch of each frame."""
        return np.repeat(np.arange(len(self.stretches)), self.stretches["frames"])

    @cached_property
    def axis(self) -> Floats:
        """(T,) axis times."""
        return self.times + self.shift[self.stretch]

    def spans(self, events: pd.DataFrame) -> dict[str, Spans]:
        """Each class's events on the axis, sorted by start, cut to the stretches: an
        event across a block's edge counts in both. Other files and labels are left out.
        """
        own = self.stretches[["file", "start", "end"]]
        own = own.assign(shift=self.shift, stretch=np.arange(len(own)))
        pairs = events[[*EVENT_COLUMNS]].merge(own, on="file", suffixes=("", "_own"))
        meet = (pairs["start"] < pairs["end_own"]) & (pairs["end"] > pairs["start_own"])
        pairs = pairs[meet]
        start = np.maximum(pairs["start"], pairs["start_own"]) + pairs["shift"]
        end = np.minimum(pairs["end"], pairs["end_own"]) + pairs["shift"]
        pairs = pairs.assign(start=start, end=end, score=np.nan)
        pairs = pairs.sort_values("start", kind="stable")
        spans = {}
        for name in self.classes:
            chosen = pairs[pairs["label"] == name]
            spans[name] = Spans(
                *(chosen[column].to_numpy() for column in Spans._fields)
            )
        return spans

    def shifted(self, spans: Spans, share: Floats) -> Spans:
        """Spans shifted by a share (S,) of their stretch; those that leave its end come
        in at its start, and one across the end is cut there.
        """
        stretch = spans.stretch
        seconds = self.seconds[stretch]
        begin = (self.start + self.shift)[stretch]
        start = begin + (spans.start - begin + share[stretch] * seconds) % seconds
        end = np.minimum(start + spans.lasts, begin + seconds)
        return Spans(start, end, stretch, spans.score).take(np.argsort(start))

    def targets(self, events: pd.DataFrame) -> Mask:
        """(T, K) whether a frame's time lies in an event of the class; an event between
        two times has the nearer frame.

        If two events of one class leave no frame between them, the earlier one loses
        its last frame, so that they stay apart.
        """
        axis = self.axis
        between = (axis[1:] + axis[:-1]) / 2
        targets = np.zeros((len(axis), len(self.classes)), bool)
        for number, spans in enumerate(self.spans(events).values()):
            first = np.searchsorted(axis, spans.start)
            after = np.searchsorted(axis, spans.end)
            empty = after <= first
            first[empty] = np.searchsorted(between, spans.middle[empty])
            after[empty] = first[empty] + 1
            several = after - first > 1
            apart = spans.end[:-1] <= spans.start[1:]
            touch = after[:-1] == first[1:]
            shorter = np.flatnonzero(several[:-1] & apart & touch)
            after[shorter] -= 1
            _, inside = numbers_between(first, after)
            targets[inside, number] = True
        return targets

    def table(self, spans: Mapping[str, Spans]) -> pd.DataFrame:
        """Spans of each label in their recordings, sorted: file, start, end, label,
        score.
        """
        parts = []
        for label, own in spans.items():
            file = self.stretches["file"].to_numpy(object)[own.stretch]
            shift = self.shift[own.stretch]
            times = {"start": own.start - shift, "end": own.end - shift}
            row = {"file": file, **times, "label": label, "score": own.score}
            parts.append(pd.DataFrame(row))
        return pd.concat(parts).sort_values(
            ["file", "start", "label"], kind="stable", ignore_index=True
        )


def on_one_axis(events: pd.DataFrame) -> pd.DataFrame:
    """The events by start, as if recordings followed each other."""
    shift = (events["end"].max() + GAP) * events.groupby("file").ngroup()
    table = events.assign(start=events["start"] + shift, end=events["end"] + shift)
    return table.sort_values("start")


def are_exclusive(events: pd.DataFrame) -> bool:
    """Whether labels exclude each other: there are hardly ever two at a time."""
    table = on_one_axis(events)

    def covered(spans: pd.DataFrame) -> float:
        before = spans["end"].cummax().shift(fill_value=0.0)
        new = spans["end"] - np.maximum(spans["start"], before)
        return float(new.clip(lower=0).sum())

    each = sum(covered(own) for _, own in table.groupby("label"))
    whole = covered(table)
    return each - whole <= EXCLUSIVE * whole


# ---- detections


@dataclass(frozen=True)
class Rule:
    """The rule by which a class's frames become detections; run.json keeps it."""

    threshold: float = 0.5  # a frame of a detection is above it
    share: float = 1.0  # all frames of it are above this share of the threshold
    least_length: float = 0.0  # seconds; shorter detections are dropped
    # from the class's marks in annotation tables, for the tables of detections
    low: float = 0.0  # Hz, medians
    high: float = 0.0  # Hz; 0 is the highest
    column: str = "Annotation"  # the column of labels


def detect(frames: Frames, probability: Numbers, rule: Rule) -> Spans:
    """The detections of one class, sorted by start; probability (T,).

    A detection begins half a hop before its first frame and ends half a hop after its
    last one. Two with one frame between them meet in its middle: targets leave out a
    frame between events that touch.
    """
    above = probability > rule.threshold * rule.share
    run = np.where(above, frames.stretch, -1)
    changes = np.diff(run, prepend=-1, append=-1) != 0
    first = np.flatnonzero(above & changes[:-1])
    last = np.flatnonzero(above & changes[1:])
    # the frames between two runs are below both
    score = np.maximum.reduceat(probability, first).astype(float)
    kept = score > rule.threshold
    stretch = frames.stretch[first[kept]]
    shift = frames.shift[stretch]
    begins = frames.axis[first[kept]] - frames.hop / 2
    ends = frames.axis[last[kept]] + frames.hop / 2
    start = np.maximum(begins, frames.start[stretch] + shift)
    end = np.minimum(ends, frames.end[stretch] + shift)
    gap = start[1:] - end[:-1]
    neighbours = (gap < GAP_FRAMES * frames.hop) & (stretch[1:] == stretch[:-1])
    before = np.flatnonzero(neighbours)
    middle = (end[before] + start[before + 1]) / 2
    end[before] = middle
    start[before + 1] = middle
    found = Spans(start, end, stretch, score[kept])
    return found.take(found.lasts >= rule.least_length)


def detect_all(
    frames: Frames, probabilities: Numbers, rules: Mapping[str, Rule]
) -> dict[str, Spans]:
    """The detections of each class; probabilities (T, K)."""
    return {
        name: detect(frames, probabilities[:, number], rules[name])
        for number, name in enumerate(frames.classes)
    }


def most_probable(probabilities: Numbers) -> Numbers:
    """The probabilities (T, K) with 0 for all but the highest of each frame, for labels
    that exclude each other: a threshold below 0.5 would find two at a time.
    """
    highest = probabilities.argmax(axis=1)[:, None]
    return np.where(np.arange(probabilities.shape[1]) == highest, probabilities, 0)


def cut_apart(spans: Mapping[str, Spans]) -> dict[str, Spans]:
    """The spans of labels that exclude each other, each cut where the next one begins:
    detections of neighbouring frames may share a part of a hop.
    """
    starts = np.append(together([*spans.values()]).start, np.inf)
    following = {n: np.searchsorted(starts, s.start, "right") for n, s in spans.items()}
    return {
        name: own._replace(end=np.minimum(own.end, starts[following[name]]))
        for name, own in spans.items()
    }


def candidates(
    frames: Frames,
    probabilities: Numbers,
    exclusive: bool,
    rules: Mapping[str, Rule],
    thresholds: Mapping[str, float],
) -> dict[str, Spans]:
    """The detections of each class, and runs of frames that score less: above
    LEAST_SHARE of the lowest threshold, or of a class's own in `thresholds`, if lower.
    No two overlap if labels are `exclusive`.

    Those that score above a threshold are unchanged among those above a lower one, so
    that THRESHOLD finds what CHECKED has counted.
    """
    least = LEAST_SHARE * min(rule.threshold for rule in rules.values())
    every = {}
    if exclusive:
        probabilities = most_probable(probabilities)
    for number, name in enumerate(frames.classes):
        rule, probability = rules[name], probabilities[:, number]
        given = thresholds.get(name, 1.0)
        floor = given if given < least - STEP else least
        below = detect(frames, probability, replace(rule, threshold=floor, share=1.0))
        less = below.take(below.score <= rule.threshold)
        every[name] = together([detect(frames, probability, rule), less])
    return cut_apart(every) if exclusive else every


# ---- rules


@dataclass(frozen=True, eq=False)
class RuleCounts:
    """The counts of each rule of the grid, for each class in each fold."""

    rules: dict[str, list[Rule]]
    folds: Ints  # (F,) fold numbers
    numbers: Floats  # (3, F, K, rules) partners, detections, events

    def chosen(self, without: int | None = None) -> dict[str, Rule]:
        """The rule of each class with the best F1 in all folds but `without`."""
        used = np.array([fold != without for fold in self.folds])
        matched, detected, annotated = self.numbers[:, used].sum(axis=1)
        f1 = 2 * matched / np.maximum(1, annotated + detected)
        default, events = f1[:, 0], annotated[:, 0]
        wrong = np.maximum(1, (1 - default) * events)  # a Poisson count
        error = np.sqrt(wrong) / np.maximum(1, events)
        is_better = f1.max(axis=1) > default + MARGIN * error
        best = np.where(is_better, f1.argmax(axis=1), 0)
        return {
            name: rules[place]
            for (name, rules), place in zip(self.rules.items(), best, strict=True)
        }


def rule_grid(events: Spans, exclusive: bool) -> list[Rule]:
    """The rules that are tried for a class with these events, the default one first.

    Labels that exclude each other often follow closely, and a lower threshold joins
    them.
    """
    shares = sorted(SHARES, key=(1.0).__ne__) if exclusive else SHARES
    median = float(np.median(events.lasts)) if len(events.start) else 0.0
    return [
        Rule(threshold, share, LEAST_LENGTH * median)
        for threshold in THRESHOLDS
        for share in shares
    ]


def count_rules(
    frames: Frames, probabilities: Numbers, events: pd.DataFrame
) -> RuleCounts:
    """Count what each rule finds at IoU 0.5."""
    folds, fold = np.unique(frames.stretches["fold"], return_inverse=True)
    annotated = frames.spans(events)
    exclusive = are_exclusive(events)
    grids = {name: rule_grid(own, exclusive) for name, own in annotated.items()}
    tried = len(THRESHOLDS) * len(SHARES)
    numbers = np.zeros((3, len(folds), len(grids), tried))

    def by_fold(chosen: Spans) -> Floats:
        return np.bincount(fold[chosen.stretch], minlength=len(folds)).astype(float)

    for number, (name, grid) in enumerate(grids.items()):
        own = annotated[name]
        numbers[2, :, number] = by_fold(own)[:, None]
        for place, rule in enumerate(grid):
            found = detect(frames, probabilities[:, number], rule)
            _, partner = match(own, found)
            numbers[0, :, number, place] = by_fold(found.take(partner))
            numbers[1, :, number, place] = by_fold(found)
    return RuleCounts(grids, folds, numbers)


def cross_fitted(
    frames: Frames, probabilities: Numbers, counts: RuleCounts
) -> dict[str, Spans]:
    """Detections by rules of the other folds."""
    fold = frames.stretches["fold"].to_numpy()
    found = defaultdict[str, list[Spans]](list)
    for tested in counts.folds.tolist():
        rules = counts.chosen(without=tested)
        for name, own in detect_all(frames, probabilities, rules).items():
            found[name].append(own.take(fold[own.stretch] == tested))
    return {name: together(parts) for name, parts in found.items()}
