"""A worker computes batches of clips and writes their features to the cache."""

import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.claims import Handle
from featurestack.features_cache.feature_file import (
    FeatureFile,
    FeatureSpec,
    state_word,
)
from featurestack.features_cache.side_files import WHOLE
from featurestack.features_cache.writer import Clips, to_stored, write_batch
from featurestack.pipeline import audio, kernels
from featurestack.pipeline.clip_spectra import Clip, StoredMap
from featurestack.pipeline.features import Variant

WARM_UP = 1.0  # seconds of silence
warm: set[str] = set()  # features that this process has loaded and compiled


class Source(NamedTuple):
    """The origin of a clip's samples."""

    path: str
    span: audio.Span
    channel: int  # the file's, 0 for the mean
    # size and time of the file when the clip's fingerprint was made
    version: tuple[int, int] = (0, 0)

    def load(self, sample_rate: int, samples: int) -> audio.Samples:
        """(samples,) float32; AudioError as in `load_clip`."""
        return audio.load_clip(self.path, sample_rate, samples, self.span, self.channel)


class ClipTask(NamedTuple):
    """A clip and the features that it still lacks."""

    row: int  # the clip's row in the table
    clip_id: str
    source: Source
    fingerprints: dict[int, int]  # number of each feature that it lacks -> fingerprint


@dataclass
class ExtractionResult:
    """The outcome for some clips; results are added with +."""

    clips: int = 0
    # row, feature or WHOLE, reason
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    computed: Counter[str] = field(default_factory=Counter)  # feature -> clips
    # file, first error of its decoder: damaged parts of it were skipped
    damaged: list[tuple[str, str]] = field(default_factory=list)
    # feature -> time of these clips
    nanoseconds: Counter[str] = field(default_factory=Counter)

    def seconds_a_clip(self) -> dict[str, float]:
        """Core seconds for one clip, by feature."""
        times, clips = self.nanoseconds, self.computed
        return {name: times[name] / clips[name] / 1e9 for name in clips}

    def __add__(self, other: "ExtractionResult") -> "ExtractionResult":
        names = [part.name for part in fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return ExtractionResult(**sums)


def failure_reason(error: Exception) -> str:
    """An error of a feature in words, with its line if it is not this project's."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    reason = str(error)
    if type(error) is not ValueError:
        reason = f"{type(error).__name__}: {error}"
    if not frame.f_globals.get("__name__", "").startswith("featurestack."):
        reason += f" ({frame.f_code.co_filename}, line {line})"
    return reason


@dataclass(frozen=True)
class Computation:
    """Computes features of clips; `specs` belong to `variants`, in the same order."""

    variants: tuple[Variant, ...]
    specs: Sequence[FeatureSpec]  # all with one sample rate and number of samples
    cache: Cache | None  # has maps that features are computed from

    def cached_maps(self, task: ClipTask) -> dict[str, StoredMap]:
        """The maps that the task's features read, of those that the cache has."""
        maps = {}
        for feature in task.fingerprints if self.cache else ():
            name = self.variants[feature].source
            with suppress(RequestError):  # it is computed from audio
                if name and self.cache:
                    stored = self.cache[name]
                    (values,) = self.cache.read(name, [task.clip_id])
                    about = stored.units, stored.frame_axis, stored.frame_unit
                    maps[name] = StoredMap.of(values, *about)
        return maps

    def warm_up(self) -> None:
        """Compute silence by what this process has not computed yet: the time of a clip
        is then without that of loading and compiling.
        """
        spec = self.specs[0]
        seconds = min(WARM_UP, spec.samples / max(spec.sample_rate, 1))
        silence = np.zeros(round(seconds * spec.sample_rate), np.float32)
        clip = Clip(silence, spec.sample_rate)
        for feature, variant in enumerate(self.variants):
            if variant.stored not in warm:
                with suppress(Exception):  # real clips have the reason
                    self.stored_values(feature, clip)
                warm.add(variant.stored)

    def clip_of(self, task: ClipTask) -> tuple[Clip, str]:
        """The clip and the decoder's error in a damaged frame that it skipped, or "";
        AudioError if the clip cannot be used.
        """
        source, spec = task.source, self.specs[0]
        clip = Clip(np.zeros(spec.samples, np.float32), spec.sample_rate)
        clip.maps |= self.cached_maps(task)
        sources = [self.variants[feature].source for feature in task.fingerprints]
        if {*sources} <= clip.maps.keys():
            return clip, ""
        with audio.damaged_frames() as damaged:
            clip.y = source.load(spec.sample_rate, spec.samples)
        if audio.version(source.path) != source.version:
            raise audio.AudioError(
                "the file has changed since the cache noted it; run features for that"
                " cache again"
            )
        return clip, damaged.get(source.path, "")

    def compute(self, task: ClipTask, result: ExtractionResult) -> Clips:
        """The features that a clip lacks; failures and times go to `result`."""
        try:
            clip, error = self.clip_of(task)
        except audio.AudioError as reason:
            result.failures.append((task.row, WHOLE, str(reason)))
            return []
        if error:
            result.damaged.append((task.source.path, error))
        done = []
        names = []
        for feature, fingerprint in task.fingerprints.items():
            name = self.variants[feature].stored
            try:
                stored = clip.timed(name, partial(self.stored_values, feature, clip))
            except Exception as reason:  # only this feature of this clip is lost
                result.failures.append((task.row, name, failure_reason(reason)))
                continue
            done.append((feature, stored, state_word(fingerprint, stored)))
            names.append(name)
        result.computed.update(names)
        result.nanoseconds += clip.costs(names)
        return done

    def stored_values(self, feature: int, clip: Clip) -> NDArray:
        """A clip's feature in the stored type; ValueError if it does not fit."""
        values = self.variants[feature].compute(clip)
        spec = self.specs[feature]
        if spec.dtype == "float16":
            stored = kernels.float16.to_float16(values)
            if stored is not None:
                return stored
        return to_stored(values, (spec.rows, spec.frames), spec.dtype)


@dataclass(frozen=True)
class Job(Computation):
    """One run's work: computes and writes the features of a batch."""

    specs: Sequence[FeatureFile]
    handle: Handle

    def __call__(self, batch: list[ClipTask]) -> ExtractionResult:
        self.warm_up()
        result = ExtractionResult(len(batch))
        rows = ((task.row, self.compute(task, result)) for task in batch)
        write_batch(self.specs, self.handle, rows)
        return result
