"""Scores of detections against annotated events, the frames of a run's tested
recordings, and EVENT_F1, the metric by which runs of events are ranked. No torch.

    F1 at IoU 0.5   of matched events and detections (`frames.match`), all classes and
                    recordings together
    found           events that a detection of their label lies on: one of the two
                    contains the other's middle
    false alarms    detections that lie on no event
    wrong names     detections that lie on an event of another label only
    missed          events that no detection of their label lies on, nor a wrong name
    merged          detections that lie on several events of their label
    split           events that several detections of their label lie on
    inexact         other events without a partner: IoU below 0.5
    onset error     between the starts of partners, milliseconds

fold1/frames.npz   STRETCHES of each stretch that the fold tested, with stretch_ before
    their names; EVENTS of its annotated events, with event_; time and probabilities
    (T, K) of each frame; hop
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.files import replace_file
from featurestack.base.quantities import counted, duration
from featurestack.compare.metrics import SMALLEST_PROBABILITY, Floats, by_unit
from featurestack.compare.significance import (
    drawn_recordings,
    effective_recordings,
    wilson_interval,
)
from featurestack.extras.recordings.frames import (
    Frames,
    Mask,
    RuleCounts,
    Spans,
    are_exclusive,
    count_rules,
    cross_fitted,
    detect_all,
    match,
    most_probable,
    overlapping,
    rule_grid,
    together,
)
from featurestack.results.run_folder import RunFolder, damage_named

ALL = "all classes"
FRAMES_FILE = "frames.npz"
# scores other than the F1 at IoU 0.5, of a class and of a fold
SCORE_COLUMNS = ("found", "false_alarms_per_hour", "wrong_names_per_hour", "onset_ms")
COUNTS = ("events", "recordings", "detections", "false_alarms", "wrong_names")
FALSE_ALARM, WRONG_NAME, MISSED = "false alarm", "wrong name", "missed"
MERGED, SPLIT, INEXACT = "merged", "split", "inexact"
# columns of errors.csv
ERRORS = ("recording", "start", "end", "annotated", "detected", "kind")
FOLD_COLUMNS = ("event_f1", *SCORE_COLUMNS)
# columns of both tables in FRAMES_FILE, and their types
STRETCHES = {"file": str, "start": float, "end": float, "group": str, "frames": int}
EVENTS = {"file": str, "start": float, "end": float, "label": str}
SHIFTS = 20
FEW = 6  # recordings; with fewer, an interval says little, and a class has none
LEAST_SHIFT = 0.1  # share of a stretch: a detection shall not meet its own event again
STORED = np.float16  # type of the probabilities in FRAMES_FILE


def lie_on(spans: Spans, others: Spans) -> Mask:
    """Whether a span and one of the others contain the other's middle."""
    if not len(others.start):
        return np.zeros(len(spans.start), bool)
    middles = np.sort(others.middle)
    first = np.searchsorted(middles, spans.start, side="left")
    last = np.searchsorted(middles, spans.end, side="right")
    begun = np.searchsorted(others.start, spans.middle, side="right") - 1
    latest_end = np.maximum.accumulate(others.end)
    inside = (begun >= 0) & (latest_end[begun] >= spans.middle)
    return (last > first) | inside


@dataclass(frozen=True, eq=False)
class Tally:
    """The counts of one label, or of several together, in S stretches."""

    # (6, S) partners, events, detections, found events, false alarms, detections under
    # a wrong name
    by_stretch: Floats
    seconds: Floats  # (S,) the length of each stretch
    onsets: "pd.Series[float]"  # seconds between the starts of partners, by stretch

    @property
    def counts(self) -> Floats:
        """(3, S) partners, events and detections."""
        return self.by_stretch[:3]

    def within(self, chosen: Mask) -> "Tally":
        """The counts of the chosen (S,) stretches."""
        onsets = self.onsets[chosen[self.onsets.index]]
        counts = self.by_stretch[:, chosen]
        return Tally(counts, self.seconds[chosen], onsets)

    def scores(self) -> dict[str, float]:
        """The columns of `score_table`."""
        sums = self.by_stretch.sum(axis=1)
        partners, events, detections, found, false_alarms, wrong_names = sums
        hours = self.seconds.sum() / 3600
        low, high = f1_interval(self.counts[None])
        with np.errstate(invalid="ignore"):
            return {
                "events": int(events),
                "recordings": int((self.counts[1] > 0).sum()),
                "detections": int(detections),
                "f1": 2 * partners / (events + detections),
                "low": low,
                "high": high,
                "precision": partners / detections,
                "recall": partners / events,
                "found": found / events,
                "false_alarms": int(false_alarms),
                "wrong_names": int(wrong_names),
                "false_alarms_per_hour": false_alarms / hours,
                "wrong_names_per_hour": wrong_names / hours,
                "onset_ms": round(1000 * self.onsets.median(), 6),
            }


def score_table(tallies: Mapping[Any, Tally]) -> pd.DataFrame:
    """Scores of each label: events, the recordings (or blocks) that have some,
    detections, f1, low and high (its 95 % interval by recording, for a label in FEW or
    more), precision, recall, found, numbers and rates of false alarms and wrong names,
    onset_ms (median).
    """
    rows = {name: own.scores() for name, own in tallies.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("label")
    return without_wide_intervals(table)


def without_wide_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the intervals of labels in fewer than FEW recordings."""
    wide = (table["recordings"] < FEW) & (table.index != ALL)
    return table.assign(**table[["low", "high"]].mask(wide))


def tally_all(
    events: Mapping[str, Spans],
    detections: Mapping[str, Spans],
    seconds: Floats,
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


def without_unscored(
    detections: Mapping[str, Spans], events: Spans, unscored: Sequence[Spans]
) -> dict[str, Spans]:
    """The detections without those that lie on an event of a label that is not scored
    and on none of the `events`.
    """
    if not unscored:
        return {**detections}
    others = together(unscored)
    return {
        name: own.take(lie_on(own, events) | ~lie_on(own, others))
        for name, own in detections.items()
    }


def mistakes(detections: Spans, events: Spans, every: Spans) -> tuple[Mask, Mask]:
    """Which detections of one label are false alarms, and which wrong names."""
    own, other = lie_on(detections, events), lie_on(detections, every)
    return ~other, other & ~own


def tally(events: Spans, detections: Spans, every: Spans, seconds: Floats) -> Tally:
    """The tally of one label; `every` are the events of all labels."""
    event, detection = match(events, detections)
    alone, wrong = mistakes(detections, events, every)
    parts = [
        events.take(event),
        events,
        detections,
        events.take(lie_on(events, detections)),
        detections.take(alone),
        detections.take(wrong),
    ]
    apart = np.abs(events.start[event] - detections.start[detection])
    onsets = pd.Series(apart, events.stretch[event])
    numbers = [np.bincount(spans.stretch, minlength=len(seconds)) for spans in parts]
    return Tally(np.stack(numbers).astype(float), seconds, onsets)


def f1_of(counts: Floats) -> Floats:
    """F1 (...) of counts (..., 3): partners, events, detections; NaN if all are 0."""
    partners, events, detections = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore"):
        return 2 * partners / (events + detections)


def f1_interval(counts: Floats) -> tuple[float, float]:
    """The 95 % interval of F1, a mean over B seeds, by resampled recordings; NaN for a
    single recording. `counts` (B, 3, S) are partners, events and detections.

    The variance of the replicates makes the interval, as for accuracies
    (`scores.significance`), so that a perfect score has one too.
    """
    weights = counts[:, 1:].sum(axis=(0, 1))
    counts = counts[:, :, weights > 0]
    recordings = counts.shape[2]
    if recordings < 2:
        return np.nan, np.nan
    by_content = np.lexsort(counts.reshape(-1, recordings))
    counts = counts[:, :, by_content]  # no name decides what is drawn
    f1 = f1_of(counts.sum(axis=2)).mean()
    drawn = counts @ drawn_recordings(recordings).T
    replicates = f1_of(np.moveaxis(drawn, 1, 2)).mean(axis=0)
    effective = effective_recordings(weights[weights > 0][:, None])
    ((low, high),) = wilson_interval(
        np.array([f1]),
        np.nanvar(replicates, keepdims=True),
        effective,
        round(counts[:, 1].sum() / len(counts)),
    )
    return float(low), float(high)


# ---- the frames of a run


@dataclass(frozen=True, eq=False)
class ScoredFrames:
    """The frames that a run's folds tested, and the events that they hold."""

    frames: Frames
    probabilities: NDArray[np.floating]  # (T, K)
    events: pd.DataFrame  # EVENTS

    @property
    def unit(self) -> str:
        """The unit that intervals draw: a recording, or a block of a recording."""
        stretches = self.frames.stretches
        blocks = stretches["file"].duplicated().any() or (stretches["start"] > 0).any()
        return "block" if blocks else "recording"

    @property
    def hours(self) -> float:
        """The total length of the tested recordings in hours."""
        return float(self.frames.seconds.sum() / 3600)

    @cached_property
    def spans(self) -> dict[str, Spans]:
        """The events of each class."""
        return self.frames.spans(self.events)

    @cached_property
    def decisive(self) -> NDArray[np.floating]:
        """(T, K) the probabilities that make detections."""
        exclusive = are_exclusive(self.events)
        return most_probable(self.probabilities) if exclusive else self.probabilities

    @cached_property
    def rules(self) -> RuleCounts:
        """The counts of each rule in each fold."""
        return count_rules(self.frames, self.decisive, self.events)

    @cached_property
    def detections(self) -> dict[str, Spans]:
        """The detections by rules of the other folds; with one fold, `by_default`."""
        if self.frames.stretches["fold"].nunique() == 1:
            return self.by_default
        return cross_fitted(self.frames, self.decisive, self.rules)

    @property
    def by_default(self) -> dict[str, Spans]:
        """The detections by the default rules, which no score has chosen."""
        exclusive = are_exclusive(self.events)
        spans = self.spans.items()
        rules = {name: rule_grid(own, exclusive)[0] for name, own in spans}
        return detect_all(self.frames, self.decisive, rules)

    @property
    def errors(self) -> pd.DataFrame:
        """The errors of the detections, with the columns ERRORS."""
        return list_errors(self.frames, self.spans, self.detections)

    @cached_property
    def tallies(self) -> dict[str, Tally]:
        """The tally of each class, and of ALL."""
        return tally_all(self.spans, self.detections, self.frames.seconds)

    def epoch_scores(self) -> dict[str, float]:
        """The scores in history.csv, by the default rules."""
        found = self.by_default
        tallies = tally_all(self.spans, found, self.frames.seconds)
        f1 = f1_of(tallies[ALL].counts.sum(axis=1))
        loss = self.log_losses(are_exclusive(self.events)).mean()
        return {"loss": float(loss), "event_f1": float(f1)}

    @cached_property
    def by_fold(self) -> pd.DataFrame:
        """FOLD_COLUMNS of all classes, a row for each fold."""
        fold = self.frames.stretches["fold"].to_numpy()
        whole = self.tallies[ALL]
        of_folds = {number: whole.within(fold == number) for number in np.unique(fold)}
        table = score_table(of_folds).rename_axis("fold")
        return table.rename(columns={"f1": "event_f1"})[[*FOLD_COLUMNS]]

    def by_group(self, groups: Sequence[str], *, chance: bool = False) -> Floats:
        """(3, G) `Tally.counts` of all classes in each group of stretches."""
        counts = self.chance_counts if chance else self.tallies[ALL].counts
        group = self.frames.stretches["group"].to_numpy()
        own = [counts[:, group == name].sum(axis=1) for name in groups]
        return np.stack(own, axis=1)

    @cached_property
    def chance_counts(self) -> Floats:
        """`Tally.counts` of all classes, means over SHIFTS circular shifts of the
        detections: what detections of such lengths and numbers get by chance.
        """
        rng = np.random.default_rng(0)
        counts = self.tallies[ALL].counts.copy()
        counts[0] = 0
        for _ in range(SHIFTS):
            share = rng.uniform(LEAST_SHIFT, 1 - LEAST_SHIFT, len(self.frames.seconds))
            for name, own in self.detections.items():
                event, _ = match(self.spans[name], self.frames.shifted(own, share))
                stretch = self.spans[name].stretch[event]
                counts[0] += np.bincount(stretch, minlength=len(share)) / SHIFTS
        return counts

    def log_losses(self, exclusive: bool) -> Floats:
        """(T,) minus the log probability of what is true, a mean over labels."""
        targets = self.frames.targets(self.events)
        given = self.probabilities.astype(float)
        if exclusive:
            background = 1 - given.sum(axis=1)
            first = targets.argmax(axis=1)
            of_class = given[np.arange(len(given)), first]
            true = np.where(targets.any(axis=1), of_class, background)[:, None]
        else:
            true = np.where(targets, given, 1 - given)
        return -np.log(np.maximum(true, SMALLEST_PROBABILITY)).mean(axis=1)


def confused_labels(seeds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Columns annotated, detected, number (a mean over seeds) of the wrong names in the
    ERRORS of each seed, the most frequent first.
    """
    every = pd.concat(seeds)
    wrong = every.loc[every["kind"] == WRONG_NAME, ["annotated", "detected"]]
    table = wrong.value_counts(sort=False).div(len(seeds)).reset_index(name="number")
    return table.sort_values("number", ascending=False, kind="stable")


def list_errors(
    frames: Frames,
    events: Mapping[str, Spans],
    detections: Mapping[str, Spans],
) -> pd.DataFrame:
    """The errors named in the module's text, with the columns ERRORS, by recording and
    start; a wrong name has the event of another label that it overlaps most.
    """

    def rows(spans: Spans, kind: str, annotated: str, detected: str) -> pd.DataFrame:
        table = frames.table({kind: spans}).round(4).rename(columns={"label": "kind"})
        return table.assign(annotated=annotated, detected=detected)

    every = together([*events.values()])
    names, parts = labels_in_order(events), []
    alone, under_wrong_name = {}, {}
    for name, own in detections.items():
        false, wrong = mistakes(own, events[name], every)
        alone[name], under_wrong_name[name] = own.take(false), own.take(wrong)
    for name, own in events.items():
        found = together([detections[name], *under_wrong_name.values()])
        parts.append(rows(own.take(~lie_on(own, found)), MISSED, name, ""))
        parts.append(rows(alone[name], FALSE_ALARM, "", name))
        for kind, inexact in inexact_spans(own, detections[name]).items():
            parts.append(rows(inexact, kind, name, name))
        wrongs, others = under_wrong_name[name], every.take(names != name)
        longest = []
        for start, end in zip(wrongs.start, wrongs.end):
            shared = np.minimum(end, others.end) - np.maximum(start, others.start)
            longest.append(shared.argmax())
        meant = names[names != name][longest]
        for other in np.unique(meant):
            parts.append(rows(wrongs.take(meant == other), WRONG_NAME, other, name))
    table = pd.concat(parts).rename(columns={"file": "recording"})
    return table.sort_values(["recording", "start"], ignore_index=True)[[*ERRORS]]


def inexact_spans(events: Spans, detections: Spans) -> dict[str, Spans]:
    """The MERGED detections, and the SPLIT and INEXACT events, of one label."""
    event, detection = overlapping(events, detections, least=0.0)
    apart = np.abs(events.middle[event] - detections.middle[detection])
    on = apart <= np.maximum(events.lasts[event], detections.lasts[detection]) / 2
    event, detection = event[on], detection[on]
    split = np.flatnonzero(np.bincount(event) > 1)
    merged = np.flatnonzero(np.bincount(detection) > 1)
    partners, _ = match(events, detections)
    explained = [*partners, *split, *event[np.isin(detection, merged)]]
    return {
        MERGED: detections.take(merged),
        SPLIT: events.take(split),
        INEXACT: events.take(np.setdiff1d(event, explained).astype(int)),
    }


def labels_in_order(spans: Mapping[str, Spans]) -> NDArray[np.str_]:
    """The label of each span in the order of `together`."""
    sizes = [len(own.start) for own in spans.values()]
    starts = np.concatenate([own.start for own in spans.values()])
    return np.repeat([*spans], sizes)[np.argsort(starts, kind="stable")]


def mean_scores(seeds: Sequence[ScoredFrames]) -> pd.DataFrame:
    """`score_table`, means over the seeds, with the interval of the mean."""
    mean = pd.concat([score_table(seed.tallies) for seed in seeds]).groupby(
        "label", sort=False
    )
    table = mean.mean()
    for name in table.index:
        counts = np.stack([seed.tallies[name].counts for seed in seeds])
        table.loc[name, ["low", "high"]] = f1_interval(counts)
    for name in COUNTS:  # means if there are several seeds
        if not (table[name] % 1).any():
            table[name] = table[name].astype(int)
    return without_wide_intervals(table)


def write_frames(folder: Path, tested: ScoredFrames) -> None:
    """Write FRAMES_FILE into a fold's folder."""
    frames, events = tested.frames, tested.events
    own = events[events["file"].isin(frames.stretches["file"])]
    arrays: dict[str, NDArray[Any]] = {
        "time": frames.times,
        "probabilities": tested.probabilities.astype(STORED),
        "hop": np.array(frames.hop),
    }
    for name, kind in STRETCHES.items():
        arrays[f"stretch_{name}"] = frames.stretches[name].to_numpy(kind)
    for name, kind in EVENTS.items():
        arrays[f"event_{name}"] = own[name].to_numpy(kind)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    replace_file(folder / FRAMES_FILE, content.getvalue())


def read_tested(run: RunFolder, folds: Sequence[int] | None = None) -> ScoredFrames:
    """The frames of these folds, by default of all finished ones."""
    stretches, times, probabilities, events = [], [], [], []
    hop = 0.0
    for fold in run.finished if folds is None else folds:
        file = run.fold(fold) / FRAMES_FILE
        with damage_named(file, f"remove {run.fold(fold)} and train again"):
            stored = dict(np.load(io.BytesIO(file.read_bytes()), allow_pickle=False))
            columns = {name: stored[f"stretch_{name}"] for name in STRETCHES}
            stretches.append(pd.DataFrame(columns).assign(fold=fold))
            events.append(pd.DataFrame({n: stored[f"event_{n}"] for n in EVENTS}))
            probabilities.append(stored["probabilities"].astype(np.float32))
            times.append(stored["time"])
            hop = float(stored["hop"])
    every = pd.concat(stretches, ignore_index=True)
    frames = Frames(every, np.concatenate(times), hop, tuple(run.classes))
    annotated = pd.concat(events, ignore_index=True).drop_duplicates()
    return ScoredFrames(frames, np.concatenate(probabilities), annotated)


# ---- sentences


def score_lines(whole: Tally, what: str, unit: str = "recording") -> list[str]:
    """The scores of all classes in sentences; `what` was scored."""
    row = whole.scores()
    if not row["events"]:
        return ["the tested recordings have no event, so there is no score"]
    interval, tested = "", int(whole.counts[1:].any(axis=0).sum())
    if np.isfinite(row["low"]):
        few = f": {counted(tested, unit)} say little" if tested < FEW else ""
        ends = f"{row['low']:.3f} to {row['high']:.3f}"
        interval = f" (95 % CI {ends}, {by_unit(unit)}{few})"
    return [
        f"{what}: F1 at IoU 0.5 {row['f1']:.3f}{interval}",
        (
            f"{row['found']:.3f} of {row['events']:,.0f} events found;"
            f" {alarms(row, whole.seconds.sum())}; onset error {row['onset_ms']:.1f} ms"
        ),
    ]


def alarms(scores: Mapping[Any, float], seconds: float) -> str:
    """The false alarms and wrong names in recordings of so many seconds: their numbers,
    or from an hour on their rates per hour.

    >>> alarms({"false_alarms": 2, "wrong_names": 1}, 120)
    '2 false alarms and 1 detection under another name in 2 min 00 s'
    """
    unit, where = "", f"in {duration(seconds)}"
    if seconds >= 3600:
        unit, where = "_per_hour", "per hour"
    wrong = counted(round(scores[f"wrong_names{unit}"]), "detection")
    false = counted(round(scores[f"false_alarms{unit}"]), "false alarm")
    return f"{false} and {wrong} under another name {where}"
