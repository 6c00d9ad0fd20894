"""What a worker does: batches of clips in, clips written to the cache, a few numbers back."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from features_cache.claims import Handle
from features_cache.layout import FeatureFile
from features_cache.writer import ClipWriter, StoredClip, to_stored
from pipeline import audio
from pipeline.clip import Clip
from pipeline.features import Variant
from pipeline.kernels.half import to_float16

WHOLE_CLIP = -1  # in the place of a feature: nothing of this clip could be done


@dataclass(frozen=True)
class ClipBatch:
    """Some clips and what each still lacks. B clips, F features."""

    rows: NDArray[np.intp]  # (B,) in the cache
    paths: Sequence[str]
    alterations: Sequence[str]
    versions: Sequence[tuple[int, int]]  # size and time of each source when it was hashed
    todo: NDArray[np.bool_]  # (B, F)
    fingerprints: NDArray[np.uint64]  # (B, F)

    def split(self) -> tuple["ClipBatch", "ClipBatch"]:
        """The same clips in two batches."""
        middle = len(self.rows) // 2
        columns = [getattr(self, column.name) for column in dataclasses.fields(self)]
        return ClipBatch(*(column[:middle] for column in columns)), ClipBatch(
            *(column[middle:] for column in columns)
        )


@dataclass
class ExtractionResult:
    """What became of a batch; outcomes add up."""

    clips: int = 0
    failures: list[tuple[int, int, str]] = field(default_factory=list)  # row, feature or WHOLE_CLIP, reason
    computed: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))  # (F,) clips
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))  # (F,) who asks first pays
    seconds_around: float = 0.0  # decoding, writing, and what failed
    seconds_saved: float = 0.0  # by computing once what several features need

    def __add__(self, other: "ExtractionResult") -> "ExtractionResult":
        return ExtractionResult(
            *(getattr(self, one.name) + getattr(other, one.name) for one in dataclasses.fields(self))
        )


@dataclass(frozen=True)
class Job:
    """One run's work; called with a batch it computes what is missing and writes it."""

    variants: tuple[Variant, ...]
    sample_rate: int
    samples: int
    files: tuple[FeatureFile, ...] = ()
    handle: Handle | None = None
    """Without one nothing is written: a rehearsal that measures what a batch costs."""

    def __call__(self, batch: ClipBatch) -> ExtractionResult:
        count, spent = len(self.variants), 0.0
        outcome = ExtractionResult(computed=np.zeros(count, np.int64), seconds=np.zeros(count))
        opened = nullcontext() if self.handle is None else ClipWriter(self.files, self.handle)
        with _pools(len(sys.modules)).limit(limits=1), opened as writer:  # processes use all cores already
            for place, row in enumerate(batch.rows.tolist()):
                begun = time.perf_counter()
                clips = self._compute(batch, place, outcome)
                if writer:
                    writer.write(row, clips)
                spent += time.perf_counter() - begun
        outcome.seconds_around = spent - float(outcome.seconds.sum())
        return outcome

    def _compute(self, batch: ClipBatch, place: int, outcome: ExtractionResult) -> list[StoredClip]:
        """What one clip lacks, as far as it can be had; what cannot is a failure with its reason."""
        outcome.clips += 1
        row, path = int(batch.rows[place]), Path(batch.paths[place])
        try:
            y = audio.load_clip(path, self.sample_rate, self.samples)
            if batch.alterations[place]:
                from pipeline import alter

                y = alter.apply_alteration(y, self.sample_rate, batch.alterations[place])
            if version(path) != batch.versions[place]:
                raise audio.AudioError("it changed while it was read; run again")
        except audio.AudioError as error:
            outcome.failures.append((row, WHOLE_CLIP, str(error)))
            return []
        clip, done = Clip(y, self.sample_rate), []
        for feature in np.flatnonzero(batch.todo[place]).tolist():
            begun = time.perf_counter()
            try:
                values = self._stored(feature, clip)
            except Exception as error:  # whatever one feature makes of one clip is named and counted
                reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
                outcome.failures.append((row, feature, reason))
                continue
            done.append(StoredClip(feature, values, int(batch.fingerprints[place, feature])))
            outcome.computed[feature] += 1
            outcome.seconds[feature] += time.perf_counter() - begun
        outcome.seconds_saved += clip.seconds_saved
        return done

    def _stored(self, feature: int, clip: Clip) -> NDArray:
        values = self.variants[feature].compute(clip)
        if not self.files:
            return values
        file = self.files[feature]
        if file.dtype == np.float16 and values.shape == file.shape[1:]:
            stored = to_float16(values)
            if stored is not None:
                return stored
        return to_stored(values, file.shape[1:], file.dtype)


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; looking for them takes 3 ms, so not once a batch."""
    return ThreadpoolController()


def lost(batch: ClipBatch, reason: str) -> ExtractionResult:
    """The outcome of a batch whose worker died."""
    return ExtractionResult(len(batch.rows), [(row, WHOLE_CLIP, reason) for row in batch.rows.tolist()])


def version(path: Path) -> tuple[int, int]:
    """Size and time in ns of a file; zeros where there is none, or none can be."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the second for a name with a zero byte
        return 0, 0
    return status.st_size, status.st_mtime_ns
