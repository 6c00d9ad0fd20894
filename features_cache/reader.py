"""Reading a cache: memory maps, clips matched by id, each clip's CRC checked when it is first touched.

    cache = Cache(cache_folder("esc50", Path("data")))
    cache.clips                                         the clip table, one row a clip
    cache.read("mel", ["1-100032-A-0"])                 (1, 128, 431)
    cache.read(parse_channel("mfcc:1-19"), rows)        rows of cache.clips instead of ids
    cache["mel"].row_axis                               Hz of each row

A reader takes no lock and makes no HDF5 call for a batch. What is missing, damaged or made from something
else than the index says is never returned: `readable` leaves it out and `read` raises UnreadableClips.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import DataOptions, RequestError, make_command
from features_cache.checks import CRC, FINGERPRINT, rows_of, states_of
from features_cache.fingerprint import AUDIO_SETTINGS, clip_keys, feature_key, fingerprints
from features_cache.index import feature_files, read_index, read_settings
from features_cache.layout import DamagedFile, FeatureFile, encoded, read_header
from features_cache.location import BROUGHT, INDEX, dataset_name
from features_cache.names import Channel, parse_channel
from features_cache.table import CLIP_COLUMNS

Ids = Sequence[str] | NDArray[np.integer]


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


class Cache:
    """A cache folder, opened for reading; lazy, picklable, safe under fork and spawn."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / INDEX).is_file():
            raise RequestError(
                f"no feature cache in {self.folder}: expected {INDEX} there; make features DATASET=… makes it"
            )
        self._open: dict[str, StoredFeature] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, (self.folder,)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """dataset, source, synthetic (0 or 1), sample_rate, samples."""
        return _or_request(read_settings, self.folder)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The clip table: one row a clip, columns CLIP_COLUMNS."""
        return self._table[list(CLIP_COLUMNS)]

    @property
    def features(self) -> list[str]:
        """Stored names of the feature files that are there."""
        return [path.stem for path in feature_files(self.folder)]

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return int(self.settings["sample_rate"])

    @property
    def duration(self) -> float:
        """Seconds of a clip."""
        return self.settings["samples"] / self.settings["sample_rate"] if self.sample_rate else 0.0

    @property
    def synthetic(self) -> bool:
        """Whether the clips were made by this project."""
        return bool(self.settings["synthetic"])

    def __contains__(self, channel: Channel | str) -> bool:
        return self._find(_channel(channel)) is not None

    def __getitem__(self, channel: Channel | str) -> "StoredFeature":
        """The feature behind a name or channel; its range of rows is not applied here."""
        channel = _channel(channel)
        if channel.stored not in self._open:
            stored = self._find(channel)
            if stored is None:
                raise RequestError(self._lacking(channel))
            self._open[channel.stored] = StoredFeature(self, stored)
        return self._open[channel.stored]

    def read(self, channel: Channel | str, ids: Ids) -> NDArray[Any]:
        """(B, rows, frames) of these clips, by id or by row of `clips`, in the stored dtype.

        UnreadableClips names those that are missing or damaged.
        """
        channel = _channel(channel)
        return self[channel].read(self.positions(ids), channel.rows)

    def batch(self, channels: Sequence[Channel | str], ids: Ids) -> list[NDArray[Any]]:
        """`read` of several channels for the same clips."""
        positions = self.positions(ids)
        return [self.read(channel, positions) for channel in channels]

    def readable(self, channels: Sequence[Channel | str]) -> NDArray[np.bool_]:
        """(N,) whether a clip is done in all of these; damage shows only when a clip is read."""
        mask = np.ones(len(self.clips), bool)
        for channel in channels:
            mask &= self[channel].done()
        return mask

    def positions(self, ids: Ids) -> NDArray[np.intp]:
        """Rows of `clips` for ids, or what is given where they are rows already."""
        given = np.asarray(ids)
        if given.dtype.kind in "iu":
            return given.astype(np.intp, copy=False)
        rows = self._rows_by_id.get_indexer(pd.Index(given.astype(str)))
        if (rows < 0).any():
            unknown = [str(one) for one in given[rows < 0][:5]]
            raise RequestError(f"the cache {self.folder} has no clips {', '.join(unknown)}")
        return rows

    @cached_property
    def _table(self) -> pd.DataFrame:
        return _or_request(read_index, self.folder)[0]

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as they stand in a file."""
        return encoded(self._table["clip_id"].tolist())

    @cached_property
    def _rows_by_id(self) -> pd.Index:
        return pd.Index(self._table["clip_id"].to_numpy().astype(str))

    def keys(self, positions: NDArray[np.intp]) -> NDArray[np.uint64]:
        """Of which these clips' fingerprints are made; each computed once."""
        new = positions[self._keys[positions] == 0]
        if len(new):
            self._keys[new] = clip_keys(self._table.iloc[new])
        return self._keys[positions]

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        return np.zeros(len(self._table), np.uint64)

    def _lacking(self, channel: Channel) -> str:
        beside = [name for name in self.features if parse_channel(name).name == channel.name]
        has = f" (it has {', '.join(beside)})" if beside else ""
        return f"the cache {self.folder} lacks {channel.stored}{has}: {self.remedy(channel.stored)}"

    def remedy(self, stored: str) -> str:
        """What to type for features that are missing or out of date, separated by blanks."""
        source, name, data = self.settings["source"], self.settings["dataset"], self.folder.parent.parent
        if source == BROUGHT:
            return "it has no audio; features_cache.bring.create_feature brings a feature"
        given = [f"DATASET={source}", f"FEATURES={stored}"]
        given += [f"NAME={name}"] if dataset_name(source) != name else []
        given += [f"DATA={data}"] if data != DataOptions.data else []
        return f"run {make_command('features', *given)}"

    def _find(self, channel: Channel) -> str | None:
        """The file that holds this channel: by name, else one whose parameters include the channel's."""
        features = self.features
        if channel.stored in features:
            return channel.stored
        asked = dict(channel.parameters)
        for name in features:
            other = parse_channel(name)
            if other.name == channel.name and dict(other.parameters).items() <= asked.items():
                parameters = json.loads(
                    _or_request(read_header, self.folder / f"{name}.h5").attributes["parameters"]
                )
                if asked.items() <= parameters.items():
                    return name
        return None


class StoredFeature:
    """One feature of an opened cache."""

    def __init__(self, cache: Cache, stored: str) -> None:
        self.cache, self.stored = cache, stored
        self.file: FeatureFile = _or_request(read_header, cache.folder / f"{stored}.h5")
        made, now = (
            [told.get(name) for name in AUDIO_SETTINGS] for told in (self.file.attributes, cache.settings)
        )
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
        return _or_request(lambda file: file.row_axis, self.file)

    @property
    def frame_axis(self) -> NDArray[np.float64]:
        """(frames,) in `attributes["frame_unit"]`."""
        return _or_request(lambda file: file.frame_axis, self.file)

    def done(self, ids: Ids | None = None) -> NDArray[np.bool_]:
        """Whether the state words say that these clips (all by default) hold what the index describes."""
        chosen = np.arange(len(self.cache.clips)) if ids is None else self.cache.positions(ids)
        return states_of(self._states, self.row_of[chosen]) >> FINGERPRINT == self._expected(chosen)

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
        expected, reasons = self._expected(positions), {}
        for position, fingerprint in zip(positions.tolist(), expected, strict=True):
            state, reason = self._examine(int(self.row_of[position]), fingerprint)
            if reason:
                reasons[str(self.cache.clips["clip_id"].iloc[position])] = reason
            self._trusted[position] = state
        if reasons:
            raise UnreadableClips(self.stored, reasons)

    def _examine(self, row: int, fingerprint: np.uint64) -> tuple[np.uint64, str]:
        """(state word to trust or 0, reason)."""
        state = self._states[row] if row >= 0 else np.uint64(0)
        if state == 0:
            return np.uint64(0), "not done"
        if state >> FINGERPRINT != fingerprint:
            return np.uint64(0), "made from other audio or parameters"
        if zlib.crc32(self._values[row].data) != state & CRC:
            return np.uint64(0), "damaged"
        return state, ""

    def _expected(self, positions: NDArray[np.intp]) -> NDArray[np.uint64]:
        return fingerprints(self.cache.keys(positions), self._key)

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
        return _or_request(lambda file: rows_of(file, self.cache.ids), self.file)


def _channel(channel: Channel | str) -> Channel:
    return parse_channel(channel) if isinstance(channel, str) else channel


def _or_request(read: Any, what: Any) -> Any:
    """A damaged file is told as a request that cannot be met, with the way out."""
    try:
        return read(what)
    except DamagedFile as damage:
        raise RequestError(f"{damage}; make features makes it again") from damage
