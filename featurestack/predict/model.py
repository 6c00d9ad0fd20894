"""`Model`: what every command and `fs.Model` answer new audio with, from a run, a
bundle or an ONNX file. Samples become features as a cache stores them, then
probabilities, then an answer, which GATE, REJECT and THRESHOLD may withhold.

Samples that cannot be a clip of the model are refused in a sentence, because a network
answers everything, noise and overflown integers too, and most of it with confidence.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import joblib
import numpy as np
import torch

from featurestack.base import DATA, registry
from featurestack.base.errors import RequestError, needed
from featurestack.base.extras import MODEL_PLACES
from featurestack.base.files import is_file
from featurestack.base.options import Auto, fields, in_python
from featurestack.base.quantities import counted
from featurestack.base.registry import object_at
from featurestack.base.terminal import warn
from featurestack.comparison.metrics import DEFAULT_THRESHOLD, Floats, decide
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.hdf5 import to_stored
from featurestack.pipeline import audio
from featurestack.pipeline.audio import Samples
from featurestack.pipeline.clip_spectra import Clip, ClipLike, clip_of, is_one
from featurestack.pipeline.features import FEATURES, FeatureDefinition, resolve_feature
from featurestack.predict import bundle
from featurestack.predict.options import (
    PredictOptions,
    TrainedOptions,
    class_thresholds,
)
from featurestack.results.config import InputChannel
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.run_folder import RunFolder
from featurestack.results.run_list import select_one
from featurestack.results.tasks import names_of
from featurestack.train.compute import device_of, keep_freed_memory, threads_of

# seconds that audio may be longer than a clip without a note: MP3 and Ogg add some
TOLERANCE = 0.1
# length of the parts of a window whose levels are compared with GATE
LEVEL_SECONDS = 0.05


Key = TypeVar("Key")


class Prediction(NamedTuple):
    """The answer for one clip."""

    # the class; of several labels all that are predicted, joined by ; and "" if the
    # model withholds the answer
    predicted: str
    probabilities: dict[str, float]  # class -> probability


class Model:
    """A trained model that answers arrays. One object serves many threads.

    Parameters
    ----------
    run : path, str or RunFolder
        The file of a bundle, an exported ONNX file, a run's folder, name or unique
        prefix, or `last`; or a run of `fs.fit` or `fs.run`.
    runs : path
        The runs that a name is looked for in.
    device : str
        "cpu", "cuda", "mps", or "auto" for the best available.
    reject : float
        Probability, 0 to 1, below which there is no answer.
    gate : float, optional
        Level in dB of full scale, such as -50; a clip that is never louder gets no
        answer.
    dataset : str
        Dataset of the runs that a name is looked for in; by default all.
    data : path
        The folder of datasets, whose runs of today `last` and prefixes choose from.

    Attributes
    ----------
    classes, config, sample_rate, seconds, window
        `config` is what run.json records; `sample_rate` is in Hz; `seconds` is the
        longest clip, and `window` the median of clips if many are shorter.

    Examples
    --------
    ::

        fs.Model("model.pt").predict(y, 44_100)
        # Prediction(predicted='dog', probabilities={'cat': 0.02, 'dog': 0.98})
    """

    def __init__(
        self,
        run: Path | str | RunFolder,
        runs: Path | str = "runs",
        *,
        device: str = "cpu",
        reject: float = 0.0,
        gate: float | None = None,
        dataset: str = "",
        data: Path | str = DATA,
    ) -> None:
        """RequestError if new audio cannot have the features of the run."""
        self.how: dict[str, Any] = {"device": device, "reject": reject, "gate": gate}
        with in_python(lambda: (fields(TrainedOptions), [run])):
            limits = TrainedOptions(reject=reject, gate=gate)
            if not isinstance(run, RunFolder | str | os.PathLike):
                kind = type(run).__name__
                raise RequestError(f"expected a run, a file or a name, not {kind}")
            if not isinstance(run, RunFolder):
                run = os.fspath(run)
                if not is_file(run):
                    of_dataset = named_dataset(dataset, Path(data))
                    run = select_one(runs, str(run), *of_dataset, data=data)
        self.networks, self.run = networks_of(run, device)
        self.trained = self.run or Path(str(run)).resolve()
        self.config = self.networks.config
        self.task = self.networks.task
        self.classes = self.networks.classes
        if reject and self.task.multilabel:
            raise RequestError(
                "the model predicts several labels, each above its own threshold:"
                " leave out the limit of one class, reject"
            )
        self.least_probability = limits.reject
        self.least_level = -np.inf if limits.gate is None else limits.gate
        defaults = {}
        if self.task.multilabel:
            defaults = dict.fromkeys(self.classes, DEFAULT_THRESHOLD)
        self.thresholds = {**defaults, **self.networks.thresholds}
        self.sample_rate = self.config.sample_rate
        self.samples = round(self.config.duration * self.sample_rate)  # a clip has them
        self.channels: list[tuple[FeatureDefinition, InputChannel]] = []
        for channel in self.config.channels:
            with registry.defined_in(
                self.config.own_code, f"the feature {channel.stored}"
            ):
                feature = feature_of(channel, self.sample_rate)
            self.channels.append((feature, channel))
        if not self.samples:
            raise RequestError(
                "the run's dataset has no sample rate and duration: no audio can be cut"
                " to clips"
            )
        self.seconds = self.samples / self.sample_rate
        self.longest = self.seconds + TOLERANCE
        self.window = self.config.clip_seconds or self.seconds
        for feature, described in self.channels:
            refuse_other_values(feature, described, self.sample_rate, self.samples)

    def __repr__(self) -> str:
        return f"Model({self.title})"

    def __reduce__(self) -> tuple[object, ...]:
        """A copy in another process opens the run or the file again."""
        limits = {"thresholds": self.thresholds}
        return partial(type(self), self.trained, **self.how), (), limits

    @classmethod
    def open(cls, options: TrainedOptions) -> Self:
        """The model that a command's options name, with their limits."""
        set_threads(options.threads)
        trained: str | RunFolder = options.run
        if not is_file(options.run):
            dataset = named_dataset(options.dataset, options.data, options.name)
            trained = select_one(options.runs, options.run, *dataset, data=options.data)
        model = cls(
            trained, device=options.device, reject=options.reject, gate=options.gate
        )
        if isinstance(options, PredictOptions):
            model.thresholds = class_thresholds(
                options.threshold, model.classes, model.thresholds
            )
        return model

    @property
    def title(self) -> str:
        """The run, and how many of its folds predict, for a message."""
        config = self.config
        folds = f"{len(self.networks.fold_numbers)} of {len(config.folds)} folds"
        trained = f"{config.features} with {config.model}, of {config.dataset}"
        if self.run:
            trained = f"{self.run.name}, {config.model} of {config.dataset}"
        return f"{trained}, {folds}"

    def predict(self, y: ClipLike, sample_rate: float | None = None) -> Prediction:
        """The answer for one clip.

        y            the path of an audio file, a Clip, or samples, (n,) or with an axis
                     of channels, of which the mean counts;
                     floats of full scale 1, at most 4 in size; int16, int32 or uint8
        sample_rate  Hz of samples; other rates than the model's are resampled

        A shorter clip than `seconds` is padded with zeros like a short training clip.
        RequestError for a longer one, an empty one, another type, NaN, and samples
        beyond ±4.
        """
        (answer,) = self.predictions([(0, self.clip(y, sample_rate))])
        return answer

    def predict_many(
        self, clips: Iterable[ClipLike], sample_rate: float | None = None
    ) -> list[Prediction]:
        """The answers for many clips at once, equal to `predict`'s up to rounding;
        RequestError names the first that is refused by its place.
        """
        if is_one(clips):
            raise RequestError("predict_many takes a list of clips, [y]; this is one")

        def checked() -> Iterator[tuple[int, Samples]]:
            for number, y in enumerate(clips):
                try:
                    yield number, self.clip(y, sample_rate)
                except RequestError as error:
                    raise RequestError(f"clips[{number}]: {error}") from None

        return self.predictions(checked())

    def predictions(self, clips: Iterable[tuple[int, Samples]]) -> list[Prediction]:
        return [
            Prediction(predicted, dict(zip(self.classes, map(float, probabilities))))
            for _, probabilities, predicted in self.predicted(clips)
        ]

    def warm(self) -> None:
        """Predict silence once: the first prediction takes seconds."""
        silence = np.zeros(self.samples, np.float32)
        self.predict(silence, self.sample_rate)

    def clip(self, y: ClipLike, sample_rate: float | None = None) -> Samples:
        """The samples as the model's features take them: mono float32 of full scale 1
        at the model's rate, at most `seconds` long; RequestError as in `predict`.
        """
        clip = clip_of(y, sample_rate)
        samples, rate = clip.y, clip.sample_rate
        seconds = len(samples) / rate
        if seconds > self.longest:
            raise RequestError(
                f"{seconds:.2f} s of audio: the model takes clips of at most"
                f" {self.seconds:g} s; fs.predict_audio answers each window of it"
            )
        if rate < self.sample_rate:
            warn(
                f"audio of {rate:,} Hz has nothing above {rate / 2:,.0f} Hz; the model"
                f" was trained at {self.sample_rate:,} Hz"
            )
        samples = audio.resample(samples, rate, self.sample_rate)
        return samples[: self.samples]

    def batch(self, clips: Sequence[Samples]) -> tuple[bundle.Values, Floats]:
        """The values of clips of up to `samples` samples, as `stored_values`, by
        channel, and the share that each clip fills. Threads compute them: numpy's and
        scipy's transforms release the interpreter's lock.
        """
        arguments = self.sample_rate, self.samples, self.channels
        with ThreadPoolExecutor(joblib.cpu_count()) as pool:
            each = [*pool.map(lambda y: stored_values(y, *arguments), clips)]
        filled = np.array([len(y) / self.samples for y in clips])
        return [np.stack(channel) for channel in zip(*each, strict=True)], filled

    def predicted(
        self, clips: Iterable[tuple[Key, Samples]]
    ) -> Iterator[tuple[Key, bundle.ClassProbabilities, str]]:
        """Yield each clip's key, (K,) probabilities of all folds together, and
        `predicted`: "" if it is rejected or, with tags, has no class.

        Memory does not grow with the number of clips.
        """
        thresholds = None
        if self.task.multilabel:
            each = [self.thresholds.get(name, np.inf) for name in self.classes]
            thresholds = np.array(each)
        rest = iter(clips)
        while batch := list(itertools.islice(rest, bundle.BATCH)):
            keys, samples = zip(*batch)
            by_fold = self.networks.by_fold(*self.batch(samples))
            probabilities = self.networks.joined(by_fold)
            levels = [loudest_level(y, self.sample_rate) for y in samples]
            loud = np.array(levels) > self.least_level
            sure = probabilities.max(axis=1) >= self.least_probability
            decided = decide(probabilities, thresholds) & (loud & sure)[:, None]
            yield from zip(keys, probabilities, names_of(decided, self.classes))


def set_threads(threads: int | Auto) -> None:
    """Let torch compute in so many threads, and keep memory that is freed."""
    torch.set_num_threads(threads_of(threads))
    keep_freed_memory()


def networks_of(
    trained: Path | str | RunFolder, device: str
) -> tuple[bundle.FoldModels, RunFolder | None]:
    """The networks of a run, and the run, None for a file."""
    device = device_of(device)
    if isinstance(trained, RunFolder):
        return bundle.RunModel(*bundle.bundle_of_run(trained), device), trained
    file = Path(trained)
    if file.suffix in MODEL_PLACES:
        with needed(file.suffix.removeprefix("."), str(file)):
            networks = object_at(MODEL_PLACES[file.suffix])
        exported: bundle.FoldModels = networks(file)
        return exported, None
    return bundle.RunModel(*bundle.read_bundle(file), device), None


def stored_values(
    y: Samples,
    sample_rate: int,
    samples: int,
    channels: Iterable[tuple[FeatureDefinition, InputChannel]],
) -> bundle.Values:
    """The values of a clip of `samples` samples, of which `y` may lack the last ones,
    as a cache stores them: (rows, frames) a channel.
    """
    clip = Clip.decoded(np.pad(y, (0, samples - len(y))), sample_rate)
    stored = []
    for feature, channel in channels:
        largest = np.finfo(channel.dtype).max  # limit for audio far beyond full scale
        values = np.clip(feature.compute(clip), -largest, largest)
        rounded = to_stored(values, channel.dtype)
        first, last = channel.row_range
        stored.append(rounded[first : last + 1])
    return stored


def feature_of(described: InputChannel, sample_rate: int) -> FeatureDefinition:
    """The feature that computes a channel; RequestError if nothing here does."""
    stored = described.stored
    channel = parse_feature_name(stored)
    if FEATURES.knows(channel.name):
        feature = resolve_feature(channel, sample_rate)
        if not feature.source or feature.read_map():
            return feature
    raise RequestError(
        f"nothing here computes {stored} for new audio: it was brought into the cache,"
        " or the file that defines it is not loaded (LOAD=)"
    )


def refuse_other_values(
    feature: FeatureDefinition, trained: InputChannel, sample_rate: int, samples: int
) -> None:
    """RequestError if the feature is not computed as the run was trained on it."""
    rows, frames = feature.shape(sample_rate, samples)
    if trained.row_range[1] >= rows:
        raise RequestError(
            f"the run reads row {trained.row_range[1]} of {trained.stored}, which has"
            f" {counted(rows, 'row')}"
        )
    unit = feature.frame_unit
    now = {**feature.recorded_facts, "frames": frames, "frame_unit": unit}
    was = {"frames": trained.frames, "frame_unit": trained.frame_unit}
    difference = feature.difference(
        trained.code_version, {**trained.parameters, **was}, now
    )
    if difference:
        raise RequestError(
            f"the run was trained on {trained.stored} by {difference}: extract and"
            " train again, or predict with the version, your own code or the network"
            " file that trained it"
        )


# ---- samples of a caller


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
