"""What a worker does: batches of clips in, clips written to the cache, a few numbers back."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from features_cache.claims import Handle
from features_cache.layout import FeatureFile
from features_cache.writer import ClipWriter, StoredClip, to_stored
from pipeline import audio, kernels
from pipeline.clip import Clip
from pipeline.features import Variant

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
        columns, half = [getattr(self, column.name) for column in fields(self)], len(self.rows) // 2
        return ClipBatch(*(one[:half] for one in columns)), ClipBatch(*(one[half:] for one in columns))


@dataclass
class ExtractionResult:
    """What became of some clips; results add up."""

    clips: int = 0
    failures: list[tuple[int, int, str]] = field(default_factory=list)  # row, feature or WHOLE_CLIP, reason
    computed: Counter[int] = field(default_factory=Counter)  # feature -> clips
    nanoseconds: Counter[int] = field(default_factory=Counter)
    """feature -> time, in which what several share counts for the first; WHOLE_CLIP -> decoding, writing, and
    what failed"""

    def milliseconds(self) -> dict[int, float]:
        """What a clip took, by feature."""
        return {feature: self.nanoseconds[feature] / clips / 1e6 for feature, clips in self.computed.items()}

    def __add__(self, other: "ExtractionResult") -> "ExtractionResult":
        return ExtractionResult(
            *(getattr(self, part.name) + getattr(other, part.name) for part in fields(self))
        )


@dataclass(frozen=True)
class Job:
    """One run's work; called with a batch it computes what is missing and writes it."""

    variants: tuple[Variant, ...]
    sample_rate: int
    samples: int
    files: tuple[FeatureFile, ...]
    handle: Handle

    def __call__(self, batch: ClipBatch) -> ExtractionResult:
        result, begun = ExtractionResult(), time.perf_counter_ns()
        # One thread: processes use all cores already.
        with _pools(len(sys.modules)).limit(limits=1), ClipWriter(self.files, self.handle) as writer:
            for place, row in enumerate(batch.rows.tolist()):
                writer.write(row, self.compute(batch, place, result))
        result.nanoseconds[WHOLE_CLIP] = time.perf_counter_ns() - begun - result.nanoseconds.total()
        return result

    def compute(self, batch: ClipBatch, place: int, result: ExtractionResult) -> list[StoredClip]:
        """What one clip lacks, as far as it can be had; what cannot is a failure with its reason."""
        result.clips += 1
        row, path = int(batch.rows[place]), Path(batch.paths[place])
        try:
            y = audio.load_clip(path, self.sample_rate, self.samples)
            if batch.alterations[place]:
                from pipeline import alter

                y = alter.apply_alteration(y, self.sample_rate, batch.alterations[place])
            if version(path) != batch.versions[place]:
                raise audio.AudioError("it changed while it was read; run again")
        except audio.AudioError as error:
            result.failures.append((row, WHOLE_CLIP, str(error)))
            return []
        clip, done = Clip(y, self.sample_rate), []
        for feature in np.flatnonzero(batch.todo[place]).tolist():
            begun, file = time.perf_counter_ns(), self.files[feature]
            try:
                values = self.variants[feature].compute(clip)
                stored = kernels.half.to_float16(values) if file.dtype == np.float16 else None
                if stored is None:  # another type, or values that do not fit: refused with the reason
                    stored = to_stored(values, file.shape[1:], file.dtype)
            except Exception as error:  # any: it costs this clip this feature, with the reason in the summary
                reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
                result.failures.append((row, feature, reason))
                continue
            done.append(StoredClip(feature, stored, int(batch.fingerprints[place, feature])))
            result.computed[feature] += 1
            result.nanoseconds[feature] += time.perf_counter_ns() - begun
        return done


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; looking for them takes 3 ms, so not once a batch."""
    return ThreadpoolController()


def version(path: Path) -> tuple[int, int]:
    """Size and time in ns of a file; zeros if there is none, or none can be."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the second for a name with a zero byte
        return 0, 0
    return status.st_size, status.st_mtime_ns
