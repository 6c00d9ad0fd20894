"""What a worker does: batches of clips in, clips written to the cache, a few numbers back."""

import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from features_cache.claims import Handle
from features_cache.feature_file import FeatureFile, state_word
from features_cache.index import WHOLE
from features_cache.writer import Clips, to_stored, write_batch
from pipeline import audio, kernels
from pipeline.clip import Clip
from pipeline.features import Variant


class ClipTask(NamedTuple):
    """A clip and what it still lacks."""

    row: int  # in the cache
    path: str
    alteration: str
    version: tuple[int, int]  # size and time of its source when it was hashed
    fingerprints: dict[int, int]  # number of each feature that it lacks -> fingerprint


@dataclass
class ExtractionResult:
    """What became of some clips; results are added with +."""

    clips: int = 0
    failures: list[tuple[int, str, str]] = field(default_factory=list)  # row, feature or WHOLE, reason
    computed: Counter[str] = field(default_factory=Counter)  # feature -> clips
    nanoseconds: Counter[str] = field(default_factory=Counter)
    """feature -> time; what several share counts for the first that needs it"""

    def seconds_a_clip(self) -> dict[str, float]:
        """What a clip took, by feature."""
        return {feature: self.nanoseconds[feature] / clips / 1e9 for feature, clips in self.computed.items()}

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

    def __call__(self, batch: list[ClipTask]) -> ExtractionResult:
        result = ExtractionResult(len(batch))
        rows = ((task.row, self.compute(task, result)) for task in batch)
        write_batch(self.files, self.handle, rows)
        return result

    def compute(self, task: ClipTask, result: ExtractionResult) -> Clips:
        """Compute what one clip lacks; what fails is noted in `result` with its reason."""
        path = Path(task.path)
        try:
            y = audio.load_clip(path, self.sample_rate, self.samples)
            if task.alteration:
                from pipeline import alter

                y = alter.apply_alteration(y, self.sample_rate, task.alteration)
            if version(path) != task.version:
                raise audio.AudioError("the file changed since this command began; run it again")
        except audio.AudioError as error:
            result.failures.append((task.row, WHOLE, str(error)))
            return []
        clip = Clip(y, self.sample_rate)
        done = []
        for feature, fingerprint in task.fingerprints.items():
            begun = time.perf_counter_ns()
            variant = self.variants[feature]
            file = self.files[feature]
            try:
                values = variant.compute(clip)
                stored = kernels.half.to_float16(values) if file.dtype == "float16" else None
                if stored is None:  # float32, or values that do not fit: the reason is raised
                    stored = to_stored(values, (file.rows, file.frames), file.dtype)
            except Exception as error:  # any: only this feature of this clip is lost
                reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
                result.failures.append((task.row, variant.stored, reason))
                continue
            done.append((feature, stored, state_word(fingerprint, stored)))
            result.computed[variant.stored] += 1
            result.nanoseconds[variant.stored] += time.perf_counter_ns() - begun
        return done


def version(path: Path) -> tuple[int, int]:
    """Size and time in ns of a file; zeros if there is no such file, or the name is invalid."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the second for a name with a zero byte
        return 0, 0
    return status.st_size, status.st_mtime_ns
