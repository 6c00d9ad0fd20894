"""Reading one feature: a memory map, clips matched by id, each clip's CRC checked when it is first touched.

A reader takes no lock and makes no HDF5 call for a batch. What is missing, damaged or made from something
else than the index says is never returned: `done` leaves it out and `read` raises UnreadableClips. It needs
no lock because it asks the state word again after it has taken the values: a clip that was written meanwhile
has another word, or 0, and is checked anew.
"""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from commandline import RequestError
from features_cache.fingerprint import AUDIO_SETTINGS, feature_key, fingerprints
from features_cache.hdf5 import DamagedFile
from features_cache.layout import read_header
from features_cache.state import FINGERPRINT, intact, states_at

if TYPE_CHECKING:
    from features_cache.cache import Cache, Ids

Of = TypeVar("Of")
Told = TypeVar("Told")


class UnreadableClips(Exception):
    """Clips that were asked for and cannot be given: {clip_id: reason}."""

    def __init__(self, feature: str, reasons: Mapping[str, str]) -> None:
        self.feature, self.reasons = feature, dict(reasons)
        first = "; ".join(f"{clip}: {reason}" for clip, reason in list(self.reasons.items())[:3])
        super().__init__(
            f"{len(self.reasons)} clips of {feature} cannot be read ({first}); "
            "make features computes them again"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return UnreadableClips, (self.feature, self.reasons)


def or_request(read: Callable[[Of], Told], what: Of) -> Told:
    """A damaged file is told as a request that cannot be met, with the way out."""
    try:
        return read(what)
    except DamagedFile as damage:
        raise RequestError(f"{damage}; make features makes it again") from damage


class StoredFeature:
    """One feature of an opened cache."""

    def __init__(self, cache: "Cache", stored: str) -> None:
        self.cache, self.stored = cache, stored
        self.file = or_request(read_header, cache.folder / f"{stored}.h5")
        tellers = self.file.attributes, cache.settings
        made, now = ([told.get(name) for name in AUDIO_SETTINGS] for told in tellers)
        if made != now:
            raise RequestError(
                f"{stored} was made from {made[1]} samples at {made[0]} Hz, the clips of this cache now have "
                f"{now[1]} at {now[0]} Hz: {cache.remedy(stored)}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredFeature, (self.cache, self.stored)

    @property
    def rows(self) -> int:
        """Rows of a clip's map."""
        return self.file.shape[1]

    @property
    def frames(self) -> int:
        """Frames of a clip's map."""
        return self.file.shape[2]

    @property
    def dtype(self) -> np.dtype:
        """Of the stored values."""
        return self.file.dtype

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of itself; `parameters` as a dictionary."""
        return self.file.attributes | {"parameters": json.loads(self.file.attributes["parameters"])}

    @property
    def row_axis(self) -> NDArray[np.float64]:
        """(rows,) in `attributes["row_unit"]`."""
        return or_request(lambda file: file.row_axis, self.file)

    @property
    def frame_axis(self) -> NDArray[np.float64]:
        """(frames,) in `attributes["frame_unit"]`."""
        return or_request(lambda file: file.frame_axis, self.file)

    def done(self, ids: "Ids | None" = None) -> NDArray[np.bool_]:
        """Whether the state words say that these clips (all by default) hold what the index describes."""
        positions = np.arange(len(self.cache.clips)) if ids is None else self.cache.positions(ids)
        return self._standing(positions)[1]

    def read(self, positions: NDArray[np.intp], rows: tuple[int, int] | None = None) -> NDArray[Any]:
        """(B, rows, frames) of clips by their row in the clip table; `rows` first to last, both included."""
        if rows is not None and rows[1] >= self.rows:
            raise RequestError(f"{self.stored}:{rows[0]}-{rows[1]}: it has rows 0 to {self.rows - 1}")
        stored, trusted = self.row_of[positions], self._trusted[positions]
        taken = self._values[stored] if rows is None else self._values[stored, rows[0] : rows[1] + 1]
        doubtful = (trusted == 0) | (trusted != self._states[stored])  # new, or written while we were reading
        if doubtful.any():
            self._check(positions[doubtful])
            return self.read(positions, rows)
        return taken

    def _check(self, positions: NDArray[np.intp]) -> None:
        """Trust these clips from now on, or say which cannot be."""
        states, done = self._standing(positions)
        sound = done.copy()
        sound[done] = intact(self._values, self.row_of[positions[done]], states[done])
        self._trusted[positions] = np.where(sound, states, 0)
        if not sound.all():
            other = "made from other audio or parameters"
            reasons = np.select([states == 0, ~done], ["not done", other], "damaged")[~sound]
            ids = self.cache.clips["clip_id"].iloc[positions[~sound]]
            raise UnreadableClips(self.stored, dict(zip(ids, reasons.tolist())))

    def _standing(self, positions: NDArray[np.intp]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """State words, 0 where a clip has no row, and whether they speak of what the index describes."""
        states = states_at(self._states, self.row_of[positions])
        return states, states >> FINGERPRINT == fingerprints(self.cache.keys(positions), self._key)

    @cached_property
    def _key(self) -> np.uint64:
        return feature_key(self.file.attributes, self.cache.settings)

    @cached_property
    def _values(self) -> NDArray[Any]:
        return self.file.map()

    @cached_property
    def _states(self) -> NDArray[np.uint64]:
        return self.file.map(state=True)

    @cached_property
    def _trusted(self) -> NDArray[np.uint64]:
        """(N,) the state word under which a clip was checked, 0 before."""
        return np.zeros(len(self.cache.clips), np.uint64)

    @cached_property
    def row_of(self) -> NDArray[np.intp]:
        """(N,) where a clip of the table lies in this file, -1 where it does not."""
        return or_request(self.file.rows_of, self.cache.ids)
