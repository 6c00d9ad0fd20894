"""The task EVENTS, its models' entries, and the frames of tested recordings in a run
folder. No torch.

    fold1/frames.npz   of each stretch that the fold tested: recording, start, end,
        group, frames (their number); of each frame: time, probabilities (T, K) in
        float16; hop; of each annotated event of the stretches: event_file, event_start,
        event_end, event_label

predictions.csv has a row for each piece of a recording, as for tags: the target is what
occurs in it, a probability is the highest of its frames.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.terminal import tell
from featurestack.events.dataset import has_events, read_dataset_events
from featurestack.events.frames import (
    Found,
    Frames,
    count_rules,
    cross_fitted,
)
from featurestack.events.scores import ALL, event_scores, lie_on
from featurestack.features_cache import Cache
from featurestack.features_cache.table import by_label, refuse_class_names
from featurestack.results.config import DetectionRule, StoredChannel, digest
from featurestack.results.run_folder import RunFolder, damage_named
from featurestack.results.scores import Floats, Ints
from featurestack.results.tasks.tags import Tags
from featurestack.results.training_options import Training
from featurestack.storage.files import replace_file
from featurestack.train.models.registry import Model
from featurestack.train.network_input import Shape, input_kind

if TYPE_CHECKING:
    from torch import Tensor, nn

FRAMES_FILE = "frames.npz"
EVENT_COLUMNS = ("file", "start", "end", "label")
# names of MODEL that mean another one for this task
MODELS = {Training.model: "frames", "linear": "linear_frames"}


class Events(Tags):
    """Events in recordings: targets are frames x classes. Its clips are pieces of
    recordings, which for everything but frames are clips with tags.
    """

    name = "events"
    trainer = "train events"
    predictor = "predict events"
    framed = True

    def claims(self, cache: Cache) -> bool:
        return has_events(cache)

    def refuse_clips(self, table: pd.DataFrame) -> None:
        if not table["label"].any():
            raise RequestError("no event is in a recording that has the features")
        refuse_class_names(by_label(table)["label"])

    def model_name(self, name: str) -> str:
        return MODELS.get(name, name)

    def refuse_channels(self, channels: Sequence[StoredChannel]) -> None:
        frames = [channel.frames for channel in channels]
        if max(frames) - min(frames) > 1:
            shown = ", ".join(
                f"{channel.stored} {channel.frames}" for channel in channels
            )
            raise RequestError(
                f"TASK=events: channels of one frame rate are expected; frames of a"
                f" piece: {shown}; give features with one hop_length"
            )

    def content(self, cache: Cache) -> dict[str, Any]:
        return {"events": digest(read_dataset_events(cache).to_csv())}

    def finish(
        self,
        run: RunFolder,
        cache: Cache,
    ) -> dict[str, DetectionRule]:
        """The rule of each class for new audio, chosen on all tested folds; prints the
        scores by rules of the other folds.
        """
        tested = read_tested(run)
        counts = count_rules(tested.frames, tested.probabilities, tested.events)
        for line in score_lines(
            tested.scores(),
            "events in the tested recordings, by rules of the other folds",
        ):
            tell(line)
        bands = frequency_bands(read_dataset_events(cache))
        return {
            name: replace(rule, **bands[name]) if name in bands else rule
            for name, rule in counts.chosen().items()
        }


EVENTS = Events()


def frequency_bands(events: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Class -> the medians of its events' `low` and `high` frequencies, if known."""
    known = events.dropna(subset=["low", "high"])
    medians = known.groupby("label")[["low", "high"]].median()
    return medians.to_dict("index")


# ---- models


@input_kind(
    "steps",
    takes="features whose columns are frames of time",
    accepts=lambda channel: channel.timed and channel.frames > 1,
    width=lambda channel: channel.rows,
    grid="frames",
    framed=True,
)
def frames_in_steps(values: "Tensor", channel: StoredChannel, grid: Shape) -> "Tensor":
    """The rows of each channel, one below the other."""
    return values[:, :, None, : grid[1]]


@input_kind(
    takes="features whose columns are frames of time",
    accepts=lambda channel: channel.timed and channel.frames > 1,
    width=lambda channel: channel.rows,
    grid="frames",
    framed=True,
)
def frames_at_once(values: "Tensor", channel: StoredChannel, grid: Shape) -> "Tensor":
    """The rows of each channel, one below the other."""
    return values[:, :, None, : grid[1]]


def linear_frames(channels: int, classes: int, shape: Shape) -> "nn.Module":
    """Logistic regression on each frame and its context, solved exactly."""
    from featurestack.events.models import LinearFrames

    return LinearFrames(channels, classes)


def frames(
    channels: int,
    classes: int,
    shape: Shape,
    *,
    width: int = 48,
) -> "nn.Module":
    """Four dilated convolutions over frames."""
    from featurestack.events.models import ConvolutionalFrames

    return ConvolutionalFrames(channels, classes, width)


FRAMES = Model("frames", "frames_in_steps", frames)
LINEAR_FRAMES = Model("linear_frames", "frames_at_once", linear_frames)


# ---- frames of pieces


class Placed(NamedTuple):
    """Where the frames of pieces lie.

    order  (n,) the pieces' positions in the table that was given, by stretch and time
    own    (n, T) bool: frames that are taken from each of these pieces
    frames the frames of the stretches, in the order of own[i, j] from left to right
    """

    order: Ints
    own: NDArray[np.bool_]
    frames: Frames


def place(
    clips: pd.DataFrame,
    offsets: Floats,
    classes: Sequence[str],
) -> Placed:
    """The frames of pieces in their stretches; each is taken from the piece in which it
    lies farther from an end.

    clips    path, start, end, group, fold
    offsets  (T,) seconds of a piece's frames after its start
    """
    order = np.lexsort((clips["start"], clips["group"]))
    clips = clips.iloc[order]
    start, end = clips["start"].to_numpy(float), clips["end"].to_numpy(float)
    group = clips["group"].to_numpy(str)
    follows = np.append(False, group[1:] == group[:-1])
    middle = (start + np.append(0, end[:-1])) / 2
    begin = np.where(follows, middle, start)
    until = np.where(np.append(follows[1:], False), np.append(middle[1:], 0), end)
    times = start[:, None] + offsets  # (n, T)
    own = (times >= begin[:, None]) & (times < until[:, None])
    first = np.flatnonzero(~follows)
    stretches = pd.DataFrame(
        {
            "file": clips["path"].to_numpy(str)[first],
            "start": start[first],
            "end": np.maximum.reduceat(end, first),
            "group": group[first],
            "fold": clips["fold"].to_numpy()[first],
            "frames": np.add.reduceat(own.sum(axis=1), first),
        }
    )
    hop = float(np.median(np.diff(offsets)))
    return Placed(order, own, Frames(stretches, times[own], hop, tuple(classes)))


# ---- frames of a run


@dataclass(frozen=True, eq=False)
class Tested:
    """The frames that a run's folds tested, and the events that they hold."""

    frames: Frames
    probabilities: NDArray[np.floating]  # (T, K)
    events: pd.DataFrame  # EVENT_COLUMNS; an empty label is one that is not scored

    def detections(self) -> dict[str, Found]:
        """The detections by rules of the other folds, without those on ignored
        events.
        """
        counts = count_rules(self.frames, self.probabilities, self.events)
        found = cross_fitted(self.frames, self.probabilities, counts)
        return without_ignored(self.frames, self.events, found)

    def scores(self) -> pd.DataFrame:
        """The table of `event_scores`."""
        found = {name: own.spans for name, own in self.detections().items()}
        return event_scores(self.frames.spans(self.events), found, self.frames.seconds)


def without_ignored(
    frames: Frames,
    events: pd.DataFrame,
    found: Mapping[str, Found],
) -> dict[str, Found]:
    """The detections that do not lie on an event without a label."""
    ignored = events[events["label"] == ""]
    if ignored.empty:
        return dict(found)
    one = replace(frames, classes=("",)).spans(ignored)[""]
    return {name: own.take(~lie_on(own.spans, one)) for name, own in found.items()}


def write_frames(
    folder: Path,
    frames: Frames,
    probabilities: NDArray[np.floating],
    events: pd.DataFrame,
) -> None:
    """Write FRAMES_FILE into a fold's folder."""
    stretches = frames.stretches
    own = events[events["file"].isin(stretches["file"])]
    content = io.BytesIO()
    np.savez_compressed(
        content,
        recording=stretches["file"].to_numpy(str),
        start=stretches["start"].to_numpy(float),
        end=stretches["end"].to_numpy(float),
        group=stretches["group"].to_numpy(str),
        frames=stretches["frames"].to_numpy(np.int64),
        time=frames.times,
        probabilities=probabilities.astype(np.float16),
        hop=np.array(frames.hop),
        event_file=own["file"].to_numpy(str),
        event_start=own["start"].to_numpy(float),
        event_end=own["end"].to_numpy(float),
        event_label=own["label"].to_numpy(str),
    )
    replace_file(folder / FRAMES_FILE, content.getvalue())


def read_tested(run: RunFolder) -> Tested:
    """The frames of all finished folds; RequestError if a file is damaged."""
    stretches, times, probabilities, events = [], [], [], []
    hop = 0.0
    for fold in run.finished:
        file = run.fold(fold) / FRAMES_FILE
        remedy = f"remove {run.fold(fold)} and train again"
        with damage_named(file, remedy), np.load(file, allow_pickle=False) as stored:
            table = pd.DataFrame(
                {
                    name: stored[name]
                    for name in ("recording", "start", "end", "group", "frames")
                }
            ).rename(columns={"recording": "file"})
            own = stored["probabilities"].astype(np.float32)
            if own.shape != (table["frames"].sum(), len(run.classes)):
                raise ValueError("its tables do not fit each other")
            stretches.append(table.assign(fold=fold))
            times.append(stored["time"])
            probabilities.append(own)
            hop = float(stored["hop"])
            columns = {name: stored[f"event_{name}"] for name in EVENT_COLUMNS}
            events.append(pd.DataFrame(columns))
    frames = Frames(
        pd.concat(stretches, ignore_index=True),
        np.concatenate(times),
        hop,
        tuple(run.classes),
    )
    marks = pd.concat(events, ignore_index=True).drop_duplicates()
    return Tested(frames, np.concatenate(probabilities), marks)


def score_lines(scores: pd.DataFrame, what: str) -> list[str]:
    """The scores of all classes in sentences; `what` was scored."""
    row = scores.loc[ALL]
    interval = ""
    if np.isfinite(row["low"]):
        interval = f" (95 % CI {row['low']:.3f} to {row['high']:.3f}, by recording)"
    return [
        (
            f"{what}: F1 at IoU 0.5 {row['f1']:.3f}{interval}; at IoU 0.3"
            f" {row['f1_iou_0.3']:.3f}, 0.7 {row['f1_iou_0.7']:.3f}"
        ),
        (
            f"{row['found']:.3f} of {row['events']:,.0f} events found;"
            f" {row['false_alarms']:,.0f} false alarms an hour, and"
            f" {row['wrong_names']:,.0f} events under a wrong name; onset error"
            f" {row['onset_ms']:.1f} ms (median), {row['onset_90_ms']:.1f} (90 %);"
            f" {row['segment_error']:.1%} of the time differs"
        ),
    ]
