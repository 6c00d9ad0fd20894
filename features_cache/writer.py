"""Write to a cache: compare an extraction with its files, and make what they lack.

The order of writing, and why a kill between any two steps is harmless:

1. An extraction is admitted: its reservation lies in `locks/` before it touches
   anything (reservations.py).
2. Under the feature's exclusive lock the run drafts a file under another name, reserves
   its disk space, copies the clips that are still up to date, synchronises and renames
   it. A kill before the rename leaves a draft that the next run overwrites.
3. index.h5 is replaced in the same way, after the files that it links to
   (index_file.py). Until then the old labels hold, and rows are found by clip id.
4. Workers write each clip at its own place: 0 as state word, the values, the final
   state word (hdf5.py). After a kill in between the clip counts as not done.
5. failures.csv is replaced, under the lock of index.h5.
6. At the end all files are synchronised and the reservation is removed
   (reservations.py).

After step 2 nobody writes through HDF5: no kill leaves a structure half-written.

    with cache_writer(extraction, describe) as (work, files, reservation):    # 1 to 3
        write_batch(files, reservation, batch)    # 4, in workers
        note_results(extraction, work, failures)    # 5
"""

import functools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray

from featurestack.base.errors import DamagedFile, OutdatedFeature, RequestError
from featurestack.base.files import Lock, is_held, named_errors, remove_drafts, replaced
from featurestack.base.quantities import counted, size
from featurestack.base.terminal import tell
from featurestack.features_cache import hdf5, index_file
from featurestack.features_cache.clip_table import rows_of
from featurestack.features_cache.datasets import INDEX
from featurestack.features_cache.identity import Identity, of_cache
from featurestack.features_cache.reservations import (
    ExtractionIsGone,
    Reservation,
    reservations,
    reserved,
)

RESERVE = 5e6  # bytes of the disk that stay free, for the index and the file system
# row in the file (or place of the feature), values, state word
Clips = Iterable[tuple[int, NDArray, int]]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The clips and features that a run shall have in a cache."""

    folder: Path  # the run writes here
    read_only: bool  # whether the cache is used as it is
    clips: pd.DataFrame  # N rows, columns of the index
    settings: Mapping[str, str | int]  # attributes of the index
    stored: tuple[hdf5.CachedFeature, ...]  # F, as their files should be
    part: slice  # rows of this run, whose audio files were looked at
    # stored name of a feature whose file holds values of other parameters -> their name
    former: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """(F,) stored names of the features."""
        return [feature.stored for feature in self.stored]

    @property
    def files(self) -> list[Path]:
        """(F,) the features' files, whether or not they exist."""
        return [feature.path for feature in self.stored]

    @property
    def identity(self) -> Identity:
        return of_cache(self.folder, self.clips, self.settings)

    @property
    def is_whole(self) -> bool:
        return self.part == slice(0, len(self.clips))

    @functools.cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return hdf5.as_stored(self.clips["clip_id"].to_numpy())

    @functools.cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) clip keys; a fingerprint combines a clip's key with a feature's."""
        return hdf5.clip_keys(self.clips)


@dataclass(frozen=True)
class ToCompute:
    """The feature maps of N clips and F features that the cache lacks."""

    todo: NDArray[np.bool_]  # (N, F), False outside the part
    sizes: dict[str, int]  # stored name -> bytes, for files that have to be made
    notes: list[str]  # lines on files that are made again and on damaged feature maps

    @functools.cached_property
    def clips(self) -> NDArray[np.intp]:
        """Rows of the clips that lack a feature."""
        return np.flatnonzero(self.todo.any(axis=1))


def to_compute(extraction: Extraction) -> ToCompute:
    """Compare every feature of an extraction with its file."""
    # a CRC releases the interpreter's lock
    with ThreadPoolExecutor(min(8, cpu_count())) as threads:
        compare = functools.partial(_compare_file, extraction)
        compared = list(threads.map(compare, extraction.stored))
    todo = ~np.stack([done for done, _, _ in compared], axis=1)
    todo[: extraction.part.start] = todo[extraction.part.stop :] = False
    sizes = {
        feature.stored: len(todo) * feature.clip_bytes
        for feature, (_, fits, _) in zip(extraction.stored, compared)
        if not fits
    }
    return ToCompute(todo, sizes, [note for *_, notes in compared for note in notes])


def _compare_file(
    extraction: Extraction, feature: hdf5.CachedFeature
) -> tuple[NDArray[np.bool_], bool, list[str]]:
    """(N,) whether the file of `feature` holds each clip; whether the file has exactly
    these clips, in this order; notes. CRCs of the part are compared unless the file is
    verified.
    """
    done = np.zeros(len(extraction.ids), bool)
    try:
        file, row_of = _open_file(extraction, feature)
    except FileNotFoundError:
        return done, False, []
    except DamagedFile as damage:
        return done, False, [f"made again: {damage.reason}"]
    except OutdatedFeature as other:
        former = extraction.former.get(feature.stored)
        kept = f"; its values stay, as {former}" if former else ""
        return done, False, [f"made again: {other}{kept}"]
    checked = done.copy()
    checked[extraction.part] = not index_file.is_verified(file.path)
    status = file.status(row_of, extraction.keys, checked)
    done = status.done
    if extraction.read_only:  # clips that failed are not computed again
        done = done | index_file.has_failed(
            extraction.folder, extraction.clips, [feature.stored]
        )
    fits = np.array_equal(file.clip_ids, extraction.ids)
    notes = []
    if count := int(status.damaged.sum()):
        maps = counted(count, "damaged feature map")
        notes.append(f"computed again: {maps} of {feature.stored}")
    if file.path.is_symlink() and not done[extraction.part].all():
        fits = False
        notes.append(
            f"made again: {file.path.name} is a link, whose file stays as it is"
        )
    return done, fits, notes


def _open_file(
    extraction: Extraction, feature: hdf5.CachedFeature
) -> tuple[hdf5.CachedFeature, NDArray[np.intp]]:
    """The feature's file, and (N,) the row of each clip in it, -1 for none;
    FileNotFoundError, DamagedFile, or OutdatedFeature if it was made in another way.
    """
    file = hdf5.read_header(feature.path)
    shape = feature.rows, feature.frames
    if file.key != feature.key or (file.rows, file.frames) != shape:
        what = hdf5.difference(file.facts, feature.facts) or "frames of another length"
        raise OutdatedFeature(f"{file.path.name} was made with {what}")
    return file, rows_of(extraction.ids, file.clip_ids)


def nothing_to_compute(extraction: Extraction) -> ToCompute | None:
    """An empty ToCompute if the extraction has no work and needs no lock, else None."""
    if not extraction.read_only:
        _, current = index_file.updated(
            extraction.folder, extraction.clips, extraction.settings, extraction.part
        )
        if not current or reservations(extraction.folder):
            return None
    work = to_compute(extraction)
    if len(work.clips) or work.sizes:
        return None
    if extraction.is_whole and not all(map(index_file.is_verified, extraction.files)):
        with suppress(PermissionError, RequestError):
            index_file.note_verified(extraction.folder, extraction.names)
    return work


def write_batch(
    files: Sequence[hdf5.CachedFeature],
    reservation: Reservation,
    batch: Iterable[tuple[int, Clips]],
) -> None:
    """Write a worker's clips as they are computed; ExtractionIsGone if their run has
    ended.

    batch  (row in the files, its (place of the feature in `files`, values, state))
    """
    with ExitStack() as opened:
        try:
            run = Lock(reservation.marker, create=False)
            opened.callback(run.release)
            writing = Lock(reservation.writing, create=False)
            opened.callback(writing.release)
        except FileNotFoundError:  # also on a machine that does not see the cache
            raise ExtractionIsGone from None
        descriptors = []
        for file in files:
            descriptors.append(os.open(file.path, os.O_RDWR))
            opened.callback(os.close, descriptors[-1])
        for row, clips in batch:
            writing.take(shared=True, wait=True)
            # granted only if the run is gone
            gone = run.take(shared=True) or not reservation.marker.exists()
            if reservation.locked and gone:
                raise ExtractionIsGone
            for feature, values, state in clips:
                files[feature].write_clip(descriptors[feature], row, values, state)
            writing.drop()


@contextmanager
def cache_writer(
    extraction: Extraction, describe: Callable[[ToCompute], None]
) -> Iterator[tuple[ToCompute, list[hdf5.CachedFeature], Reservation]]:
    """Admit a run to a cache, once no other run writes the same clips or files, and
    make the files that the cache lacks; RequestError if the disk has no space.
    `describe` is called before anything is made.

    Yields what is to be computed, the files (F,) under shared locks, and the
    extraction's reservation.
    """
    names = INDEX, *index_file.HEADERS, *(file.name for file in extraction.files)
    ours = None if extraction.read_only else extraction.identity
    index_file.register_names(extraction.folder, *names, ours=ours)
    rows = extraction.part.start, extraction.part.stop
    with (
        reserved(extraction.folder, extraction.names, rows) as reservation,
        ExitStack() as locks,
    ):
        with _to_compute_under_lock(extraction) as work:
            needed = sum(work.sizes.values())
            needed += sum(work.sizes.get(name, 0) for name in extraction.former)
            free = shutil.disk_usage(extraction.folder).free
            if needed and needed + RESERVE > free:
                raise RequestError(
                    f"the features need {size(needed + RESERVE)} in"
                    f" {extraction.folder},"
                    f" where {size(free)} are free; fewer FEATURES= need less, DATA="
                    " names another disk"
                )
            describe(work)
            files = []
            for feature in extraction.stored:
                ready = _locked_file(extraction, feature, feature.stored in work.sizes)
                files.append(locks.enter_context(ready))
            index_file.refresh(
                extraction.folder,
                extraction.clips,
                extraction.settings,
                extraction.part,
            )
        for file, todo in zip(files, work.todo.T):  # they may hold damaged clips
            rows_todo = np.flatnonzero(todo)
            file.forget(rows_todo[file.map(state=True)[rows_todo] != 0])
        yield work, files, reservation
        if extraction.is_whole:
            index_file.note_verified(extraction.folder, extraction.names)


def note_results(
    extraction: Extraction,
    work: ToCompute,
    failures: Sequence[tuple[int, str, str]],
) -> None:
    """Note failures, (row, feature or WHOLE, reason), and remove the files in which
    every clip failed. A clip that has other features is noted as failed only in those
    that it lacks.
    """
    tried, names = work.clips, extraction.names
    whole = [row for row, feature, _ in failures if feature == index_file.WHOLE]
    computed = _computed_clips(extraction.folder) if whole else set()
    partly = {row for row in whole if extraction.ids[row] in computed}
    noted = []
    for row, feature, reason in failures:
        of_row = [feature]
        if row in partly and feature == index_file.WHOLE:
            of_row = [names[column] for column in np.flatnonzero(work.todo[row])]
        noted += [(row, name, reason) for name in of_row]
    index_file.write_failures(
        extraction.folder, extraction.clips, tried, names, sorted(noted)
    )
    if failures and extraction.is_whole:
        for file in extraction.files:
            if not hdf5.read_header(file).map(state=True).any():
                file.unlink()
        index_file.refresh(
            extraction.folder, extraction.clips, extraction.settings, extraction.part
        )


def _computed_clips(folder: Path) -> set[bytes]:
    """Ids of the clips that have a feature, as stored in the files."""
    ids = set[bytes]()
    for name in index_file.feature_names(folder):
        with suppress(DamagedFile):
            file = hdf5.read_header(folder / f"{name}.h5")
            ids.update(file.clip_ids[file.map(state=True)[:] != 0])
    return ids


@contextmanager
def _to_compute_under_lock(extraction: Extraction) -> Iterator[ToCompute]:
    """What is to be computed, under the lock for creating files."""
    folder = extraction.folder
    while True:
        with hdf5.lock(folder, "preparing"):
            work = to_compute(extraction)
            locks = {name: folder / hdf5.LOCKS / f"{name}.lock" for name in work.sizes}
            busy = [
                name for name, file in locks.items() if file.exists() and is_held(file)
            ]
            if not busy:
                yield work
                return
        tell(
            f"waiting: {busy[0]}.h5 has to be made again for these clips, and another"
            " run is writing to it"
        )
        with hdf5.lock(folder, busy[0]):
            pass  # granted when no run writes to the file


@contextmanager
def _locked_file(
    extraction: Extraction, feature: hdf5.CachedFeature, anew: bool
) -> Iterator[hdf5.CachedFeature]:
    """The feature's file under a shared lock; `anew` makes the file first."""
    file_lock = hdf5.lock(extraction.folder, feature.stored)
    try:
        if anew:
            file_lock.take(wait=True)
            _keep_former(extraction, feature)
            _make(feature, extraction.ids, _finished_clips(extraction, feature))
        file_lock.take(shared=True, wait=True)
        # a killed run left them: drafting needs the exclusive lock
        remove_drafts(feature.path, locked=True)
        yield hdf5.read_header(feature.path.absolute())
    finally:
        file_lock.release()


def _keep_former(extraction: Extraction, feature: hdf5.CachedFeature) -> None:
    """Copy the values of other parameters that a feature's file holds to a file of
    their own name, which has the same fingerprints.
    """
    name = extraction.former.get(feature.stored)
    if not name or (path := feature.path.with_name(f"{name}.h5")).exists():
        return
    with suppress(FileNotFoundError, DamagedFile):
        held = hdf5.read_header(feature.path)
        values, states = held.map(), held.map(state=True)
        rows = np.flatnonzero(states).tolist()
        clips = ((row, values[row], int(states[row])) for row in rows)
        index_file.register_names(extraction.folder, path.name)
        _make(replace(held, path=path, stored=name), held.clip_ids, clips)


def _finished_clips(extraction: Extraction, feature: hdf5.CachedFeature) -> Clips:
    """The finished clips of a file that is made again, copied without a check of their
    CRCs, so that damage stays visible.
    """
    try:
        file, row_of = _open_file(extraction, feature)
    except (FileNotFoundError, DamagedFile, OutdatedFeature):
        return
    values = file.map()
    status = file.status(row_of, extraction.keys)
    for row in np.flatnonzero(status.done).tolist():
        yield row, values[row_of[row]], int(status.states[row])


def install(
    feature: hdf5.CachedFeature, clip_ids: NDArray[np.bytes_], clips: Clips
) -> None:
    """Make the file of a new feature; RequestError if it exists."""
    path, folder = feature.path, feature.path.parent
    with hdf5.lock(folder, feature.stored):
        if path.exists():
            raise RequestError(
                f"{folder} has {feature.stored} already; remove {path.name} first"
            )
        index_file.register_names(folder, path.name)
        _make(feature, clip_ids, clips)


def _make(
    feature: hdf5.CachedFeature, clip_ids: NDArray[np.bytes_], clips: Clips
) -> None:
    """Draft the file, reserve its space, copy the clips, rename it; under its lock."""
    path = feature.path
    place = f"{path}, {len(clip_ids) * feature.clip_bytes / 1e6:g} MB"
    try:
        with named_errors(place), replaced(path) as draft:
            hdf5.write_structure(draft, feature, clip_ids)
            hdf5.reserve_space(draft)
            file = hdf5.read_header(draft, feature.stored)
            with draft.open("r+b", buffering=0) as opened:
                for row, values, state in clips:
                    file.write_clip(opened.fileno(), row, values, state)
    except OSError as error:
        if error.errno is None:
            raise RequestError(f"{place}: cannot be made, {error}") from error
        raise
