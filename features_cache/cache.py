"""From `DATASET` to its cache folder, by the one rule of every stage; and that folder, opened for reading.

    cache = Cache(cache_folder("esc50", Path("data")))
    cache.clips                                         the clip table, one row a clip
    cache.read("mel", ["1-100032-A-0"])                 (1, 128, 431)
    cache.read(parse_channel("mfcc:1-19"), rows)        rows of cache.clips instead of ids
    cache["mel"].row_axis                               Hz of each row

Values are read through a memory map: no HDF5 call and no lock for a batch. Clips are matched by id, and each
clip's CRC is checked when it is first read. What is missing, damaged or made from something else than the
index says is never returned: `done` leaves it out and `read` raises UnreadableClips. No lock is needed
because the state word is compared again after the values were taken: a clip that was written meanwhile has
another word, or 0, and is checked anew.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.options import DataOptions, make_command
from commandline.registry import RequestError, closest, nearest
from commandline.terminal import counted
from features_cache.index import INDEX, feature_files, read_costs, read_index, read_settings, stored_ids
from features_cache.layout import (
    AUDIO_SETTINGS,
    ClipStatus,
    FeatureFile,
    clip_keys,
    clip_status,
    feature_key,
    fingerprints,
    read_header,
)
from features_cache.names import Channel, parse_channel
from features_cache.table import CLIP_COLUMNS

EXTERNAL = "brought"  # recorded as the source of a cache that was made without audio
TABLES = (".csv", ".tsv", ".txt")
PATH_CUTOFF = 0.7  # similarity of a folder's name, which may be any: less is a coincidence
NAMED = ("esc50", "esc10", "synth")
# Caches of before call differences of levels, and their cosine transform, dB as well.
FORMER_UNITS = {
    "contrast": "dB, difference",
    "onset": "dB/frame",
    "fourier_tempogram": "dB/frame",
    "mfcc": "dB, cepstrum",
}

Ids = Sequence[str] | NDArray[np.integer]


def is_cache(folder: Path) -> bool:
    """Whether a folder is itself a feature cache."""
    return (folder / INDEX).is_file()


def dataset_name(dataset: str, name: str | None = None) -> str:
    """`name`, else the dataset's own, else the stem of the folder or file that it is given by.

    A cache folder that is called `features` has the name of the folder around it.
    """
    if name:
        if Path(name).name != name or name.startswith("."):
            raise RequestError(f"NAME={name!r} becomes a folder's name: expected a word without slashes")
        return name
    if dataset in NAMED:
        return dataset
    path = Path.cwd() / dataset
    if path.name in ("", ".."):
        path = path.resolve()  # a link is called by its own name, `.` and `..` by what they stand for
    if path.is_dir():
        return path.parent.name if is_cache(path) and path.name == "features" else path.name
    return path.stem


def nearest_path(path: Path) -> Path | None:
    """The path with its first part that is not there spelt as the most similar folder or table beside it."""
    missing = next((part for part in (*reversed(path.parents), path) if not part.exists()), path)
    try:
        beside = [one.name for one in missing.parent.iterdir() if one.is_dir() or one.suffix in TABLES]
    except OSError:
        return None
    meant = closest(missing.name, (name for name in beside if not name.startswith(".")), PATH_CUTOFF)
    return missing.with_name(meant) / path.relative_to(missing) if meant else None


def refuse_unknown(dataset: str, data: Path, name: str | None = None) -> None:
    """RequestError, with the nearest, for a dataset that is neither a named one, a path nor cached."""
    cached = {path.parent.parent.name for path in Path(data).glob(f"*/features/{INDEX}")}
    if dataset not in NAMED and dataset_name(dataset, name) not in cached and not Path(dataset).exists():
        _refuse_dataset(dataset, {*NAMED, *cached})


def _refuse_dataset(dataset: str, known: set[str]) -> NoReturn:
    path = nearest_path(Path(dataset))
    raise RequestError(nearest("dataset", dataset, {*known, *([str(path)] if path else [])}, known))


def cache_folder(dataset: str, data: Path, name: str | None = None) -> Path:
    """Where the dataset's features lie: the dataset itself where it is a cache, else data/<name>/features."""
    if dataset not in NAMED and is_cache(Path(dataset)):
        return Path(dataset)
    return Path(data) / dataset_name(dataset, name) / "features"


def remedy(folder: Path, settings: Mapping[str, Any], features: str, *more: str) -> str:
    """What to type, with the words `more`, for features that the cache of this folder and settings lacks."""
    source, name, data = settings["source"], settings["dataset"], folder.parent.parent
    if source == EXTERNAL:
        return "it has no audio; features_cache.external.write_feature adds a feature"
    given = [f"DATASET={source}", f"FEATURES={features}"]
    given += [f"NAME={name}"] if dataset_name(source) != name else []
    given += [f"DATA={data}"] if data != DataOptions.data else []
    return f"run {make_command('features', *given, *more)}"


ALIKE = 0.8  # of a name's letters: fewer in common are those of another feature, not a slip


class UnreadableClips(RequestError):
    """Clips that were asked for and cannot be given: {clip_id: reason}."""

    def __init__(self, feature: str, reasons: Mapping[str, str]) -> None:
        self.feature, self.reasons = feature, dict(reasons)
        first = "; ".join(f"{clip}: {reason}" for clip, reason in list(self.reasons.items())[:3])
        super().__init__(
            f"{counted(len(self.reasons), 'clip')} of {feature} cannot be read ({first}); "
            "make features computes them again"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return UnreadableClips, (self.feature, self.reasons)


class StoredFeature:
    """One feature of an opened cache: `cache["mel"]`."""

    def __init__(self, cache: "Cache", file: FeatureFile) -> None:
        self.cache, self.stored, self.file = cache, file.path.stem, file

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache.__getitem__, (self.cache, self.stored)

    @property
    def rows(self) -> int:
        """Rows of a clip's feature map."""
        return self.file.shape[1]

    @property
    def frames(self) -> int:
        """Frames of a clip's feature map."""
        return self.file.shape[2]

    @property
    def dtype(self) -> np.dtype:
        """Of the stored values."""
        return self.file.dtype

    @property
    def units(self) -> str:
        """Of the stored values: "dB" is a level, "dB/frame" and the like are none."""
        units, feature = str(self.file.attributes["units"]), self.file.attributes["feature"]
        return FORMER_UNITS.get(feature, units) if units == "dB" else units

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of itself; `parameters` as a dictionary."""
        return self.file.attributes | {"parameters": json.loads(self.file.attributes["parameters"])}

    @property
    def row_axis(self) -> NDArray[np.float64]:
        """(rows,) in `attributes["row_unit"]`."""
        return self.file.row_axis

    @property
    def frame_axis(self) -> NDArray[np.float64]:
        """(frames,) in `attributes["frame_unit"]`."""
        return self.file.frame_axis

    def done(self, ids: Ids | None = None) -> NDArray[np.bool_]:
        """Whether the state words say that these clips (all by default) hold what the index describes."""
        positions = np.arange(len(self.cache.clips)) if ids is None else self.cache.positions(ids)
        return self._status(positions).done

    def read(self, positions: NDArray[np.intp], rows: tuple[int, int] | None = None) -> NDArray[Any]:
        """(B, rows, frames) of clips by their row in the clip table; `rows` first to last, both included.

        UnreadableClips names those that are missing or damaged, and why.
        """
        if rows is not None and rows[1] >= self.rows:
            raise RequestError(f"{self.stored}:{rows[0]}-{rows[1]}: it has rows 0 to {self.rows - 1}")
        stored = self.row_of[positions]
        while True:
            checked = self._checked[positions]
            taken = self._values[stored] if rows is None else self._values[stored, rows[0] : rows[1] + 1]
            unchecked = (checked == 0) | (checked != self._states[stored])  # new, or written meanwhile
            if not unchecked.any():
                return taken
            doubtful = positions[unchecked]
            status = self._status(doubtful, self._values)
            self._checked[doubtful] = np.where(status.done, status.states, 0)
            if not status.done.all():
                conditions = {
                    "not done": status.missing,
                    "made from other audio or parameters": status.outdated,
                    "damaged": status.damaged,
                }
                reasons = np.select(list(conditions.values()), list(conditions), "")[~status.done]
                ids = self.cache.clips["clip_id"].iloc[doubtful[~status.done]]
                raise UnreadableClips(self.stored, dict(zip(ids, reasons.tolist())))

    def _status(self, positions: NDArray[np.intp], values: NDArray | None = None) -> ClipStatus:
        expected = fingerprints(self.cache.keys[positions], self.key)
        return clip_status(self._states, self.row_of[positions], expected, values)

    @cached_property
    def key(self) -> np.uint64:
        """Of which, with a clip's key, its fingerprint is made."""
        return feature_key(self.file.attributes, self.cache.settings)

    @cached_property
    def _values(self) -> NDArray[Any]:
        return self.file.map()

    @cached_property
    def _states(self) -> NDArray[np.uint64]:
        return self.file.map(state=True)

    @cached_property
    def _checked(self) -> NDArray[np.uint64]:
        """(N,) the state word under which a clip's CRC was checked, 0 before."""
        return np.zeros(len(self.cache.clips), np.uint64)

    @cached_property
    def row_of(self) -> NDArray[np.intp]:
        """(N,) the row of each clip of the table in this file, -1 where it has none."""
        return self.file.rows_of(self.cache.ids)


class Cache:
    """A cache folder, opened for reading; lazy, picklable, safe under fork and spawn.

    folder   that holds index.h5; RequestError where it does not, with
    command  gives what to type, which makes it

        cache = Cache(Path("data/esc50/features"))
        mel = cache.read("mel", cache.clips["clip_id"][:8])  # (8, 128, 431)
    """

    def __init__(self, folder: Path, command: Callable[[], str] = lambda: "make features DATASET=…") -> None:
        self.folder = Path(folder)
        if not is_cache(self.folder):
            raise RequestError(f"there are no features in {self.folder} yet: run {command()}")
        self._open: dict[str, StoredFeature] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, (self.folder,)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """dataset, source, synthetic (0 or 1), sample_rate, samples; published_test where there is one."""
        return read_settings(self.folder)

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

    @cached_property
    def filled(self) -> NDArray[np.float64]:
        """(N,) the share of the duration that a clip's sound lasts; the rest is padding.

        1 for longer clips, and where no length is known: vectors and arrays brought, damaged files. While
        clips from audio are without one, in a cache of before, 1 for all, so that none is treated otherwise.
        """
        seconds = self._table["source_seconds"].to_numpy()
        if ((seconds == 0) & (self._table["source_hash"] != "").to_numpy()).any():
            return np.ones(len(seconds))
        sounding = np.round(seconds * self.sample_rate)
        samples = self.settings["samples"]
        return np.where(sounding > 0, np.minimum(sounding, samples) / max(samples, 1), 1.0)

    @property
    def published_test(self) -> int | None:
        """The one fold that the dataset's publishers test, where it is not each in turn."""
        fold = self.settings.get("published_test")
        return fold if type(fold) is int else None

    def tested_folds(self, clips: pd.DataFrame) -> list[int]:
        """The folds of these clips that are tested, each in turn; or the one that the publishers test."""
        folds = sorted(int(fold) for fold in clips["fold"].unique())
        return [self.published_test] if self.published_test in folds else folds

    @property
    def synthetic(self) -> bool:
        """Whether the clips were made by this project."""
        return bool(self.settings["synthetic"])

    def __contains__(self, channel: Channel | str) -> bool:
        return self._find(_channel(channel)) is not None

    def __getitem__(self, channel: Channel | str) -> StoredFeature:
        """The feature behind a name or channel; its range of rows is not applied here.

        RequestError where it is not there, or was made from audio of another rate or length.
        """
        channel = _channel(channel)
        if channel.stored in self._open:
            return self._open[channel.stored]
        stored = self._find(channel)
        if stored is None:
            raise RequestError(self._lacking(channel))
        file = read_header(self.folder / f"{stored}.h5")
        made, now = ([of.get(name) for name in AUDIO_SETTINGS] for of in (file.attributes, self.settings))
        if made != now:
            raise RequestError(
                f"{stored} was made from {made[1]} samples at {made[0]} Hz, the clips of this cache now have "
                f"{now[1]} at {now[0]} Hz: {self.remedy(stored)}"
            )
        self._open[channel.stored] = StoredFeature(self, file)
        return self._open[channel.stored]

    def read(self, channel: Channel | str, ids: Ids) -> NDArray[Any]:
        """(B, rows, frames) of these clips in the stored dtype.

        channel  a name such as `mel`, `mel@n_mels=64` or `mfcc:1-19`, or a parsed Channel
        ids      clip ids, or rows of `clips`

        UnreadableClips names the clips that are missing or damaged.
        """
        channel = _channel(channel)
        return self[channel].read(self.positions(ids), channel.rows)

    def batch(self, channels: Sequence[Channel | str], ids: Ids) -> list[NDArray[Any]]:
        """`read` of several channels for the same clips."""
        positions = self.positions(ids)
        return [self.read(channel, positions) for channel in channels]

    def readable(self, channels: Sequence[Channel | str]) -> NDArray[np.bool_]:
        """(N,) whether a clip is done in all of these; damage shows only when a clip is read."""
        return np.all([self[channel].done() for channel in channels], axis=0)

    def extraction_cost(self, channels: Iterable[Channel | str]) -> dict[str, float]:
        """Megabytes, and where known seconds, that these features took for all clips, each feature once."""
        features = {(feature := self[channel]).stored: feature for channel in channels}
        clip_bytes = sum(one.rows * one.frames * one.dtype.itemsize for one in features.values())
        cost, seconds = {"megabytes": clip_bytes * len(self.clips) / 1e6}, read_costs(self.folder)
        if features.keys() <= seconds.keys():
            cost["seconds"] = sum(seconds[name] for name in features) * len(self.clips)
        return cost

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
        return read_index(self.folder)[0]

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return stored_ids(self._table)

    @cached_property
    def _rows_by_id(self) -> pd.Index:
        return pd.Index(self._table["clip_id"])

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) of which the clips' fingerprints are made."""
        return clip_keys(self._table)

    def _lacking(self, channel: Channel) -> str:
        beside = [name for name in self.features if parse_channel(name).name == channel.name]
        has = f" (it has {', '.join(beside)})" if beside else ""
        return f"the cache {self.folder} lacks {channel.stored}{has}: {self.remedy(channel.stored)}"

    def not_there(self, channels: Sequence[Channel], lacking: Sequence[Channel]) -> str:
        """What to say of the channels of a set that the cache lacks: misspelt, or not extracted yet."""
        own = {parse_channel(one).name for one in self.features}
        meant = {one.name: one.name if one.name in own else closest(one.name, own, ALIKE) for one in lacking}
        names = ", ".join(one.stored for one in lacking)
        has = f"the cache {self.folder} lacks {names}, it has {', '.join(self.features) or 'no feature'}"
        remedy = self.remedy(" ".join(one.stored for one in lacking))
        instead = "+".join(str(replace(one, name=meant.get(one.name) or one.name)) for one in channels)
        if all(meant.values()) and instead != "+".join(map(str, channels)):
            return f"did you mean FEATURES={instead}? Now {has}; otherwise {remedy}"
        return f"{has}: {remedy}"

    def remedy(self, stored: str, *more: str) -> str:
        """What to type for features that are missing or out of date, separated by blanks."""
        return remedy(self.folder, self.settings, stored, *more)

    def _find(self, channel: Channel) -> str | None:
        """The stored name of the file that holds this channel."""
        return channel.stored if channel.stored in self.features else self._with_its_parameters(channel)

    def _with_its_parameters(self, channel: Channel) -> str | None:
        """A file of another name that has the channel's parameters, some of them by default."""
        asked = dict(channel.parameters).items()
        for other in map(parse_channel, self.features):
            if other.name == channel.name and dict(other.parameters).items() <= asked:
                header = read_header(self.folder / f"{other.stored}.h5")
                if asked <= json.loads(header.attributes["parameters"]).items():
                    return other.stored
        return None


def _channel(channel: Channel | str) -> Channel:
    return parse_channel(channel) if isinstance(channel, str) else channel
