"""The part of an extraction that the cache lacks: clips and features wanted, and the
feature maps that are not there, outdated or damaged.
"""

import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray

from featurestack.commandline.quantities import counted
from featurestack.features_cache.claims import claims
from featurestack.features_cache.feature_file import (
    FeatureFile,
    FeatureSpec,
    clip_keys,
    fingerprints,
    read_header,
)
from featurestack.features_cache.hdf5 import DamagedFile
from featurestack.features_cache.index import stored_ids, updated
from featurestack.features_cache.side_files import (
    has_failed,
    is_verified,
    note_verified,
)
from featurestack.features_cache.table import rows_of


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The clips and features that a run wants in a cache."""

    folder: Path  # the run writes here
    read_only: bool  # whether the cache is used as it is
    clips: pd.DataFrame  # N rows, columns of the index
    settings: Mapping[str, str | int]  # attributes of the index
    specs: tuple[FeatureSpec, ...]  # F
    part: slice  # rows of this run
    hashed: slice  # rows of the clips whose audio files were looked at

    @property
    def names(self) -> list[str]:
        """(F,) stored names of the features."""
        return [spec.stored for spec in self.specs]

    @property
    def files(self) -> list[Path]:
        """(F,) the features' files, also those that are not there."""
        return [self.folder / f"{stored}.h5" for stored in self.names]

    @property
    def is_whole(self) -> bool:
        return self.part == slice(0, len(self.clips))

    @functools.cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return stored_ids(self.clips)

    @functools.cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) clip keys; a fingerprint combines a clip's key with a feature's."""
        return clip_keys(self.clips)

    def fingerprints(self, rows: NDArray[np.intp]) -> list[list[int]]:
        """(F, B) the fingerprints of some clips."""
        keys = self.keys[rows]
        return [fingerprints(keys, spec.key).tolist() for spec in self.specs]


@dataclass(frozen=True)
class FinishedClips:
    """The clips of a table that a feature's file already holds; the arrays are (N,)."""

    done: NDArray[np.bool_]
    damaged: NDArray[np.bool_]  # the state word says done, but the CRC is another
    row_of: NDArray[np.intp]  # the row of a clip in the file, -1 if it has none
    file: FeatureFile | None = None
    fits: bool = False  # whether the file has exactly these clips, in this order
    note: str = ""  # why the file cannot be used; '' if it can or there is none


def stored_clips(wanted: Wanted, spec: FeatureSpec) -> FinishedClips:
    """The clips in the file of `spec`; the part's CRCs unless the file is verified."""
    none = np.zeros(len(wanted.ids), bool)
    nothing = FinishedClips(none, none, np.full(len(wanted.ids), -1))
    try:
        file = read_header(wanted.folder / f"{spec.stored}.h5")
        row_of = rows_of(wanted.ids, file.clip_ids)
    except FileNotFoundError:
        return nothing
    except DamagedFile as damage:
        return replace(nothing, note=damage.reason)
    if file.key != spec.key or (file.rows, file.frames) != (spec.rows, spec.frames):
        what = "other parameters, audio settings, code or type than asked for"
        return replace(nothing, note=f"{file.path.name} was made with {what}")
    checked = none.copy()
    checked[wanted.part] = not is_verified(file.path)
    status = file.status(row_of, wanted.keys, checked)
    fits = np.array_equal(file.clip_ids, wanted.ids)
    done = status.done
    if wanted.read_only:  # clips that failed stay missing
        done = done | has_failed(wanted.folder, wanted.clips, [spec.stored])
    return FinishedClips(done, status.damaged, row_of, file, fits)


@dataclass(frozen=True)
class Missing:
    """The feature maps of N clips and F features that the cache lacks."""

    stored: list[FinishedClips]  # F
    todo: NDArray[np.bool_]  # (N, F), False outside the part
    sizes: dict[str, int]  # stored name -> bytes, for files that have to be made

    @functools.cached_property
    def clips(self) -> NDArray[np.intp]:
        """Rows of the clips that lack a feature."""
        return np.flatnonzero(self.todo.any(axis=1))

    def notes(self) -> list[str]:
        """Lines on files that are made again and on damaged feature maps."""
        lines = [f"made again: {clips.note}" for clips in self.stored if clips.note]
        for clips in self.stored:
            if clips.file and (count := int(clips.damaged.sum())):
                maps = counted(count, "damaged feature map")
                lines.append(f"computed again: {maps} of {clips.file.stored}")
        return lines


def missing(wanted: Wanted) -> Missing:
    """Compare every wanted feature with its file."""
    # a CRC releases the interpreter's lock
    with ThreadPoolExecutor(min(8, cpu_count())) as threads:
        compare = functools.partial(stored_clips, wanted)
        stored = list(threads.map(compare, wanted.specs))
    todo = ~np.stack([clips.done for clips in stored], axis=1)
    todo[: wanted.part.start] = todo[wanted.part.stop :] = False
    sizes = {
        spec.stored: len(todo) * spec.clip_bytes
        for spec, clips in zip(wanted.specs, stored)
        if not clips.fits
    }
    return Missing(stored, todo, sizes)


def nothing_missing(wanted: Wanted) -> Missing | None:
    """The empty Missing of a run without work, which needs no lock and writes at most
    verified.csv; None if something is missing or the index not current.
    """
    if not wanted.read_only:
        _, current = updated(
            wanted.folder, wanted.clips, wanted.settings, wanted.hashed
        )
        if not current or claims(wanted.folder):
            return None
    lacking = missing(wanted)
    if len(lacking.clips) or lacking.sizes:
        return None
    if wanted.is_whole and not all(map(is_verified, wanted.files)):
        with suppress(PermissionError):
            note_verified(wanted.folder, wanted.names)
    return lacking
