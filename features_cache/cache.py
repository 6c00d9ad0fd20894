"""A cache folder, opened for reading: its clips, its features by name, clips of them by id.

    cache = Cache(cache_folder("esc50", Path("data")))
    cache.clips                                         the clip table, one row a clip
    cache.read("mel", ["1-100032-A-0"])                 (1, 128, 431)
    cache.read(parse_channel("mfcc:1-19"), rows)        rows of cache.clips instead of ids
    cache["mel"].row_axis                               Hz of each row

What is never returned, and why no lock is needed, stands in reader.py.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError
from features_cache.fingerprint import clip_keys
from features_cache.index import feature_files, read_index, read_settings, stored_ids
from features_cache.layout import read_header
from features_cache.location import INDEX, remedy
from features_cache.names import Channel, parse_channel
from features_cache.reader import StoredFeature, or_request
from features_cache.table import CLIP_COLUMNS

Ids = Sequence[str] | NDArray[np.integer]


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
        return or_request(read_settings, self.folder)

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

    def __getitem__(self, channel: Channel | str) -> StoredFeature:
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
        return or_request(read_index, self.folder)[0]

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as they stand in a file."""
        return stored_ids(self._table)

    @cached_property
    def _rows_by_id(self) -> pd.Index:
        return pd.Index(self._table["clip_id"])

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
        return remedy(self.folder, self.settings, stored)

    def _find(self, channel: Channel) -> str | None:
        """The file that holds this channel: by name, else one whose parameters include the channel's."""
        if channel.stored in self.features:
            return channel.stored
        asked = dict(channel.parameters).items()
        for other in map(parse_channel, self.features):
            if other.name == channel.name and dict(other.parameters).items() <= asked:
                header = or_request(read_header, self.folder / f"{other.stored}.h5")
                if asked <= json.loads(header.attributes["parameters"]).items():
                    return other.stored
        return None


def _channel(channel: Channel | str) -> Channel:
    return parse_channel(channel) if isinstance(channel, str) else channel
