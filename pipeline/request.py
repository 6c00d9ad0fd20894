"""What a run was asked for: clips with their sources, features with their files, and which part of it."""

import functools
import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from commandline.terminal import progress
from features_cache import cache_folder, parse_list
from features_cache.hdf5 import DamagedFile
from features_cache.index import read_index, stored_ids
from features_cache.layout import FeatureSpec, clip_keys
from features_cache.table import CLIP_COLUMNS, SOURCE_COLUMNS, rows_of, with_sources
from pipeline import audio
from pipeline.datasets import Dataset
from pipeline.datasets.load import load, refuse_another_source
from pipeline.features import FEATURES, Impossible, Variant, resolve_feature
from pipeline.job import version
from pipeline.options import ExtractOptions

LIBRARIES = ("librosa", "numpy", "scipy", "numba", "soundfile", "soxr", "h5py")
LARGEST_FLOAT16 = 65504
THREADS = 8  # for waiting on the disk; hashing itself lets go of the interpreter
AT_ONCE = 4096  # files: what waits for its turn is a kilobyte each
VERSION = np.dtype((np.int64, 2))  # size, time in ns
UNREADABLE = -1.0  # in place of a length: 0 is one that nobody has read yet
LABELS = ("label", "category", "fold", "group")

T = TypeVar("T")


@dataclass
class Wanted:
    """The features of a run, in the order that they were asked for."""

    variants: dict[str, Variant] = field(default_factory=dict)  # by stored name
    left_out: dict[str, str] = field(default_factory=dict)  # stored name -> why it cannot exist here


def wanted(features: str, dataset: Dataset) -> Wanted:
    """Every variant that occurs in the list.

    One that cannot exist at this rate or duration is left out of `all` and `small`; named, RequestError.
    """
    found = Wanted()
    for word in features.split():
        for channel in (one for channels in parse_list(word, list(FEATURES)) for one in channels):
            variant = resolve_feature(channel)
            try:
                rows, _ = variant.shape(dataset.sample_rate, dataset.samples)
            except Impossible as reason:
                if word not in ("all", "small"):
                    raise RequestError(f"{variant.stored} cannot exist here: {reason}") from None
                found.left_out[variant.stored] = str(reason)
                continue
            if channel.rows and channel.rows[1] >= rows:
                raise RequestError(f"{channel}: {variant.stored} has rows 0 to {rows - 1}")
            found.variants[variant.stored] = variant
    if not found.variants:
        parse_list(features)  # an empty list has its own message
        raise RequestError(f"no feature can exist at {dataset.sample_rate} Hz and {dataset.duration:g} s")
    return found


def spec_of(variant: Variant, dataset: Dataset, dtype: str) -> FeatureSpec:
    """What the feature's file says of itself."""
    if variant.units == "Hz" and dataset.sample_rate / 2 > LARGEST_FLOAT16:
        dtype = "float32"  # a frequency up to half the rate would overflow
    return FeatureSpec(
        stored=variant.stored,
        feature=variant.name,
        parameters=variant.recorded,
        code_version=variant.version,
        units=variant.units,
        row_axis=variant.row_axis(dataset.sample_rate),
        row_unit=variant.row_unit,
        frame_axis=variant.frame_axis(dataset.sample_rate, dataset.samples),
        sample_rate=dataset.sample_rate,
        samples=dataset.samples,
        hop_length=int(variant.parameters.get("hop_length") or 0),
        dtype=dtype,
        libraries=libraries(),
    )


@functools.cache
def libraries() -> str:
    """Names and versions of what computes features."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)


def with_hashes(clips: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """The clips with SOURCE_COLUMNS brought up to date in `rows`.

    Of an unchanged file whose length is not known, from a cache of before, the header alone is read.
    A file that is gone keeps what was known of it: features that were made from it stay done.
    """
    columns = {name: clips[name].to_numpy(copy=True) for name in SOURCE_COLUMNS}
    sizes, times, hashes, seconds = (column[rows] for column in columns.values())  # views
    file_of, files = pd.factorize(clips["path"].to_numpy()[rows])  # copies share their original's
    now = np.fromiter((version(Path(one)) if one else (0, 0) for one in files), VERSION, len(files))[file_of]
    there = now.any(axis=1)
    changed = there & ~((now[:, 0] == sizes) & (now[:, 1] == times) & (hashes != ""))
    sizes[there], times[there] = now[there].T
    again = np.unique(file_of[changed])
    found, lengths = np.empty(len(files), object), np.zeros(len(files))
    for file, content in zip(again, _of_each(content_hash, files[again], "hashing")):
        found[file] = content
    hashes[changed] = found[file_of[changed]]
    measured = changed | (there & (seconds == 0))
    headers = np.unique(file_of[measured])
    for file, length in zip(headers, _of_each(_seconds, files[headers], "reading lengths")):
        lengths[file] = length
    seconds[measured] = lengths[file_of[measured]]
    return clips.assign(**columns)


def _of_each(read: Callable[[str], T], files: NDArray[np.object_], label: str) -> Iterator[T]:
    """What `read` finds in each file, several read at a time."""

    def found() -> Iterator[T]:
        with ThreadPoolExecutor(THREADS) as threads:
            for start in range(0, len(files), AT_ONCE):
                yield from threads.map(read, files[start : start + AT_ONCE])

    return iter(progress(found(), total=len(files), label=label, unit="files"))


def _seconds(path: str) -> float:
    """By the header; UNREADABLE where it says nothing, which decoding will give a reason for."""
    try:
        info = audio.file_info(path)
    except audio.AudioError:
        return UNREADABLE
    return info.frames / info.sample_rate or UNREADABLE


def content_hash(path: str) -> str:
    """32 hexadecimal digits; '' for what is no readable file, which decoding will give a reason for."""
    try:
        if not Path(path).is_file():  # a FIFO or a link to /dev/zero never ends
            return ""
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def describe_changes(before: pd.DataFrame, now: pd.DataFrame, part: slice) -> tuple[str, ...]:
    """`clips new: 10, are computed`, `clips in another order: …`; of audio only what changed in `part`."""
    rows = rows_of(now["clip_id"].to_numpy(), before["clip_id"].to_numpy())
    both, mine = rows >= 0, np.zeros(len(now), bool)
    mine[part] = True
    rows = rows[both]

    def differs(column: str) -> NDArray[np.bool_]:
        return before[column].to_numpy()[rows] != now[column].to_numpy()[both]

    known = (before["source_hash"].to_numpy()[rows] != "") & mine[both]
    edited = known & differs("source_hash")
    touched = known & ~edited & differs("source_time_ns")
    relabelled = np.any([differs(column) for column in LABELS], axis=0)
    moved = (np.diff(rows) < 0).any()
    lines = (
        _line(len(now) - len(rows), "new", "are computed"),
        _line(len(before) - len(rows), "removed", "leave the files of the features that are asked for"),
        _line(int(edited.sum()), "changed in their audio", "are computed again"),
        _line(int(touched.sum()), "written again with the same content", "stay done"),
        _line(int(relabelled.sum()), "labelled or folded differently", "need no computing"),
    )
    return tuple(
        one for one in (*lines, "clips in another order: feature maps are copied" if moved else "") if one
    )


def _line(count: int, what: str, consequence: str) -> str:
    return f"clips {what}: {count:,}, {consequence}" if count else ""


@dataclass(frozen=True)
class Request:
    """What was asked for: clips with their sources, features with their files."""

    dataset: Dataset
    folder: Path
    clips: pd.DataFrame  # N rows, columns of the index
    part: slice  # of the rows: those that this run does
    wanted: Wanted
    specs: tuple[FeatureSpec, ...]  # F
    changes: tuple[str, ...] = ()  # since the cache's last run, in a line each

    @functools.cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """(N,) clip ids as stored in a file."""
        return stored_ids(self.clips)

    @functools.cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) of which fingerprints are made."""
        return clip_keys(self.clips)

    @property
    def settings(self) -> dict[str, str | int]:
        """Attributes of the index."""
        published = self.dataset.published_test
        return {
            "dataset": self.dataset.name,
            "source": self.dataset.source,
            "synthetic": int(self.dataset.synthetic),
            "sample_rate": self.dataset.sample_rate,
            "samples": self.dataset.samples,
            **({} if published is None else {"published_test": published}),
        }


def request(options: ExtractOptions, part: str | None = None) -> Request:
    """Load the dataset, resolve the features, look which audio changed."""
    folder = cache_folder(options.dataset, options.data, options.name)
    return of_dataset(load(options), folder, options, part)


def of_dataset(dataset: Dataset, folder: Path, options: ExtractOptions, part: str | None = None) -> Request:
    """The request of a dataset that is loaded."""
    refuse_another_source(folder, dataset.name, dataset.source)
    before = _known(folder)
    table = dataset.table
    if options.copies is None and before is not None and not (table["copy_of"] != "").any():
        table = kept_copies(table, before[list(CLIP_COLUMNS)])
    if not (table["path"] != "").any():
        raise RequestError(f"{folder} has no audio to compute features from; it is used as it is")
    asked = wanted(options.features, dataset)
    rows = part_of(part, len(table))
    clips = with_hashes(with_sources(table, before), rows)
    specs = tuple(spec_of(variant, dataset, options.dtype) for variant in asked.variants.values())
    changed = () if before is None else describe_changes(before, clips, rows)
    return Request(dataset, folder, clips, rows, asked, specs, changed)


def kept_copies(table: pd.DataFrame, cached: pd.DataFrame) -> pd.DataFrame:
    """The originals of `table` followed by the copies in `cached` whose original is still among them.

    Path, label, category, fold and group are those that the original has now.
    """
    copies = cached[(cached["copy_of"] != "") & cached["copy_of"].isin(set(table["clip_id"]))]
    if not len(copies):
        return table
    now = table.set_index("clip_id").loc[copies["copy_of"]]
    refreshed = copies.assign(
        **{column: now[column].to_numpy() for column in ("path", "label", "category", "fold", "group")}
    )
    return pd.concat([table, refreshed], ignore_index=True)


def part_of(part: str | None, count: int) -> slice:
    """`3/16` as the third sixteenth of `count` rows; all of them without a part."""
    if part is None:
        return slice(0, count)
    number, _, total = part.partition("/")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise RequestError(f"PART={part}: expected which part of how many, such as 3/16")
    return slice(count * (int(number) - 1) // int(total), count * int(number) // int(total))


def _known(folder: Path) -> pd.DataFrame | None:
    """The clips that the index knows."""
    try:
        return read_index(folder)[0]
    except (FileNotFoundError, DamagedFile):
        return None  # a damaged index is made again; hashing shows what is up to date
