"""The frames of tested recordings in a run folder, their scores, and EVENT_F1, the
metric by which runs of events are ranked. No torch.

F1 at IoU 0.5 of all classes and recordings together, by rules of the other folds. It is
no mean over recordings: runs are compared by jackknife values, as for mAP.

fold1/frames.npz   STRETCHES of each stretch that the fold tested, with stretch_ before
    their names; EVENTS of its annotated events, with event_; time and probabilities
    (T, K) of each frame; hop
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.quantities import counted, percent, plural
from featurestack.results.run_folder import RunFolder, damage_named
from featurestack.scores.metrics import (
    SMALLEST_PROBABILITY,
    Floats,
    Ints,
    Score,
    by_unit,
)
from featurestack.scores.ranking_metric import Compared, RankingMetric, TestedRun
from featurestack.scores.tags import attributed
from featurestack.sound_events import scores
from featurestack.sound_events.frames import (
    Frames,
    RuleCounts,
    are_exclusive,
    count_rules,
    cross_fitted,
    default_rules,
    detect_all,
)
from featurestack.sound_events.scores import ALL, Spans, Tally, f1_interval, f1_of
from featurestack.storage.files import replace_file

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings

FRAMES_FILE = "frames.npz"
# scores beside the F1 at IoU 0.5, of a class and of a fold
SCORE_COLUMNS = ("found", "false_alarms", "wrong_names", "onset_ms")
FOLD_COLUMNS = ("event_f1", *SCORE_COLUMNS)
# columns of both tables in FRAMES_FILE, and their types
STRETCHES = {"file": str, "start": float, "end": float, "group": str, "frames": int}
EVENTS = {"file": str, "start": float, "end": float, "label": str}
SHIFTS = 20
LEAST_SHIFT = 0.1  # share of a stretch: a detection shall not meet its own event again
STORED = np.float16  # type of the probabilities in FRAMES_FILE


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

    @cached_property
    def spans(self) -> dict[str, Spans]:
        """The events of each class."""
        return self.frames.spans(self.events)

    @cached_property
    def rules(self) -> RuleCounts:
        """The counts of each rule in each fold."""
        return count_rules(self.frames, self.probabilities, self.events)

    @cached_property
    def detections(self) -> dict[str, Spans]:
        """The detections by rules of the other folds; with one fold, by default."""
        if self.frames.stretches["fold"].nunique() == 1:
            return self.by_default
        return cross_fitted(self.frames, self.probabilities, self.rules)

    @property
    def by_default(self) -> dict[str, Spans]:
        """The detections by rules that nothing was chosen for."""
        rules = default_rules(self.spans, are_exclusive(self.events))
        return detect_all(self.frames, self.probabilities, rules)

    @cached_property
    def tallies(self) -> dict[str, Tally]:
        """Those of each class, and of ALL."""
        return scores.tally_all(self.spans, self.detections, self.frames.seconds)

    def scores(self) -> pd.DataFrame:
        """The table of `score_table`."""
        return scores.score_table(self.tallies)

    def epoch_scores(self) -> dict[str, float]:
        """The scores in history.csv, by rules that nothing was chosen for."""
        found = self.by_default
        tallies = scores.tally_all(self.spans, found, self.frames.seconds)
        f1 = f1_of(tallies[ALL].counts.sum(axis=1))
        loss = self.log_losses(are_exclusive(self.events)).mean()
        return {"loss": float(loss), "event_f1": float(f1)}

    @cached_property
    def by_fold(self) -> pd.DataFrame:
        """FOLD_COLUMNS of all classes, a row for each fold."""
        fold = self.frames.stretches["fold"].to_numpy()
        whole = self.tallies[ALL]
        of_folds = {number: whole.within(fold == number) for number in np.unique(fold)}
        table = scores.score_table(of_folds).rename_axis("fold")
        return table.rename(columns={"f1": "event_f1"})[[*FOLD_COLUMNS]]

    def by_group(self, groups: Sequence[str], counts: Floats | None = None) -> Floats:
        """(3, G) partners, events and detections of all classes in each group; the
        sums of `counts` (3, S) if they are given.
        """
        place = pd.Index(groups).get_indexer(self.frames.stretches["group"])
        sums = np.zeros((len(groups), 3))
        every = self.tallies[ALL].counts if counts is None else counts
        np.add.at(sums, place, every.T)
        return sums.T

    @cached_property
    def shifted_counts(self) -> list[Floats]:
        """`Tally.counts` of all classes after each of SHIFTS circular shifts of the
        detections: what detections of such lengths and numbers get by chance.
        """
        rng = np.random.default_rng(0)
        shifts = []
        for _ in range(SHIFTS):
            share = rng.uniform(LEAST_SHIFT, 1 - LEAST_SHIFT, len(self.frames.seconds))
            counts = self.tallies[ALL].counts.copy()
            counts[0] = 0
            for name, own in self.detections.items():
                moved = self.frames.shifted(own, share)
                partner, _ = scores.match(self.spans[name], moved)
                stretch = self.spans[name].stretch[partner]
                counts[0] += np.bincount(stretch, minlength=len(share))
            shifts.append(counts)
        return shifts

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


def mean_scores(seeds: Sequence[ScoredFrames]) -> pd.DataFrame:
    """`score_table`, means over the seeds, with the interval of the mean."""
    mean = pd.concat([seed.scores() for seed in seeds]).groupby("label", sort=False)
    table = mean.mean()
    for name in table.index:
        counts = np.stack([seed.tallies[name].counts for seed in seeds])
        table.loc[name, ["low", "high"]] = f1_interval(counts)
    return table


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
            shape = stretches[-1]["frames"].sum(), len(run.classes)
            if probabilities[-1].shape != shape:
                raise ValueError("its tables do not fit each other")
    every = pd.concat(stretches, ignore_index=True)
    frames = Frames(every, np.concatenate(times), hop, tuple(run.classes))
    annotated = pd.concat(events, ignore_index=True).drop_duplicates()
    return ScoredFrames(frames, np.concatenate(probabilities), annotated)


# ---- sentences


def tested_lines(tested: ScoredFrames) -> list[str]:
    """The scores of tested recordings in sentences."""
    by = "rules of the other folds"
    if tested.frames.stretches["fold"].nunique() < 2:
        by = "the default rule: one fold has no others to choose rules on"
    what = f"events in the tested recordings, by {by}"
    points = all(map(scores.is_points, tested.spans.values()))
    return score_lines(tested.scores(), what, tested.unit, points=points)


def score_lines(
    scores: pd.DataFrame, what: str, unit: str = "recording", *, points: bool
) -> list[str]:
    """The scores of all classes in sentences; `what` was scored, perhaps points."""
    row = scores.loc[ALL]
    if not row["events"]:
        return ["no event is in the tested recordings, so that there is no score"]
    interval = ""
    if np.isfinite(row["low"]):
        ends = f"{row['low']:.3f} to {row['high']:.3f}"
        interval = f" (95 % CI {ends}, {by_unit(unit)})"
    right = "within 50 ms" if points else "at IoU 0.5"
    return [
        f"{what}: F1 {right} {row['f1']:.3f}{interval}",
        (
            f"{row['found']:.3f} of {row['events']:,.0f} events found; per hour"
            f" {row['false_alarms']:,.0f} false alarms and {row['wrong_names']:,.0f}"
            f" right events under a wrong name; onset error {row['onset_ms']:.1f} ms"
            f" (median), {row['onset_90_ms']:.1f} (90 %)"
        ),
    ]


# ---- sentences of a report

SAME_PLACE = (
    "Groups are blocks of recordings: scores and intervals are for these recordings"
    " alone, and optimistic for another day or place."
)


def chance(f: "Findings") -> str:
    percentage = percent(f.chance)
    return f"The same detections at other times have an event F1 of {percentage} %"


def classes(f: "Findings") -> str:
    """The classes with the lowest F1."""
    texts = [f"{row['class']} ({percent(row['f1'])} %)" for row in f.hardest[:3]]
    return f"Lowest F1: {', '.join(texts)}." if texts else ""


def method(f: "Findings") -> str:
    recordings = counted(f.recordings, f.unit)
    return (
        "Event F1 is that of all classes and folds together, by rules that were chosen"
        " on the other folds. A detection is right if it and an event of its label"
        " share half of the time that one of them lasts (IoU 0.5); points are right"
        " within 50 ms. SD is that of the folds' own F1. The 95 % interval is Wilson’s"
        f" with the standard error of a bootstrap over {recordings}; it does not"
        " include the variation between trainings, nor that of the choice of rules, and"
        " so is too narrow if there are few events. Runs are compared by jackknife"
        f" values of F1 by {f.unit}. Chance, {percent(f.chance)} %, is the mean F1 of"
        f" {SHIFTS} circular shifts of each {f.unit}’s detections. One"
        f" {f.group} is never both trained on and tested."
    )


def statistics(f: "Findings") -> str:
    return (
        "Statistics: event F1 of all classes and folds together, by rules"
        f" of the other folds; the 95 % CI is from a bootstrap over {plural(f.unit)},"
        " which does not include the variation between trainings;"
        f" tests use jackknife values of F1 by {f.unit}."
    )


SENTENCES: dict[str, Callable[["Findings"], str]] = {
    function.__name__: function for function in (chance, classes, method, statistics)
}


# ---- the metric


class EventF1(RankingMetric):
    """F1 of events at IoU 0.5."""

    def of_folders(self, folders: Sequence[Any]) -> Score:
        tested = [read_tested(folder) for folder in folders]
        groups = sorted({*tested[0].frames.stretches["group"]})
        counts = np.stack([seed.by_group(groups) for seed in tested])
        by_fold = pd.concat([seed.by_fold["event_f1"] for seed in tested])
        return Score(
            float(f1_of(counts.sum(axis=2)).mean()),
            *f1_interval(counts),
            by_fold.groupby("fold").mean(),
            tested[0].unit,
        )

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """Sums by recording are jackknife values of F1."""
        groups, pieces = np.unique(runs[0].groups, return_counts=True)
        intervals, values = [], []
        for run in runs:
            seeds = run.answers
            counts = np.stack([seed.by_group(groups.tolist()) for seed in seeds])
            of_seeds = [jackknife_values(of_seed, pieces) for of_seed in counts]
            values.append(np.mean(of_seeds, axis=0))
            intervals.append(f1_interval(counts))
        by_recording = np.stack(values, axis=1)
        clips = len(runs[0].groups)
        return Compared(
            accuracy=by_recording.sum(axis=0),
            interval=np.array(intervals),
            by_recording=by_recording,
            worth=np.full(clips, 1 / clips),
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """Jackknife values of F1, means over circular shifts of each recording's
        detections.
        """
        groups, pieces = np.unique(run.groups, return_counts=True)
        values = [
            jackknife_values(seed.by_group(groups.tolist(), counts), pieces)
            for seed in run.answers
            for counts in seed.shifted_counts
        ]
        return np.mean(values, axis=0)

    def seed_scores(self, run: TestedRun) -> Floats:
        counts = [seed.tallies[ALL].counts.sum(axis=1) for seed in run.answers]
        return f1_of(np.stack(counts))

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """Scores of events, not of pieces; support is the number of events."""
        table = mean_scores(run.answers).loc[[*run.classes]].reset_index(drop=True)
        table = table.rename(columns={"events": "support"})
        decided = ["precision", "recall", "f1"]
        table[decided] = table[decided].fillna(0)
        return table[[*SCORE_COLUMNS, *decided, "support", "low", "high"]]


def jackknife_values(counts: Floats, sizes: Ints) -> Floats:
    """Values (G,) of the recordings that sum to F1, as those of mAP do; counts (3, G)
    of partners, events, detections, sizes (G,) in pieces.
    """
    every = counts.sum(axis=1, keepdims=True)
    without = np.nan_to_num(f1_of((every - counts).T))
    whole = np.nan_to_num(f1_of(every.T))  # no event was tested
    return attributed(whole, without[:, None], sizes)


EVENT_F1 = EventF1(
    title="event F1",
    heading="Event F1",
    class_score="f1",
    class_heading="F1",
    counted="Events",
    errors="",
    pooled=True,
    score_columns=(
        ("false_alarms", "False alarms an hour", "number", True),
        ("onset_ms", "Onset error, ms", "number", True),
    ),
    further_columns=SCORE_COLUMNS,
    class_columns=(
        ("class", "Class", "text"),
        ("support", "Events", "number"),
        ("f1", "F1", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("found", "Found", "decimals"),
        ("false_alarms", "False alarms an hour", "number"),
        ("wrong_names", "Wrong name, an hour", "number"),
        ("onset_ms", "Onset error, ms", "number"),
    ),
    sentences=SENTENCES,
)
