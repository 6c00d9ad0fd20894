"""A predictor is what every command and `fs.Model` answer new audio with: a run, an
ensemble, a bundle or an ONNX file. Samples become features as a cache stores them, then
probabilities, then an answer, which GATE, REJECT and THRESHOLD may withhold.

New audio's features come from the pipeline functions that filled the cache, with the
same rounding.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from featurestack.commandline import own_code, rooms
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.features_cache import dataset_name
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.writer import to_stored
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, Variant, resolve_feature
from featurestack.predict.bundle import (
    BATCH,
    Probabilities,
    RunModel,
    Values,
    bundle_of_run,
    members_of,
    read_bundle,
)
from featurestack.results.config import BundleConfig, StoredChannel
from featurestack.results.folders import select_one
from featurestack.results.run_folder import RunFolder
from featurestack.scores.tasks.base import DEFAULT_THRESHOLD
from featurestack.scores.tasks.registry import require_clips
from featurestack.train.compute import device_of, keep_freed_memory, threads_of
from featurestack.train.network_input import Floats
from featurestack.train.options import PredictOptions, TrainedOptions, parse_number

# length of the parts of a window whose levels are compared with GATE
LEVEL_SECONDS = 0.05

Samples = NDArray[np.float32]
Key = TypeVar("Key")


def class_thresholds(
    text: str, classes: Sequence[str], fitted: Mapping[str, float]
) -> dict[str, float]:
    """THRESHOLD (`text`) by class; other classes keep the run's own, else 0.5. Empty if
    no class has one.

    >>> class_thresholds("0.5,rain=0.3", ["dog", "rain"], {})
    {'dog': 0.5, 'rain': 0.3}
    """
    thresholds = dict(fitted)
    expected = "a probability from 0 to 1, or some by class, as dog=0.3,rain=0.6"
    for part in text.split(",") if text else ():
        name, _, number = part.rpartition("=")
        if name and name not in classes:
            raise RequestError(nearest("class", name, classes))
        value = parse_number(number, f"THRESHOLD={text}: expected {expected}")
        thresholds |= dict.fromkeys([name] if name else classes, value)
    if not thresholds:
        return {}
    return {name: thresholds.get(name, 0.5) for name in classes}


def loudest_level(y: Samples, sample_rate: int) -> float:
    """The level of the loudest LEVEL_SECONDS, in dB of full scale; a full-scale sine
    has -3, silence -200.

    >>> round(loudest_level(np.full(1000, 0.1, np.float32), 8000))
    -20
    """
    length = max(1, round(LEVEL_SECONDS * sample_rate))
    padded = np.pad(y, (0, -len(y) % length))
    squares = np.square(padded, dtype=np.float64)
    powers = squares.reshape(-1, length).mean(axis=1)
    loudest = powers.max(initial=0)
    return float(10 * np.log10(loudest + 1e-20))


class Predictor:
    """The networks of a run, or of an ensemble's members, for audio.

    Predictor.load("model.pt").predict([("dog.wav", samples)])
    """

    def __init__(
        self, models: Sequence[RunModel], run: RunFolder | None = None
    ) -> None:
        """RequestError if new audio cannot have the features of the run."""
        self.models = tuple(models)
        self.run = run  # None for a file
        self.config: BundleConfig = models[0].config  # the first run's
        self.task = models[0].task
        self.classes = models[0].classes
        self.least_probability = -np.inf  # 0 would withhold negative numbers
        self.least_level = -np.inf  # dB of full scale
        defaults = {}
        if self.task.multilabel:
            defaults = dict.fromkeys(self.classes, DEFAULT_THRESHOLD)
        self.thresholds = {**defaults, **self.config.thresholds}
        self.sample_rate = self.config.sample_rate
        self.audio_channel = self.config.audio_channel
        self.samples = round(self.config.duration * self.sample_rate)  # a clip has them
        if not self.samples:
            raise RequestError(
                "the run's dataset has no sample rate and duration: no audio can be cut"
                " to clips"
            )
        self.seconds = self.samples / self.sample_rate
        # with run.json's description, those of one model after the other
        self.channels: list[tuple[Variant, StoredChannel]] = []
        for model in models:
            config = model.config
            if (config.sample_rate, config.duration) != (
                self.sample_rate,
                self.config.duration,
            ):
                raise RequestError("the ensemble's runs read clips of other durations")
            with own_code.defined_in(config.own_code):
                self.channels += [(variant_of(own), own) for own in config.channels]
        for variant, described in self.channels:
            self.refuse_other_values(variant, described)

    @classmethod
    def load(
        cls,
        trained: Path | str | RunFolder,
        runs: Path = Path("runs"),
        dataset: str = "",
        device: str = "cpu",
        *,
        clips: bool = True,
    ) -> "Predictor":
        """The predictor of a bundle's or an ONNX file, or of a run by its folder, name,
        unique prefix or `last`; RequestError for what cannot predict: with `clips` also
        for models that answer something else than each clip.
        """
        device = device_of(device)
        run = trained if isinstance(trained, RunFolder) else None
        if not isinstance(trained, str | Path | RunFolder):
            raise RequestError(
                f"Model({trained!r}): expected a bundle's file, or a run's name or path"
            )
        file = Path() if run else Path(str(trained))
        ending = file.suffix.removeprefix(".")
        if ending in rooms.names("files") and file.is_file():
            models: list[RunModel] = [rooms.load("files", ending)(file)]
        elif file.is_file():
            models = [RunModel(bundle, device) for bundle in read_bundle(file)]
        else:
            run = run or select_one(runs, str(trained), dataset)
            models = [RunModel(bundle_of_run(each), device) for each in members_of(run)]
        if clips:
            require_clips(models[0].task, run.name if run else str(trained))
        return cls(models, run)

    @classmethod
    def open(cls, options: TrainedOptions, *, clips: bool = True) -> "Predictor":
        """The predictor that a command's options name, with their limits."""
        torch.set_num_threads(threads_of(options.threads))
        keep_freed_memory()
        dataset = dataset_name(options.dataset)
        model = cls.load(
            options.run, options.runs, dataset, options.device, clips=clips
        )
        model.withhold(options)
        if isinstance(options, PredictOptions):
            model.thresholds = class_thresholds(
                options.threshold, model.classes, model.thresholds
            )
            if options.channel is not None:
                model.audio_channel = options.channel
        return model

    @property
    def title(self) -> str:
        """The run, and how many of its folds predict, for a message."""
        config = self.config
        folds = f"{len(self.models[0].fold_numbers)} of {len(config.folds)} folds"
        if config.refit:
            folds = "trained once on the clips of all folds, without a score of its own"
        if len(self.models) > 1:
            folds = f"an ensemble of {counted(len(self.models), 'run')}"
        name = f"{self.run.name}, " if self.run else ""
        trained = f"{config.model} of {config.dataset}, {config.selection} epoch"
        return f"{name}{trained}, {folds}"

    def refuse_other_values(self, variant: Variant, trained: StoredChannel) -> None:
        """RequestError if the feature is not computed as the run was trained on it."""
        frames = variant.shape(self.sample_rate, self.samples)[1]
        unit = variant.feature.frame_unit
        facts = {**variant.recorded, "frames": frames, "frame_unit": unit}
        recorded = {**trained.parameters, "frames": trained.frames}
        recorded["frame_unit"] = trained.frame_unit
        for name in facts | recorded:
            was, now = recorded.get(name), facts.get(name)
            if was != now:
                raise RequestError(
                    f"the run was trained on {trained.stored} with {name} {was}, here"
                    f" it is computed with {now}: train again, or predict with the"
                    " version, or the network file, that trained it"
                )

    def withhold(self, options: TrainedOptions) -> None:
        """Withhold answers by GATE and REJECT; RequestError for REJECT with several
        labels.
        """
        if options.reject and self.task.multilabel:
            raise RequestError(
                "REJECT withholds one class; with several labels give THRESHOLD="
            )
        self.least_probability = options.reject or -np.inf
        if options.gate is not None:
            self.least_level = options.gate

    def features(self, y: Samples) -> Values:
        """The values of one clip, of up to `samples` samples, as a cache stores them:
        (rows, frames) a channel.
        """
        missing = self.samples - len(y)
        clip = Clip(np.pad(y, (0, missing)), self.sample_rate)
        stored = []
        for variant, channel in self.channels:
            # limit for audio far beyond full scale
            largest = np.finfo(channel.dtype).max
            values = np.clip(variant.compute(clip), -largest, largest)
            rounded = to_stored(values, values.shape, channel.dtype)
            first, last = channel.row_range
            stored.append(rounded[first : last + 1])
        return stored

    def predict(
        self, clips: Iterable[tuple[Key, Samples]]
    ) -> Iterator[tuple[Key, Probabilities, str]]:
        """Yield each clip's key, (K,) probabilities of all models together, and
        `predicted`: "" if it is rejected or, with tags, has no class.

        Memory does not grow with the number of clips. Threads compute the features of a
        batch: numpy's and scipy's transforms release the interpreter's lock.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(joblib.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, BATCH)):
                each = pool.map(self.features, [y for _, y in batch])
                values = [np.stack(channel) for channel in zip(*each, strict=True)]
                filled = np.array([len(y) / self.samples for _, y in batch])
                probabilities = self.probabilities(values, filled)
                predicted = self.predicted([y for _, y in batch], probabilities)
                for (key, _), own, text in zip(batch, probabilities, predicted):
                    yield key, own, text

    def probabilities(self, values: Values, filled: Floats) -> Probabilities:
        """(B, K) for clips given by the values of `channels`, the mean of all runs;
        `filled` as in `RunModel.by_fold`.
        """
        rest = iter(values)
        together = []
        for model in self.models:
            own = list(itertools.islice(rest, len(model.config.channels)))
            together.append(model.joined(model.by_fold(own, filled)))
        return np.mean(together, axis=0, dtype=np.float32)

    def predicted(
        self, clips: Sequence[Samples], probabilities: Probabilities
    ) -> list[str]:
        """The class of each clip, with tags all above their thresholds; "" if it is
        withheld.
        """
        thresholds = [self.thresholds.get(name, np.inf) for name in self.classes]
        above = probabilities > np.array(thresholds)
        texts = self.task.predicted(probabilities, above, self.classes)
        levels = [loudest_level(y, self.sample_rate) for y in clips]
        loud = np.array(levels) > self.least_level
        sure = probabilities.max(axis=1) >= self.least_probability
        return [text if answer else "" for text, answer in zip(texts, loud & sure)]

    def window_samples(self, seconds: float) -> int:
        """The samples of a window of WINDOW seconds; by default of a clip, or of the
        median training clip if many clips were padded.
        """
        if not seconds and self.config.clip_seconds:
            seconds = self.config.clip_seconds
            tell(
                f"windows of {seconds:g} s, the median of the training clips, since"
                " many are padded"
            )
        if seconds > self.seconds:
            raise RequestError(
                f"WINDOW={seconds:g}: expected at most the {self.seconds:g} seconds of"
                " a clip"
            )
        return max(1, round(seconds * self.sample_rate)) if seconds else self.samples


def variant_of(described: StoredChannel) -> Variant:
    """The feature that computes a channel; RequestError if nothing here does."""
    stored = described.stored
    channel = parse_channel(stored)
    variant = resolve_feature(channel) if FEATURES.knows(channel.name) else None
    source = parse_channel(variant.source or stored) if variant else None
    if variant and source and FEATURES.knows(source.name):
        return variant
    raise RequestError(
        f"nothing here computes {stored} for new audio: it was brought into the cache,"
        " or the file that defines it is not loaded (LOAD=)"
    )
