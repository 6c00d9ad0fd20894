"""Detections in recordings: a window every hop, a decision for each window, and the
windows of one class joined.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import duration
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.table import label_indicator
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.annotations import Annotations
from featurestack.results.detections import detection_scores, join_windows
from featurestack.results.windows import HOP_SHARE, label_windows, middles
from featurestack.train import timeline
from featurestack.train.audio_model import AudioModel


@dataclass(frozen=True)
class Windowing:
    """Length of a window and the hop to the next one, in samples."""

    samples: int
    step: int
    sample_rate: int

    @property
    def hop(self) -> float:
        """Seconds from one window to the next."""
        return self.step / self.sample_rate

    @classmethod
    def of(cls, model: AudioModel, window: float, hop: float) -> "Windowing":
        """WINDOW and HOP in seconds, 0 for their defaults, as samples of a model."""
        rate = model.sample_rate
        samples = model.window_samples(window)
        hop = hop or samples / rate * HOP_SHARE
        if hop > samples / rate:
            raise RequestError(
                f"HOP={hop:g}: expected at most the {samples / rate:g} seconds of a"
                " window"
            )
        return cls(samples, max(1, round(hop * rate)), rate)


@dataclass(frozen=True)
class Detections:
    """The windows of recordings, the decisions for them, and what they join to.

    W windows of all recordings, K classes.
    """

    windows: pd.DataFrame  # (W) file, start, end, `predicted` of AudioModel.predict
    probabilities: pd.DataFrame  # (W, K)
    chosen: pd.DataFrame  # (W, K) whether a class is predicted
    detections: pd.DataFrame  # as in `join_windows`
    windowing: Windowing
    durations: Mapping[str, float]  # name of a recording -> seconds

    def write(self, folder: Path) -> None:
        """Write detections.csv, .selections.txt (Raven) and .tsv (DCASE)."""
        timeline.write_detections(
            self.detections,
            pd.Series(self.durations),
            self.windowing.sample_rate / 2,
            folder,
        )

    def score(self, annotations: Annotations, *, longest: bool) -> pd.DataFrame:
        """The table of `detection_scores`, of the recordings that have a table.

        longest  a window has one label at most, as in `label_windows`
        """
        scored = self.windows["file"].isin(annotations.annotated)
        windows = self.windows[scored]
        labels = label_windows(windows, annotations.events, longest=longest)
        return detection_scores(
            windows.assign(label=labels),
            self.chosen[scored],
            self.probabilities[scored],
            self.windowing.hop,
            annotations.events,
        )

    def tell_unscored(self, annotations: Annotations) -> None:
        """Name the recordings and the labels that `score` leaves out."""
        for note in annotations.notes:
            tell(note)
        without_table = {*self.durations} - annotations.annotated
        no_class = {*annotations.events["label"]} - {*self.chosen}
        remarks = {
            "recordings without a table, not scored": without_table,
            "labels that are no class of the model, not scored": no_class,
        }
        for what, names in remarks.items():
            if names:
                tell(f"{what}: {', '.join(sorted(names))}")


def detect(
    model: AudioModel,
    recordings: Mapping[str, Path],
    windowing: Windowing,
    folder: Path,
) -> tuple[Detections | None, dict[Path, str]]:
    """The detections in recordings, None if none of them can be read; the recordings
    that cannot be read, with the reason.

    recordings  name -> file; the names are paths below AUDIO, as annotation tables give
                them
    folder      of each recording's timeline, which is written when it is finished
    """
    durations = recording_durations(recordings)
    parts = []
    failures = {}
    targets = timeline.output_paths(list(recordings.values()), folder)
    for (name, file), target in zip(recordings.items(), targets):
        try:
            windows, probabilities = predict_windows(
                model, name, file, durations.get(name, 0), windowing
            )
        except audio.AudioError as error:
            failures[file] = str(error)
            continue
        chosen = decisions(model, windows["predicted"], probabilities)
        detections = join_windows(
            middles(windows, windowing.hop), chosen, probabilities
        )
        timeline.write_timeline(windows, probabilities, detections, target)
        parts.append((windows, probabilities, chosen, detections))
    if not parts:
        return None, failures
    windows, probabilities, chosen, detections = (
        pd.concat(part, ignore_index=True) for part in zip(*parts)
    )
    together = Detections(
        windows, probabilities, chosen, detections, windowing, durations
    )
    return together, failures


def recording_durations(recordings: Mapping[str, Path]) -> dict[str, float]:
    """Seconds of each recording that can be read."""
    infos = audio.file_infos(list(recordings.values()))
    return {
        name: info.frames / info.sample_rate
        for name, info in zip(recordings, infos)
        if isinstance(info, audio.Info)
    }


def predict_windows(
    model: AudioModel, name: str, file: Path, seconds: float, windowing: Windowing
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The windows of one recording (file, start, end, `predicted`), and their
    probabilities, a column a class.

    seconds  of the recording, for the progress bar

    AudioError if the file cannot be read.
    """
    rate = windowing.sample_rate
    blocks = timeline.resampled(
        audio.blocks(file), audio.file_info(file).sample_rate, rate
    )
    after_first = max(0.0, seconds * rate - windowing.samples)
    windows = progress(
        timeline.windows(blocks, rate, windowing.samples, windowing.step),
        total=1 + int(np.ceil(after_first / windowing.step)),
        label=f"{file.name} ({duration(seconds)})",
        unit="windows",
    )
    spans, probabilities, predicted = zip(*model.predict(windows))
    table = pd.DataFrame(spans, columns=["start", "end"])
    table = table.assign(file=name, predicted=predicted)
    return table, pd.DataFrame(np.stack(probabilities), columns=model.classes)


def decisions(
    model: AudioModel, predicted: pd.Series, probabilities: pd.DataFrame
) -> pd.DataFrame:
    """Whether a class is predicted for a window (W, K): by the classes' thresholds, or
    the most probable one if there are none.
    """
    if not model.thresholds or model.tags:
        chosen = label_indicator(predicted, model.classes)
        return pd.DataFrame(chosen, columns=model.classes)
    above = probabilities > pd.Series(model.thresholds)
    answered = predicted != ""
    return above.where(answered, False)
