"""The task EVENTS, and its model's entry. No torch.

predictions.csv has a row for each piece of a recording, as for tags: the target is what
occurs in it, a probability is the highest of its frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell, tell_once
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.table import by_label, refuse_class_names
from featurestack.results.config import StoredChannel, digest
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_options import Training
from featurestack.scores import tags
from featurestack.scores.ranking_metric import RankingMetric, TestedRun
from featurestack.scores.tasks.base import Stages
from featurestack.scores.tasks.tags import Tags
from featurestack.sound_events import scored_frames
from featurestack.sound_events.annotations import read_dataset_events, read_marks
from featurestack.sound_events.dataset import background_recordings
from featurestack.sound_events.frames import Rule
from featurestack.sound_events.scored_frames import EVENT_F1, ScoredFrames, read_tested
from featurestack.sound_events.scores import ALL
from featurestack.storage.files import content_hash
from featurestack.train.models import MODELS, Model, resolve
from featurestack.train.network_input import Shape, input_kind

if TYPE_CHECKING:
    from torch import Tensor, nn

    from featurestack.sound_events.training import FrameTrainer

FEW_GROUPS = 3  # recordings of a label: one to test, one to train, one to choose by


class FramesOfRecordings(Stages):
    """The stages of events: the frames of recordings are trained on and answered."""

    answers = "each frame"
    rows = "pieces of recordings"
    labels = "labels"
    instead = (
        "train compares its features, predict AUDIO= (fs.detections) finds events by it"
    )

    def model_name(self, name: str) -> str:
        return "frames" if name == Training.model else name

    def refuse(self, options: Any, channels: Sequence[StoredChannel]) -> None:
        frames = [channel.frames for channel in channels]
        if max(frames) - min(frames) > 1:
            shown = ", ".join(f"{own.stored} {own.frames}" for own in channels)
            raise RequestError(
                f"TASK=events: channels of one frame rate are expected; frames of a"
                f" piece: {shown}; give features with one hop_length"
            )

    def targets(
        self,
        cache: Cache,
        training: Training | None = None,
        channels: Sequence[StoredChannel] = (),
    ) -> dict[str, str]:
        targets = {"events": digest(read_dataset_events(cache).to_csv())}
        folder = resolve(training.model).given.get("background") if training else ""
        if folder:
            files = background_recordings(str(folder), cache, channels)
            hashes = {name: content_hash(file) for name, file in files.items()}
            targets["background"] = digest(hashes)
        return targets

    def trainer(self) -> "type[FrameTrainer]":
        from featurestack.sound_events.training import FrameTrainer

        return FrameTrainer

    def finish(self, run: RunFolder, cache: Cache) -> dict[str, dict[str, Any]]:
        """The rule of each class for new audio, with the frequencies of its marks and
        the column of their labels; prints scores by cross-fitted rules.
        """
        scored = read_tested(run)
        for line in scored_frames.tested_lines(scored):
            tell(line)
        marks = read_marks(cache)
        boxes = marks.groupby("label")[["low", "high"]].median().round(1).fillna(0.0)
        column = marks["column"].mode()[0] or Rule.column
        rules = {}
        for name, chosen in scored.rules.chosen().items():
            rule = replace(chosen, **boxes.loc[name], column=column)
            rules[name] = {k: v for k, v in vars(rule).items() if v != getattr(Rule, k)}
        return rules

    def predict(self) -> Callable[..., int]:
        from featurestack.sound_events.predict import predict_recordings

        return predict_recordings

    def read_answers(self, folder: RunFolder, folds: Sequence[int]) -> ScoredFrames:
        return read_tested(folder, folds)

    def scores_of_fold(
        self, folder: RunFolder, fold: int, split: str, selection: str
    ) -> dict[str, float]:
        return read_tested(folder, [fold]).epoch_scores()

    def run_scores(self, run: TestedRun) -> tuple[pd.DataFrame, dict[str, float]]:
        """Scores by rules of the other folds; all together as in the section."""
        each = pd.concat([seed.by_fold for seed in run.answers])
        whole = scored_frames.mean_scores(run.answers).loc[ALL]
        every = {"event_f1": whole["f1"], **whole[[*scored_frames.SCORE_COLUMNS]]}
        return each.groupby("fold").mean(), every


class Events(Tags):
    """Events in recordings, whose pieces are clips with tags to all but frames."""

    name = "events"
    score = "event_f1"
    history: Mapping[str, Callable[[Any], float]] = {"loss": tags.log_loss}
    stages: Stages = FramesOfRecordings()

    @property
    def metric(self) -> RankingMetric:
        return EVENT_F1

    def refuse_clips(self, table: pd.DataFrame) -> None:
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

    def error_lines(self, run: RunFolder) -> list[str]:
        """None: `finish` prints the scores of events, by the chosen rules."""
        return []


EVENTS = Events()


# ---- the model


@input_kind(
    "steps",
    takes="features whose columns are frames of time",
    accepts=lambda channel: channel.timed and channel.frames > 1,
    width=lambda channel: channel.rows,
    grid="frames",
    answers=FramesOfRecordings.answers,
)
def rows_in_time(values: "Tensor", channel: StoredChannel, grid: Shape) -> "Tensor":
    """The rows of each channel, one below the other."""
    return values[:, :, None, : grid[1]]


def frames(
    channels: int, classes: int, shape: Shape, *, width: int = 48, background: str = ""
) -> "nn.Module":
    """Four dilated convolutions over frames.

    background: a folder of unannotated recordings of another place, whose sounds are
    mixed under the annotated events in training.
    """
    from featurestack.sound_events.models import FrameModel

    return FrameModel(channels, classes, width)


MODELS["frames"] = Model("frames", "rows_in_time", frames)
