"""A cache folder, opened for reading.

    cache = cache_of("esc50", Path("data"))
    cache.clips                                    the clip table, one row a clip
    cache.read("mel", ["1-100032-A-0"])            (1, 128, 431)
    cache.read(parse_feature_name("mfcc:1-19"), rows)   by the rows of cache.clips
    cache["mel"].row_axis                          Hz of each row

Values are read through a memory map: no HDF5 call and no lock for a batch. Clips are
matched by id, and each clip's CRC is checked when it is first read. `done` leaves out
missing and outdated clips; only reading shows damage. The state word is compared again
after the values were copied: a clip that was written meanwhile is checked again.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from featurestack.base import NAMED
from featurestack.base.errors import (
    DamagedFile,
    OutdatedFeature,
    RequestError,
    UnreadableClips,
    closest,
    most_alike,
    shortened,
)
from featurestack.base.files import exists, require_readable
from featurestack.base.quantities import counted
from featurestack.base.shell import quoted
from featurestack.features_cache import identity, index_file
from featurestack.features_cache.clip_table import SOURCE_COLUMNS, rows_of
from featurestack.features_cache.datasets import (
    EXTERNAL,
    cache_folder,
    cached_in,
    dataset_name,
    extraction,
    is_cache,
    no_features,
    other_source,
    unknown_dataset,
)
from featurestack.features_cache.feature_names import (
    FRAMING,
    FeatureName,
    features_here,
    parse_feature_name,
    parse_list,
    refuse_unknown,
)
from featurestack.features_cache.hdf5 import (
    Attributes,
    CachedFeature,
    ClipStatus,
    as_stored,
    clip_keys,
    read_header,
)
from featurestack.features_cache.identity import Identity, place_of
from featurestack.features_cache.source_changes import at_place, has_same_sounds

ALIKE = 0.8  # least similarity, 0 to 1, of a misspelt feature to the one that was meant
Ids = Sequence[str] | NDArray[np.integer] | NDArray[np.object_]


def mask_of(clips: Any, names: NDArray[np.object_]) -> Any:
    """A boolean Series as a mask in the order of the clips of these names, by its
    index, their rows or ids; anything else as it is.
    """
    if not isinstance(clips, pd.Series) or clips.dtype != bool:
        return clips
    for index in (pd.RangeIndex(len(names)), pd.Index(names)):
        if len(clips) == len(index) == len(index.intersection(clips.index)):
            return clips[index].to_numpy()
    raise RequestError(
        f"a mask of {counted(len(clips), 'row')} whose index is not that of all"
        f" {counted(len(names), 'clip')}: expected one True or False for each row of"
        " cache.clips; sub.index[mask] selects the clips of a part of the table"
    )


def row_numbers(clips: Any, names: NDArray[np.object_]) -> NDArray[np.intp]:
    """The rows of the clip table that a number, a slice, an array or a mask selects."""
    rows = np.arange(len(names))[mask_of(clips, names)]
    if np.ndim(rows) > 1:
        raise IndexError
    return rows


@contextmanager
def refusing(clips: Any, count: int, more: str = "") -> Iterator[None]:
    """Turn numpy's, pandas' and torch's errors about an index into one sentence."""
    try:
        yield
    except RequestError:
        raise
    except (LookupError, OverflowError, RuntimeError, TypeError, ValueError):
        raise RequestError(
            f"{shortened(' '.join(repr(clips).split()))}: expected a number, a slice or"
            f" a mask of the {counted(count, 'row')} of cache.clips{more}"
        ) from None


def in_words(audio: "CachedFeature | IndexSettings") -> str:
    """The length and rate of the audio behind features, in words."""
    seconds = audio.samples / max(audio.sample_rate, 1)
    return f"{seconds:.7g} s at {audio.sample_rate} Hz"


@dataclass(frozen=True)
class FeatureMaps(CachedFeature):
    """A feature's maps, `cache["mel"]`, or some of its rows, `cache["mfcc:1-19"]`; they
    stay readable if the file is replaced.
    """

    # not the cache itself: a reference cycle would keep the memory maps alive
    names: NDArray[np.object_]  # (N,) the cache's clips
    keys: NDArray[np.uint64]  # (N,) the clips' part of each fingerprint
    row_of: NDArray[np.intp]  # (N,) each clip's row in this file, -1 if it has none
    whole: NDArray[np.floating]  # (clips, rows of the file, frames), a memory map
    states: NDArray[np.uint64]  # (clips,), a memory map
    checked: NDArray[np.uint64]  # (N,) state words under which CRCs were checked, or 0
    kept: slice  # rows of the file that are read

    @property
    def values(self) -> NDArray[np.floating]:
        """(clips, rows, frames) in the order of the file."""
        return self.whole[:, self.kept]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.values.shape))
        return f"{self.stored}: {shape} {self.dtype}, {self.units or 'no unit'}"

    def done(self) -> NDArray[np.bool_]:
        """(N,) whether each clip's state word fits what the index describes."""
        return self.status(self.row_of, self.keys).done

    def status_of(self, positions: NDArray[np.intp]) -> ClipStatus:
        """The status of clips by their rows in the clip table; CRCs are compared."""
        return self.status(self.row_of[positions], self.keys[positions], True)

    def read(self, positions: NDArray[np.intp]) -> NDArray[np.floating]:
        """(B, rows, frames) of the clips in these rows of the clip table.
        UnreadableClips if clips are missing, outdated or damaged.
        """
        places = self.row_of[positions]
        while True:
            checked = self.checked[positions]
            taken = self.whole[places, self.kept]
            # new, or written meanwhile
            unchecked = (checked == 0) | (checked != self.states[places])
            if not unchecked.any():
                return taken
            doubtful = positions[unchecked]
            status = self.status_of(doubtful)
            self.checked[doubtful] = np.where(status.done, status.states, 0)
            if not status.done.all():
                if status.damaged.any():
                    index_file.forget_verified(self.path.parent)
                conditions = [status.absent, status.outdated, status.damaged]
                reasons = ["not done", "made from other audio or parameters", "damaged"]
                reason = np.select(conditions, reasons, "")[~status.done]
                ids = self.names[doubtful[~status.done]]
                failed = index_file.reasons_of(self.path.parent, self.stored)
                whys = [failed.get(*pair) for pair in zip(ids, reason.tolist())]
                raise UnreadableClips(self.stored, dict(zip(ids, whys)))

    def map(self, *, state: bool = False) -> NDArray:
        return self.states if state else self.whole

    @property
    def shape(self) -> tuple[int, int, int]:
        """Clips of the cache, rows and frames."""
        return len(self), self.rows, self.frames

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, clips: Any) -> NDArray[np.floating]:
        """The values of these rows of the clip table, given as a number, a slice, an
        array or a mask.
        """
        if isinstance(clips, int) and len(self) <= clips <= sys.maxsize:
            raise IndexError(f"row {clips} is out of bounds")  # ends a loop
        with refusing(clips, len(self), "; cache.read takes ids"):
            positions = row_numbers(clips, self.names)
        values = self.read(np.atleast_1d(positions))
        return values if np.ndim(positions) else values[0]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """All clips in the order of the clip table, as numpy asks for them."""
        return self[:].astype(dtype or self.dtype, copy=False)


class IndexSettings:
    """The attributes of the index, `settings`, of a cache or of one to be made."""

    settings: Attributes  # dataset, source, samples and others

    @property
    def source(self) -> str:
        """A known name, a path or EXTERNAL, which tells apart datasets of one name."""
        return self.settings["source"]

    @property
    def sample_rate(self) -> int:
        """The clips' sample rate in Hz; 0 if none was stated."""
        return self.settings["sample_rate"]

    @property
    def samples(self) -> int:
        """Length of every clip after padding or cutting."""
        return self.settings["samples"]

    @property
    def duration(self) -> float:
        """Seconds of a clip; 0 if none was stated."""
        return self.samples / self.sample_rate if self.sample_rate else 0.0

    @property
    def synthetic(self) -> bool:
        return bool(self.settings["synthetic"])

    @property
    def published_test(self) -> int | None:
        """The one fold that the publishers test; None if each is tested in turn."""
        return self.settings.get("published_test")

    @property
    def folds_drawn(self) -> bool:
        """Whether the folds were drawn, so that others can be."""
        return bool(self.settings.get("folds_drawn"))

    @property
    def groups(self) -> str:
        """The dataset's word for a group, as `speaker`; '' means source recording."""
        return self.settings.get("groups", "")


class Cache(IndexSettings):
    """A cache folder, opened for reading; lazy, picklable, safe under fork and spawn.

    folder  holds index.h5, else RequestError
    place   where the sounds lie now, if that is another place than at extraction

        cache = Cache(Path("data/esc50/features"))
        mel = cache.read("mel", cache.clips["clip_id"][:8])  # (8, 128, 431)
    """

    def __init__(self, folder: Path, place: str = "") -> None:
        self.folder, self.place = Path(folder), place
        require_readable(self.folder)
        if not is_cache(self.folder):
            raise no_features(self.folder, self.data)
        self._open: dict[str, FeatureMaps] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return Cache, (self.folder, self.place)

    def __deepcopy__(self, memo: object) -> "Cache":
        return self  # it holds nothing that a copy could change: clone in scikit-learn

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        """The number of clips and a table of the features, for a notebook."""
        rows = []
        for name in self.features:
            shape: tuple[object, ...] = "-", "-", "cannot be used"
            with suppress(RequestError):
                stored = self[name]
                shape = stored.rows, stored.frames, stored.units
            rows.append((name, *shape))
        table = pd.DataFrame(rows, columns=["feature", "rows", "frames", "units"])
        heading = f"{self.folder}: {len(self.clips):,} clips"
        return f"{heading}\n{table.to_string(index=False)}"

    @property
    def data(self) -> Path:
        """The folder of all datasets, which this one is in."""
        return self.folder.parent.parent

    @property
    def name(self) -> str:
        """The name of its dataset, which is that of its folder in `data`."""
        return dataset_name(str(self.folder))

    @cached_property
    def _index(self) -> tuple[pd.DataFrame, Attributes]:
        clips, settings = index_file.read_index(self.folder)
        if not self.place:
            return clips, settings
        source, place = settings["source"], self.place
        paths = {
            path: path and at_place(path, source, place)
            for path in {*clips["path"], settings.get("audio_dir", "")}
        }
        settings["source"] = place
        if "audio_dir" in settings:
            settings["audio_dir"] = paths[settings["audio_dir"]]
        return clips.assign(path=clips["path"].map(paths)), settings

    @cached_property
    def settings(self) -> Attributes:  # type: ignore[override]  # read when needed
        """The attributes of the index: dataset, source, samples and others."""
        return self._index[1]

    @property
    def sources(self) -> pd.DataFrame:
        """The clip table with SOURCE_COLUMNS, what is known of each audio file."""
        return self._index[0]

    @cached_property
    def identity(self) -> Identity:
        """The place of the sounds and the digest of what they were at extraction."""
        return identity.of_cache(self.folder, self.sources, self.settings)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The clip table: one row a clip; start and end are its place in the file."""
        return self.sources.drop(columns=list(SOURCE_COLUMNS))

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return as_stored(self.sources["clip_id"].to_numpy())

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) the clips' part of each fingerprint."""
        return clip_keys(self.sources)

    @property
    def features(self) -> list[str]:
        """Stored names of the feature files in the cache."""
        return index_file.feature_names(self.folder)

    @cached_property
    def filled(self) -> NDArray[np.float64]:
        """(N,) the fraction of each clip that is not padding, 1 if unknown."""
        seconds = self.sources["source_seconds"].to_numpy()
        lasts = (self.sources["end"] - self.sources["start"]).to_numpy()
        seconds = np.where(lasts > 0, lasts, seconds)
        sounding = np.round(seconds * self.sample_rate)
        samples = max(self.samples, 1)
        return np.where(sounding > 0, np.minimum(sounding / samples, 1), 1.0)

    def tested_folds(self, clips: pd.DataFrame) -> list[int]:
        """The published test fold if these clips have it, else all their folds."""
        folds = sorted(int(fold) for fold in clips["fold"].unique())
        return [self.published_test] if self.published_test in folds else folds

    def close(self, channel: FeatureName | str) -> None:
        """Let go of the memory map of a feature, which is mapped again when it is read.
        The pages that were read count as the process's memory until then.
        """
        self._open.pop(parse_feature_name(str(channel)).stored, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.features)

    def __contains__(self, channel: FeatureName | str) -> bool:
        return self._find(parse_feature_name(str(channel))) is not None

    def __getitem__(self, channel: FeatureName | str) -> FeatureMaps:
        """The feature behind a name or channel; RequestError if it cannot be read, or
        if this program computes it otherwise than it was stored.
        """
        parsed = parse_feature_name(str(channel))
        name = parsed.stored
        if name not in self._open:
            stored = self._find(parsed)
            if stored is None:
                self.refuse_missing([parsed])
                stored = name
            try:
                file = read_header(self.folder / f"{stored}.h5")
            except DamagedFile as damage:
                damage.remedy = self.remedy(stored)
                raise
            before, now = in_words(file), in_words(self)
            if before != now:
                raise OutdatedFeature(
                    f"{file.stored} was made from {before}, the clips of this cache now"
                    f" have {now}: {self.remedy(file.stored)}"
                )
            self._open[name] = FeatureMaps(
                **{field.name: getattr(file, field.name) for field in fields(file)},
                names=self.clips["clip_id"].to_numpy(),
                keys=self.keys,
                row_of=rows_of(self.ids, file.clip_ids),
                whole=file.map(),
                states=file.map(state=True),
                checked=np.zeros(len(self.clips), np.uint64),
                kept=slice(None),
            )
        feature = self._open[name]
        if difference := features_here().difference_here(feature):
            del self._open[name]  # its file may be replaced before the next call
            raise OutdatedFeature(
                f"{self.folder} has {feature.stored} by {difference}:"
                f" {self.remedy(feature.stored)}, or use the code that made it"
            )
        if parsed.rows:
            kept = parsed.kept_rows(feature.rows)
            feature = replace(feature, kept=kept, row_axis=feature.row_axis[kept])
        return feature

    def _find(self, channel: FeatureName) -> str | None:
        """The stored name of a channel's file, or its only variant of other frames."""
        if channel.stored in self.features:
            return channel.stored
        parameters = dict(channel.parameters).items()
        for other in map(parse_feature_name, self.features):
            if other.name != channel.name:
                continue
            if dict(other.parameters).items() <= parameters:
                header = read_header(self.folder / f"{other.stored}.h5")
                recorded = {**header.parameters, **dict(other.parameters)}
                if parameters <= recorded.items():
                    return other.stored
        variants = self._of_other_frames(channel)
        return variants[0] if len(variants) == 1 else None

    def _of_other_frames(self, channel: FeatureName) -> list[str]:
        """The stored names of the channel's variants of other frames."""
        variants = []
        for other in map(parse_feature_name, self.features):
            unframed = [pair for pair in other.parameters if pair[0] not in FRAMING]
            if (other.name, tuple(unframed)) == (channel.name, channel.parameters):
                variants.append(other.stored)
        return variants

    def read(self, channel: FeatureName | str, ids: Ids) -> NDArray[np.floating]:
        """(B, rows, frames) of these clips in the stored dtype.

        channel  a name such as `mel`, `mel@n_mels=64` or `mfcc:1-19`, or a Channel
        ids      clip ids, rows of `clips`, or a mask of all rows

        UnreadableClips names the clips that are missing, outdated or damaged.
        """
        return self[channel].read(self.positions(ids))

    def readable(self, channels: Sequence[FeatureName | str]) -> NDArray[np.bool_]:
        """(N,) whether a clip is done in all of these; reading shows damage."""
        return np.all([self[channel].done() for channel in channels], axis=0)

    @property
    def folds_csv(self) -> Path:
        """The dataset's folds.csv; folds that the dataset itself has are not in it."""
        return self.folder.parent / "folds.csv"

    def megabytes(self, channels: Iterable[FeatureName | str]) -> float:
        """The size of these features of all clips."""
        names = {self[channel].stored for channel in channels}
        clip_bytes = sum(self[name].clip_bytes for name in names)
        return clip_bytes * len(self.clips) / 1e6

    def positions(self, ids: Ids) -> NDArray[np.intp]:
        """Rows of `clips` for ids, rows or a mask; RequestError for an unknown id."""
        names = self.sources["clip_id"].to_numpy()
        with refusing(ids, len(names), ", or ids"):
            clips = np.atleast_1d(mask_of(ids, names))
            if clips.dtype.kind in "biu":
                return row_numbers(clips, names)
        rows = self._rows_by_id.get_indexer(pd.Index(clips.astype(str)))
        if (rows < 0).any():
            raise RequestError(
                f"the cache {self.folder} has no clips"
                f" {', '.join(map(str, clips[rows < 0][:5]))}"
            )
        return rows

    @cached_property
    def _rows_by_id(self) -> pd.Index:
        return pd.Index(self.sources["clip_id"])

    def refuse_missing(self, channels: Sequence[FeatureName]) -> None:
        absent = [each.stored for each in dict.fromkeys(channels) if each not in self]
        if not absent:
            return
        for name in absent:
            if variants := self._of_other_frames(parse_feature_name(name)):
                raise RequestError(
                    f"the cache {self.folder} has {' and '.join(variants)}: give the"
                    f" name of one, such as {variants[-1]}"
                )
        names = " ".join(absent)
        hint = ""
        if self.audio_source[0]:
            refuse_unknown(names, self.features)
        elif meant := closest(absent[0], self.features, ALIKE):
            hint = f" (did you mean {meant}?)"
        raise RequestError(
            f"the cache {self.folder} lacks {names}{hint}, it has"
            f" {most_alike(absent[0], self.features)}: {self.remedy(names)}"
        )

    def named(self, features: str) -> list[str]:
        """Stored names of the features in a list, each once, damaged ones included."""
        channels = [*itertools.chain(*parse_list(features, self.features))]
        self.refuse_missing(channels)
        return list(dict.fromkeys(filter(None, map(self._find, channels))))

    @property
    def audio_source(self) -> tuple[str, str]:
        """The DATASET= of the audio, '' without audio, and its NAME= or ''."""
        source = "" if self.source == EXTERNAL else self.source
        return source, "" if dataset_name(source) == self.name else self.name

    @property
    def sounds(self) -> tuple[str, str]:
        """The DATASET= and NAME= to type for the sounds where they lie now; '' and ''
        if they are gone. A cache without audio is given by its own folder.
        """
        source, name = self.audio_source
        if not source or source in NAMED:
            return source or str(self.folder), name
        path = Path(source)
        if not exists(path):
            return "", ""
        if path.is_relative_to(Path.cwd()) and path.name not in NAMED:
            source = str(path.relative_to(Path.cwd()))
        return source, name

    def remedy(self, features: str) -> str:
        """What to do to make missing or outdated features, in words."""
        source, name = self.audio_source
        if not source:
            return (
                "it has no audio; features_cache.external.write_feature adds a feature"
            )
        if not self.sounds[0]:
            called = quoted(f"NAME={name or dataset_name(source)}")
            return (
                f"its sounds are no longer at {source}: features takes their present"
                f" place as DATASET=, with {called}"
            )
        dataset, name = self.sounds
        return f"run {extraction(dataset, self.data, name, features)}"


def find_cache(dataset: str, data: Path, name: str = "") -> tuple[str, "Cache | None"]:
    """The name of the dataset that DATASET= and NAME= name, and its cache if it has
    one; '' for all datasets. RequestError if the cache of this name was made from the
    sounds of another place: a dataset is its source.
    """
    called = dataset_name(dataset, name)
    if not called:
        return "", None
    folder = cache_folder(dataset or name, data, name)
    if not is_cache(folder):
        return called, None
    cache = Cache(folder)
    if folder == Path(dataset) or not dataset:
        return called, cache
    with suppress(DamagedFile):  # whoever reads the cache names the damage
        source, place = cache.source, place_of(dataset)
        if source == place or (dataset in NAMED and source == EXTERNAL):
            return called, cache
        if not (dataset in NAMED or exists(dataset)):
            if not is_called(cache, dataset, name):
                raise unknown_dataset(dataset, data)
            return called, cache
        cache = Cache(folder, place)
        named = {dataset, source} & {*NAMED}
        if named or not has_same_sounds(cache.sources, cache.settings):
            raise other_source(folder, source, place, called)
    return called, cache


def is_called(cache: Cache, dataset: str, name: str) -> bool:
    """Whether DATASET= names a cache, or the one of the same sounds without NAME=."""
    if Path(dataset).name != dataset:
        return False
    plain = cache.data / dataset / "features"
    return not name or (
        is_cache(plain) and Cache(plain).identity.is_same(cache.identity)
    )


def cache_of(dataset: str, data: Path, name: str = "", features: str = "") -> Cache:
    """The cache of a dataset; RequestError if the dataset is unknown, or if it has no
    features yet, with the command that computes them.
    """
    _, cache = find_cache(dataset, data, name)
    if cache:
        return cache
    if not (dataset in {*NAMED, *cached_in(data)} or exists(dataset)):
        raise unknown_dataset(dataset, data)
    folder = cache_folder(dataset, data, name)
    require_readable(folder)
    refuse_unknown(features)
    raise no_features(folder, data, extraction(dataset, data, name, features))
