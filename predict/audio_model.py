"""A trained model for audio: samples to features, as a cache stores them, to
probabilities, to an answer, which GATE, REJECT and THRESHOLD may withhold.

New audio's features come from the pipeline functions that filled the cache, with the
same rounding.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import joblib
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from featurestack.commandline import own_code
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache import cache_folder, dataset_name
from featurestack.features_cache.index import read_index
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.table import has_windows
from featurestack.features_cache.writer import to_stored
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, Variant, resolve_feature
from featurestack.predict.bundle import (
    BATCH,
    Bundle,
    Probabilities,
    TrainedModel,
    Values,
    bundle_of_run,
    read_bundle,
)
from featurestack.results import select_runs
from featurestack.results.config import StoredChannel
from featurestack.results.run_folder import RunFolder
from featurestack.scores.tasks.base import DEFAULT_THRESHOLD
from featurestack.storage.files import content_hash
from featurestack.train.compute import device_of, keep_freed_memory, threads_of
from featurestack.train.options import PredictOptions, TrainedOptions, parse_number

# seconds that a file may be longer without a note: MP3 and Ogg add some
TOLERANCE = 0.1
# length of the parts of a window whose levels are compared with GATE
LEVEL_SECONDS = 0.05
NO_ANSWER = "no answer"

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
    named = set[str]()
    for part in text.split(",") if text else ():
        name, _, number = part.rpartition("=")
        if name in named:
            raise RequestError(f"THRESHOLD={text}: {name or 'a value'} occurs twice")
        named.add(name)
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


class AudioModel(TrainedModel):
    """A trained model for audio: samples to features to probabilities."""

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        """RequestError if new audio cannot have the run's features."""
        super().__init__(bundle, device)
        self.run: RunFolder | None = None  # None for a bundle
        self.least_probability = -np.inf  # 0 would withhold negative numbers
        self.least_level = -np.inf  # dB of full scale
        defaults = {}
        if self.task.multilabel:
            defaults = dict.fromkeys(self.classes, DEFAULT_THRESHOLD)
        self.thresholds = {**defaults, **self.config.thresholds}
        self.sample_rate = self.config.sample_rate
        self.audio_channel = self.config.audio_channel
        # a clip's
        self.samples = round(self.config.duration * self.sample_rate)
        # with run.json's description
        self.channels: list[tuple[Variant, StoredChannel]] = []
        for described in self.config.channels:
            stored = described.stored
            channel = parse_channel(stored)
            with own_code.defined_in(self.config.own_code):
                known = FEATURES.knows(channel.name)
                variant = resolve_feature(channel) if known else None
                source = parse_channel(variant.source or stored) if variant else None
                if not (variant and source and FEATURES.knows(source.name)):
                    raise RequestError(
                        f"nothing here computes {stored} for new audio: it was brought"
                        " into the cache, or the file that defines it is not loaded"
                        " (LOAD=)"
                    )
            if described.parameters.get("file") != variant.recorded.get("file"):
                raise RequestError(
                    f"the run was trained on {stored} of another network file: put the"
                    " former network and card back, or train again"
                )
            self.channels.append((variant, described))
        if not self.samples:
            raise RequestError(
                "the run's dataset has no sample rate and duration: no audio can be cut"
                " to clips"
            )
        self.seconds = self.samples / self.sample_rate
        for variant, described in self.channels:
            self.refuse_other_values(variant, described)

    def refuse_other_values(self, variant: Variant, trained: StoredChannel) -> None:
        """RequestError if the feature is not computed as the run was trained on it."""
        facts = {
            **variant.recorded,
            "frames": variant.shape(self.sample_rate, self.samples)[1],
            "frame_unit": variant.feature.frame_unit,
        }
        recorded = {
            **trained.parameters,
            "frames": trained.frames,
            "frame_unit": trained.frame_unit,
        }
        for name in facts | recorded:
            if facts.get(name) != recorded.get(name):
                raise RequestError(
                    f"the run was trained on {trained.stored} with {name}"
                    f" {recorded.get(name)}, here it is computed with"
                    f" {facts.get(name)}: train again, or predict with the version"
                    " that trained it"
                )

    @classmethod
    def open(cls, options: TrainedOptions) -> "AudioModel":
        """The run or bundle of RUN, on the options' device; tells its name."""
        device = device_of(options.device)
        torch.set_num_threads(threads_of(options.threads))
        keep_freed_memory()
        name = options.run
        bundle, run = find_bundle(name, options.runs, dataset_name(options.dataset))
        if run:
            name = f"{run.name}, {bundle.config.selection} epoch"
            if options.run == "last":  # the last run of any dataset
                name = f"{run.path.parent.name}/{name}"
        folds = f"{len(bundle.folds)} of {len(bundle.config.folds)} folds"
        if bundle.config.refit:
            folds = "trained once on the clips of all folds, without a score of its own"
        tell(
            f"predicted by {name}: {bundle.config.model} of {bundle.config.dataset},"
            f" {folds}"
        )
        model = cls(bundle, device)
        model.run = run
        model.withhold(options)
        if isinstance(options, PredictOptions):
            model.thresholds = class_thresholds(
                options.threshold, model.classes, model.thresholds
            )
            if options.channel is not None:
                model.audio_channel = options.channel
        return model

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
        self,
        clips: Iterable[tuple[Key, Samples]],
        apart: dict[Key, Probabilities] | None = None,
    ) -> Iterator[tuple[Key, Probabilities, str]]:
        """Yield each clip's key, (K,) probabilities of all folds' models together, and
        `predicted`: "" if it is rejected or, with tags, has no class. `apart` gets each
        clip's (F, K) probabilities of the folds' models alone.

        Memory does not grow with the number of clips. Threads compute the features of a
        batch: numpy's and scipy's transforms release the interpreter's lock.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(joblib.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, BATCH)):
                each = pool.map(self.features, [y for _, y in batch])
                values = [np.stack(channel) for channel in zip(*each, strict=True)]
                filled = np.array([len(y) / self.samples for _, y in batch])
                by_fold = self.by_fold(values, filled)
                probabilities = self.joined(by_fold)
                if apart is not None:
                    alone = np.stack(by_fold, axis=1)
                    apart.update(zip([key for key, _ in batch], alone))
                predicted = self.predicted([y for _, y in batch], probabilities)
                for (key, _), own, text in zip(batch, probabilities, predicted):
                    yield key, own, text

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


def find_bundle(
    name: str, runs: Path, dataset: str = ""
) -> tuple[Bundle, RunFolder | None]:
    """The bundle in the file of this name; else that of the run of this name."""
    if Path(name).is_file():
        return read_bundle(Path(name)), None
    run = select_runs.select_one(runs, name, dataset)
    return bundle_of_run(run), run


def trained_clips(
    dataset: str, data: Path, files: Mapping[str, Path]
) -> dict[str, str]:
    """The keys of the files from which a dataset's cache has clips -> the clip's id, or
    that of the recording whose windows are clips.
    """
    cache = cache_folder(dataset, data, dataset)
    if not is_cache(cache):
        return {}
    clips, _ = read_index(cache)
    named = clips["group"] if has_windows(clips) else clips["clip_id"]
    known = dict(zip(clips["source_hash"], named))
    sizes = {*clips["source_size"]}
    trained = {}
    for key, file in files.items():
        with suppress(OSError):  # the prediction names files that cannot be read
            if file.stat().st_size in sizes and (clip := known.get(content_hash(file))):
                trained[key] = clip
    return trained


def predict_files(
    model: AudioModel,
    files: Mapping[str, Path],
    places: Mapping[str, audio.Span] = MappingProxyType({}),
    apart: dict[str, Probabilities] | None = None,
) -> pd.DataFrame:
    """The predictions of all folds' models together for the beginning of each file.

    files   key -> file
    places  key -> the part of that file that counts instead of its beginning
    apart   gets the probabilities of each fold's model alone, as in `predict`

    A row of the table, indexed by key, has `predicted` (see `AudioModel.predict`) and a
    probability for each class. Files that cannot be read are left out, and named.
    """
    rate = model.sample_rate
    longer = []
    rates = {}
    failures = {}

    def clips() -> Iterator[tuple[str, Samples]]:
        for key, file in progress(
            files.items(), total=len(files), label="predicting", unit="files"
        ):
            try:
                start, end = places.get(key, audio.WHOLE)
                info = None if end else audio.file_info(file)
                # like the dataset's clips
                place = model.samples, (start, end), model.audio_channel
                y = audio.load_clip(file, rate, *place)
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
            seconds = info.frames / info.sample_rate if info else end - start
            if info:
                rates[file] = info.sample_rate
            if seconds > model.seconds + TOLERANCE:
                longer.append(file)
            yield key, y[: max(1, round(seconds * rate))]

    answers = [*model.predict(clips(), apart)]
    values = np.reshape([own for _, own, _ in answers], (-1, len(model.classes)))
    table = pd.DataFrame(values, [key for key, _, _ in answers], model.classes)
    table.insert(0, "predicted", [text for _, _, text in answers])
    if longer:
        tell(
            f"only the first {duration(model.seconds)} of"
            f" {counted(len(longer), 'file')} count; HOP=1 predicts windows through"
            " all of them"
        )
    tell_low_rates(rates, rate)
    tell_failures(failures, len(files))
    return table


def tell_low_rates(rates: Mapping[Path, int], wanted: int) -> None:
    """Tell how many files have a lower sample rate (`rates`) than the model's audio."""
    low = [file for file, rate in rates.items() if rate < wanted]
    if low:
        own = rates[low[0]]
        tell(
            f"{len(low)} of {counted(len(rates), 'file')} have a lower sample rate than"
            f" the run ({low[0].name}: {own:,} of {wanted:,} Hz): nothing is above"
            f" {own / 2:,.0f} Hz there, so that predictions may be worse"
        )


def tell_failures(failures: Mapping[Path, str], total: int) -> None:
    """Name the files that could not be read, and those with damaged parts."""
    damaged = audio.damaged.copy()
    audio.damaged.clear()
    for file in failures:
        damaged.pop(str(file), "")
    for line in audio.damaged_parts(damaged):
        tell(line)
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be read")
