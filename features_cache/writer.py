"""Writing clips, and creating their files.

The order of writing, and why a kill between any two steps is harmless:

1. A run is admitted: its claim lies in `locks/` before it touches anything (claims.py).
2. Under the feature's exclusive lock the run drafts a file under another name, reserves
   its disk space, copies the clips that are still up to date, synchronises and renames
   it. A kill before the rename leaves a draft that the next run overwrites; a kill
   after it leaves a whole file.
3. index.h5 is replaced in the same way, after the files that it links to
   (structure.py).
   After a kill before this, the next run does it. Until then the old labels hold, and
   rows are found by clip id, so no clip gets another's label.
4. Workers write each clip at its own place: 0 as state word, the values, the final
   state word (feature_file.py). After a kill in between the state is 0, and the clip
   counts as not done.
5. failures.csv and costs.csv are replaced, under the lock of index.h5.
6. At the end all files are synchronised and the claim is removed. A kill before this:
   see claims.py.

After step 2 nobody writes to a feature's file through HDF5, so no kill can leave its
structure half-written.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, size
from featurestack.features_cache.claims import Handle, Writing, claims
from featurestack.features_cache.feature_file import (
    FeatureFile,
    FeatureSpec,
    lock,
    read_header,
)
from featurestack.features_cache.hdf5 import DamagedFile
from featurestack.features_cache.structure import write_structure
from featurestack.features_cache.table import rows_of
from featurestack.features_cache.verified import is_verified
from featurestack.storage.disk import allocate
from featurestack.storage.files import draft_of, replaced

# row in the file (or place of the feature), values, state word
Clips = Iterable[tuple[int, NDArray, int]]


def write_batch(
    files: Sequence[FeatureFile],
    handle: Handle,
    batch: Iterable[tuple[int, Clips]],
) -> None:
    """Write a worker's clips as they are computed.

    batch  each clip's row in the files, and its values as (place of the feature in
           `files`, values, state)

    RunIsGone if the run that claimed them has ended.
    """
    writing = Writing(handle)
    descriptors = [os.open(file.path, os.O_RDWR) for file in files]
    try:
        for row, clips in batch:
            with writing:
                for feature, values, state in clips:
                    files[feature].write_clip(descriptors[feature], row, values, state)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        writing.close()


def to_stored(values: NDArray, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """The values cast to the stored type by numpy, which takes a tenth of HDF5's time.

    ValueError for another shape, NaN, infinity or overflow.
    """
    if values.shape != shape:
        raise ValueError(f"has shape {values.shape}, expected {shape}")
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise ValueError(f"{counted(int(wrong.sum()), 'value')} NaN or infinite")
    largest = np.abs(values).max(initial=0)
    if largest > np.finfo(dtype).max:
        raise ValueError(f"{largest:g} overflows {dtype}; DTYPE=float32 holds it")
    return np.ascontiguousarray(values, dtype)


@dataclass(frozen=True)
class FinishedClips:
    """The clips of a table that a feature's file already holds; the arrays are (N,)."""

    done: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    """The state word says done, but the values have another CRC."""
    row_of: NDArray[np.intp]
    """The row of a clip in the file, -1 if it has none."""
    file: FeatureFile | None = None
    fits: bool = False
    """The file has exactly these clips, in this order."""
    note: str = ""
    """Why the file cannot be used; '' if it can or there is none."""


def stored_clips(
    folder: Path,
    spec: FeatureSpec,
    clip_ids: NDArray[np.bytes_],
    keys: NDArray[np.uint64],
    check: slice | None = None,
) -> FinishedClips:
    """The state of these clips in the file of `spec`, by id and fingerprint.

    check  clips whose CRC is compared too, unless the file is unchanged since its last
           verification
    """
    none = np.zeros(len(clip_ids), bool)
    nothing = FinishedClips(none, none, np.full(len(clip_ids), -1))
    try:
        file = read_header(folder / f"{spec.stored}.h5")
        row_of = rows_of(clip_ids, file.clip_ids)
    except FileNotFoundError:
        return nothing
    except DamagedFile as damage:
        return replace(nothing, note=damage.reason)
    if file.key != spec.key or (file.rows, file.frames) != (spec.rows, spec.frames):
        what = "other parameters, audio settings, code or type than asked for"
        return replace(nothing, note=f"{file.path.name} was made with {what}")
    checked = none.copy()
    if check:
        checked[check] = not is_verified(file.path)
    status = file.status(row_of, keys, checked)
    return FinishedClips(
        status.done,
        status.damaged,
        row_of,
        file,
        fits=np.array_equal(file.clip_ids, clip_ids),
    )


def written_to(folder: Path, stored: str) -> str:
    """The run that is writing this feature, whose file must not be replaced; '' if
    there is none.
    """
    try:
        probe = lock(folder, stored, create=False)
    except FileNotFoundError:
        return ""
    try:
        if probe.take():
            return ""
    finally:
        probe.release()
    alive = (
        str(claim)
        for _, claim, lives in claims(folder)
        if lives and stored in claim.features
    )
    return next(alive, "another process")


@contextmanager
def ready(
    folder: Path,
    spec: FeatureSpec,
    clip_ids: NDArray[np.bytes_],
    keys: NDArray[np.uint64],
    stored: FinishedClips,
) -> Iterator[FeatureFile]:
    """The feature's file for these clips under a shared lock, made again if `stored`
    does not fit.
    """
    path = folder / f"{spec.stored}.h5"
    own_lock = lock(folder, spec.stored)
    try:
        if not stored.fits:
            own_lock.take(wait=True)
            kept: Clips = ()
            # state words are copied unchanged, so that damage stays visible
            if stored.file:
                values = stored.file.map()
                states = stored.file.map(state=True)
                # also what other runs wrote meanwhile
                done = stored.file.status(stored.row_of, keys).done
                kept = (
                    (row, values[place], int(states[place]))
                    for row, place in enumerate(stored.row_of.tolist())
                    if done[row]
                )
            _make(path, spec, clip_ids, kept)
        own_lock.take(shared=True, wait=True)
        # a killed run left it: drafting needs the exclusive lock
        draft_of(path).unlink(missing_ok=True)
        yield read_header(path.absolute())
    finally:
        own_lock.release()


def install(
    folder: Path,
    spec: FeatureSpec,
    clip_ids: NDArray[np.bytes_],
    clips: Clips,
) -> None:
    """Make the file of a new feature; RequestError if it exists."""
    path = folder / f"{spec.stored}.h5"
    with lock(folder, spec.stored):
        if path.exists():
            raise RequestError(
                f"{folder} has {spec.stored} already; remove {path.name} first"
            )
        _make(path, spec, clip_ids, clips)


def _make(
    path: Path,
    spec: FeatureSpec,
    clip_ids: NDArray[np.bytes_],
    clips: Clips,
) -> None:
    """Draft the file, reserve its space, copy the clips, rename it; the caller holds
    its lock.
    """
    try:
        with replaced(path) as draft:
            write_structure(draft, spec, clip_ids)
            allocate(draft)
            file = read_header(draft, spec.stored)
            with draft.open("r+b", buffering=0) as opened:
                for row, values, state in clips:
                    file.write_clip(opened.fileno(), row, values, state)
    except OSError as error:
        needed = size(len(clip_ids) * spec.clip_bytes)
        if error.errno is None:
            raise RequestError(f"{path} cannot be made, {needed}: {error}") from error
        # replaces HDF5's three lines of detail
        raise OSError(
            error.errno, os.strerror(error.errno), f"{path}, {needed}"
        ) from error
