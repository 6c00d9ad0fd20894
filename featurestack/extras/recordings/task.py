"""The task EVENTS, its metric EVENT_F1, and its model's entry. No torch.

Event F1 is not a mean over recordings: runs are compared by jackknife values, like mAP.
predictions.csv has a row for each piece of a recording, as for tags: the target is what
occurs in it, a probability is the highest of its frames.
"""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError, shortened
from featurestack.base.files import content_hash
from featurestack.base.json_content import digest
from featurestack.base.quantities import counted, percent
from featurestack.base.terminal import tell, tell_once
from featurestack.compare.accuracy import log_loss
from featurestack.compare.average_precision import attributed
from featurestack.compare.metrics import Floats, Ints, TestedRun
from featurestack.compare.tags import MeanAveragePrecision, Tags
from featurestack.extras.recordings.annotations import read_marks, stored_marks
from featurestack.extras.recordings.dataset import background_recordings
from featurestack.extras.recordings.frames import Rule
from featurestack.extras.recordings.scores import (
    ALL,
    SCORE_COLUMNS,
    SHIFTS,
    ScoredFrames,
    alarms,
    f1_interval,
    f1_of,
    mean_scores,
    read_tested,
    score_lines,
)
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.datasets import EVENT_COLUMNS
from featurestack.features_cache.table import by_label, refuse_class_names
from featurestack.results.config import StoredChannel
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_options import Training
from featurestack.train.models import model, resolve
from featurestack.train.network_input import KINDS, InputKind, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

FEW_GROUPS = 3  # recordings of a label: one to test, one to train, one to choose by


# ---- the metric


class EventF1(MeanAveragePrecision):
    """F1 of events at IoU 0.5; pieces count as clips with tags."""

    def drawn_unit(self, run: TestedRun) -> str:
        return str(run.answers[0].unit)

    def tested(self, run: TestedRun, classes: str = "") -> str:
        first: ScoredFrames = run.answers[0]
        events = counted(int(first.tallies[ALL].counts[1].sum()), "event")
        recordings = counted(first.frames.stretches["file"].nunique(), "recording")
        return f"{events}{classes} in {recordings}"

    def finding(self, run: TestedRun) -> str:
        whole = mean_scores(run.answers).loc[ALL]
        if not whole["events"]:
            return ""
        wrong = alarms(whole, run.answers[0].frames.seconds.sum())
        return f"finds {percent(whole['found'])} % of {self.tested(run)}, with {wrong}"

    def shown_columns(self, run: TestedRun) -> Sequence[tuple[str, str, str, bool]]:
        """Rates per hour if the recordings last an hour or more, else counts."""
        counts = counts_of(run)
        return [(*counts.get(own[0], own[:2]), *own[2:]) for own in self.score_columns]

    def shown_class_columns(self, run: TestedRun) -> Sequence[tuple[str, str, str]]:
        counts = counts_of(run)
        return [(*counts.get(own[0], own[:2]), own[2]) for own in self.class_columns]

    def of_fold(
        self, folder: RunFolder, fold: int, split: str, selection: str
    ) -> dict[str, float]:
        return read_tested(folder, [fold]).epoch_scores()

    def of_run(self, run: TestedRun) -> tuple[pd.DataFrame, dict[str, float]]:
        """Scores by rules of the other folds; all together as in the section."""
        each = pd.concat([seed.by_fold for seed in run.answers])
        whole = mean_scores(run.answers).loc[ALL]
        every = {"event_f1": whole["f1"], **whole[[*SCORE_COLUMNS]]}
        for _, column, _ in OF_LITTLE:
            every[column] = whole[column]
        return each.groupby("fold").mean(), every

    def answers(self, folder: RunFolder, folds: Sequence[int]) -> ScoredFrames:
        return read_tested(folder, folds)

    def units(self, run: TestedRun) -> NDArray[np.generic]:
        return run.groups

    def perfect(self, run: TestedRun) -> Floats:
        return np.ones(len(run.classes))

    def error_lines(self, run: TestedRun) -> list[str]:
        """Instead of errors, why a fold's score differs from the run's."""
        if len(np.unique(run.folds)) < 2:
            return []
        return ["in this score the thresholds of a fold are chosen on the others"]

    def compared(self, runs: Sequence[TestedRun]) -> tuple[Floats, ...]:
        """Sums by recording are jackknife values of F1."""
        groups, pieces = np.unique(runs[0].groups, return_counts=True)
        intervals, values = [], []
        for run in runs:
            counts = np.stack([seed.by_group(groups) for seed in run.answers])
            of_seeds = [jackknife_values(of_seed, pieces) for of_seed in counts]
            values.append(np.mean(of_seeds, axis=0))
            intervals.append(f1_interval(counts))
        by_recording = np.stack(values, axis=1)
        clips = len(runs[0].groups)
        worth = np.full(clips, 1 / clips)
        return by_recording.sum(axis=0), np.array(intervals), by_recording, worth

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """Jackknife values of F1, means over circular shifts of each recording's
        detections.
        """
        groups, pieces = np.unique(run.groups, return_counts=True)
        seeds = [seed.by_group(groups, chance=True) for seed in run.answers]
        return np.mean([jackknife_values(seed, pieces) for seed in seeds], axis=0)

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """Scores of events, not of pieces; support is the number of events."""
        table = mean_scores(run.answers).loc[[*run.classes]].reset_index(drop=True)
        table = table.rename(columns={"events": "support"})
        decided = ["precision", "recall", "f1"]
        table[decided] = table[decided].fillna(0)
        counts = ["support", "recordings", *(column for _, column, _ in OF_LITTLE)]
        return table[[*SCORE_COLUMNS, *decided, "low", "high", *counts]]


def counts_of(run: TestedRun) -> dict[str, tuple[str, str]]:
    """Rate per hour -> column and heading of the count that stands for it when the
    recordings last less than an hour.
    """
    if run.answers[0].hours >= 1:
        return {}
    return {name: (column, heading) for name, column, heading in OF_LITTLE}


def jackknife_values(counts: Floats, sizes: Ints) -> Floats:
    """Values (G,) of the recordings that sum to F1, as for mAP, from counts (3, G) of
    partners, events, detections, and sizes (G,) in pieces.
    """
    every = counts.sum(axis=1, keepdims=True)
    without = np.nan_to_num(f1_of((every - counts).T))
    whole = np.nan_to_num(f1_of(every.T))  # no event was tested
    return attributed(whole, without[:, None], sizes)


# for less than an hour: the score, the column of its count, heading
OF_LITTLE = (
    ("false_alarms_per_hour", "false_alarms", "False alarms"),
    ("wrong_names_per_hour", "wrong_names", "Wrong name"),
)
OF_EVENTS = (
    ("found", "Found", "decimals", False),
    ("false_alarms_per_hour", "False alarms an hour", "number", True),
    ("wrong_names_per_hour", "Wrong name, an hour", "number", True),
    ("onset_ms", "Onset error, ms", "number", True),
)
EVENT_F1 = EventF1(
    name="event_f1",
    history={"loss": log_loss},
    scores={},
    noun="piece",
    subject="Sound event detection",
    title="event F1",
    heading="Event F1",
    class_score="f1",
    meaning=(
        "F1 over all classes and folds together. A detection begins where the"
        " probability of a class exceeds a threshold and ends where it falls below a"
        " share of it; the least length is 0.3 of the class’s median event. A class has"
        " the threshold 0.5 and a share of 1, or 0.5 where labels overlap, unless"
        " others raise F1 on the other folds by more than a standard error; the"
        " interval does not include this choice. A detection is right if it and an"
        " event of its label overlap for half of the time that the two cover together"
        " (IoU 0.5)"
    ),
    chance_meaning=(
        f"the mean of {SHIFTS} circular shifts of each recording’s detections"
    ),
    errors="",
    pooled=True,
    of_folds=f" at threshold {Rule.threshold}",
    score_columns=OF_EVENTS,
    class_columns=(
        ("class", "Class", "text"),
        ("support", "Events", "number"),
        ("recordings", "Recordings", "number"),
        ("f1", "F1", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        *(column[:3] for column in OF_EVENTS),
    ),
)


# ---- the task


class Events(Tags):
    """Events in recordings. Models are trained on frames and answer them; to all else,
    pieces of recordings are clips with tags.
    """

    name = "events"
    metric = EVENT_F1
    model = "frames"
    answers = "each frame"
    features = "mel"
    instead = (
        "for events, train FEATURES='mel mfcc' compares features, and predict AUDIO="
        " (fs.detections) finds events"
    )
    trainer = "featurestack.extras.recordings.training:FrameTrainer"
    predict = "featurestack.extras.recordings.detections:predict_recordings"

    def refuse(
        self, table: pd.DataFrame, channels: Sequence[StoredChannel] = ()
    ) -> None:
        if not table["label"].any():
            raise RequestError("no event is in a recording that has the features")
        labels = by_label(table)
        refuse_class_names(labels["label"])
        groups = labels[labels["label"] != ""].groupby("label")["group"].nunique()
        few = groups[groups < FEW_GROUPS]
        if len(few):
            named = ", ".join(f"{label} {count}" for label, count in few.items())
            text = (
                f"{len(few)} of {counted(len(groups), 'label')} are in fewer than"
                f" {FEW_GROUPS} recordings, too few to train and test them:"
                f" {shortened(named)}; add recordings, or remove their rows"
            )
            if groups.max() < 2:
                raise RequestError(text)
            tell_once(text)
        frames = [channel.frames for channel in channels]
        if frames and max(frames) - min(frames) > 1:
            shown = ", ".join(f"{own.stored} {own.frames}" for own in channels)
            raise RequestError(
                f"TASK=events: channels of one frame rate are expected; frames of a"
                f" piece: {shown}; give features with one hop_length"
            )

    def digests(
        self,
        cache: Cache,
        training: Training | None = None,
        channels: Sequence[StoredChannel] = (),
    ) -> dict[str, str]:
        digests = {"events": digest(stored_marks(cache)[[*EVENT_COLUMNS]].to_csv())}
        folder = resolve(training.model).given.get("background") if training else ""
        if folder:
            files = background_recordings(str(folder), cache, channels)
            hashes = {name: content_hash(file) for name, file in files.items()}
            digests["background"] = digest(hashes)
        return digests

    def rules(self, run: RunFolder, cache: Cache) -> dict[str, dict[str, Any]]:
        """The rule of each class for new audio, with the frequencies of its marks and
        the column of their labels; prints scores by cross-fitted rules.
        """
        scored = read_tested(run)
        by = "thresholds chosen on the other folds"
        if len(run.finished) < 2:
            by = "threshold 0.5: one fold has no others to choose thresholds on"
        what = f"events in the tested recordings, {by}"
        for line in score_lines(scored.tallies[ALL], what, scored.unit):
            tell(line)
        marks = read_marks(cache)
        boxes = marks.groupby("label")[["low", "high"]].median().round(1).fillna(0.0)
        column = marks["column"].mode()[0] or Rule.column
        rules = {}
        for name, chosen in scored.rules.chosen().items():
            rule = replace(chosen, **boxes.loc[name], column=column)
            rules[name] = {k: v for k, v in vars(rule).items() if v != getattr(Rule, k)}
        return rules


EVENTS = Events()


# ---- the model


def rows_in_time(values: "Tensor", channel: StoredChannel, grid: Shape) -> "Tensor":
    """The rows of each channel, one below the other."""
    return values[:, :, None, : grid[1]]


def is_in_time(channel: StoredChannel) -> bool:
    return channel.timed and channel.frames > 1


KINDS["rows_in_time"] = InputKind(
    name="rows_in_time",
    uses=("steps",),
    prepare=rows_in_time,
    takes="features whose columns are frames of time",
    accepts=is_in_time,
    width=attrgetter("rows"),
    grid="frames",
    answers=Events.answers,
)


@model(kind="rows_in_time")
def frames(
    channels: int, classes: int, shape: Shape, *, width: int = 48, background: str = ""
) -> "nn.Module":
    """Four dilated convolutions over frames.

    background: a folder of unannotated recordings of another place, whose sounds are
    mixed under the annotated events in training.
    """
    from featurestack.extras.recordings.training import FrameModel

    return FrameModel(channels, classes, width)
