"""Resolve the clips and features that an extraction is asked for: `plan_extraction`.

FRAME=64 turns `mel` into `mel@frame=64`, with frames of 64 ms at the dataset's rate.
librosa's 2048 samples last 46 ms at 44.1 kHz, but 128 ms at 16 kHz.
"""

import functools
import importlib.metadata
import itertools
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from featurestack.base.errors import DamagedFile, RequestError, see, shortened
from featurestack.base.files import version_of
from featurestack.base.quantities import counted, first_names, whole_number
from featurestack.base.shell import make_command
from featurestack.base.terminal import progress, tell
from featurestack.features_cache import clip_table
from featurestack.features_cache.cache import Cache, in_words
from featurestack.features_cache.datasets import another_name, is_cache
from featurestack.features_cache.feature_names import (
    FRAMING,
    FeatureName,
    parse_feature_name,
    parse_list,
)
from featurestack.features_cache.hdf5 import CachedFeature, read_header
from featurestack.features_cache.identity import hash_or_blank
from featurestack.features_cache.index_file import feature_names
from featurestack.features_cache.source_changes import copies
from featurestack.features_cache.writer import Extraction
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.features import (
    FEATURES,
    FeatureDefinition,
    features_of_all,
    former_name,
    refuse_unknown,
    resolve_feature,
)
from featurestack.pipeline.options import FeaturesCommand, ShowOptions
from featurestack.pipeline.parameters import Impossible

FEATURE_LIBRARIES = ("librosa", "numpy", "scipy", "numba", "soundfile", "soxr", "h5py")
NAMED_FEATURES = 8  # that a message names, at most
LARGEST_FLOAT16 = 65504
HASHING_THREADS = 8  # to wait for the disk; hashing releases the interpreter's lock
LONG = 65.0  # milliseconds; longer frames are mentioned
TRIED = 23.0  # milliseconds, proposed instead of longer frames


@dataclass(frozen=True, kw_only=True)
class ExtractionPlan(Extraction):
    """The clips of a run with their sources, and its features with their functions."""

    dataset: Dataset
    features: tuple[FeatureDefinition, ...]  # F, in the given order
    # lines on the dataset, changes since the last run, features left out
    notes: list[str]
    # stored features that were not asked for but that others are computed from
    read: frozenset[str]


def plan_extraction(
    options: FeaturesCommand,
    dataset: Dataset | None = None,
    others: Sequence[str] = (),
) -> ExtractionPlan:
    """Load the dataset, resolve the features, find audio files that have changed. `all`
    includes `others`, where they can exist.
    """
    cached = [*others]
    if dataset is None:
        refuse_unknown(options.features)  # before a download
        dataset = load(options)
        names = feature_names(dataset.folder)  # `all` includes what is cached already
        cached += [
            name for name in names if FEATURES.knows(parse_feature_name(name).name)
        ]
    if reason := clip_table.untrainable(dataset.table):
        tell(f"{dataset.name}: {reason}")
    before = dataset.cached
    features, read, left_out = features_in(
        options.features, dataset, options.frame, cached
    )
    if not options.yes:
        refuse_outdating(dataset)
    rows = rows_of_part(options.part, len(dataset.table))
    clips = clip_table.with_sources(dataset.table, before)
    if not dataset.read_only:
        clips = with_hashes(clips, rows)
    changes = [] if before is None else describe_changes(before, clips, rows)
    notes = [*dataset.notes, *changes, *left_out, *filter(None, [copies(clips)])]
    if not options.frame:
        notes += long_frames_notes(features, dataset.sample_rate)
    former = {}
    for feature in features:
        with suppress(FileNotFoundError, DamagedFile):
            held = read_header(dataset.folder / f"{feature.stored}.h5")
            if name := former_name(feature, held):
                former[feature.stored] = name
    return ExtractionPlan(
        folder=dataset.folder,
        read_only=dataset.read_only,
        clips=clips,
        settings=dataset.settings,
        stored=tuple(stored_feature(each, dataset, options.dtype) for each in features),
        part=rows,
        former=former,
        dataset=dataset,
        features=features,
        notes=notes,
        read=read,
    )


def refuse_outdating(dataset: Dataset) -> None:
    """RequestError if the cache has features of another rate or duration."""
    if dataset.cached is None:
        return
    cache = Cache(dataset.folder)
    before, now = in_words(cache), in_words(dataset)
    if before == now or not cache.features:
        return
    names = ", ".join(first_names(cache.features, NAMED_FEATURES))
    raise RequestError(
        f"{dataset.folder} has {names}, made from {before}; with {now} they are out of"
        f" date, and so are the runs on them: {another_name(dataset.name)} keeps"
        " them and writes the new ones to a second cache, YES=1 replaces them"
    )


def features_in(
    listed: str,
    dataset: Dataset,
    frame: float | None = None,
    cached: Iterable[str] = (),
) -> tuple[tuple[FeatureDefinition, ...], frozenset[str], list[str]]:
    """The features in a list of features, each after the one it is computed from; the
    stored names of those that the list itself lacks; lines on those left out of `all`
    and `small`, which also include the `cached` ones.
    """
    rate, samples = dataset.sample_rate, dataset.samples
    has_audio = dataset.has_audio
    features = {}
    named = set()
    left_out = list[str]()
    impossible = list[str]()
    for word in listed.split():
        by_name = word not in ("all", "small")
        singles = [] if by_name else [*features_of_all(), *cached]
        for feature_name in itertools.chain(*parse_list(word, singles)):
            if frame:
                feature_name = with_frame(feature_name, frame)
            feature = resolve_feature(feature_name, rate)
            if not (feature.source or has_audio):
                raise RequestError(
                    f"{dataset.folder} has no audio to compute features from; it is"
                    " used as it is"
                )
            try:
                rows, _ = feature.shape(rate, samples)
            except RequestError as reason:  # Impossible, or a network is missing
                if by_name:
                    raise
                if isinstance(reason, Impossible):
                    impossible.append(feature.stored)
                else:
                    left_out.append(f"left out: {reason}")
                continue
            feature_name.kept_rows(rows)
            read = feature.read_map() if has_audio else None
            if read:
                features[read.stored] = read
            features[feature.stored] = feature
            named.add(feature.stored)
    if not features:
        parse_list(listed)  # an empty list has its own message
        raise RequestError(
            f"no feature can exist at {rate} Hz and {dataset.duration:g} s"
        )
    if impossible:
        seconds = min(dataset.duration, ShowOptions.duration)
        words = f"SAMPLE_RATE={rate}", f"DURATION={seconds:g}"
        left_out.append(
            f"{counted(len(impossible), 'feature')} left out, which"
            f" {'needs' if len(impossible) == 1 else 'need'} a higher rate or longer"
            f" clips: {', '.join(impossible)}; {make_command('show', *words)} says why"
        )
    return tuple(features.values()), frozenset(features.keys() - named), left_out


def stored_feature(
    feature: FeatureDefinition, dataset: Dataset, dtype: str | None
) -> CachedFeature:
    """How a feature is stored; without a `dtype` in the type of its file, if any."""
    rate, samples = dataset.sample_rate, dataset.samples
    path = dataset.folder / f"{feature.stored}.h5"
    if dtype is None:
        dtype = "float16"
        with suppress(FileNotFoundError, DamagedFile):
            dtype = read_header(path).dtype
    facts = feature.recorded_facts
    if feature.source:
        facts |= source_facts(feature, dataset)
    if feature.units == "Hz" and rate / 2 > LARGEST_FLOAT16:
        dtype = "float32"  # in float16 a frequency up to half the rate would overflow
    hop = feature.parameters.get("hop_length")
    return CachedFeature(
        path=path,
        stored=feature.stored,
        feature=feature.name,
        parameters=facts,
        code_version=feature.code_version,
        units=feature.units,
        row_axis=feature.row_axis(rate),
        row_unit=feature.row_unit,
        frame_axis=feature.frame_axis(rate, samples),
        frame_unit=feature.frame_unit,
        sample_rate=rate,
        samples=samples,
        hop_length=int(hop or 0) if feature.frame_unit == "s" else 0,
        dtype=dtype,
        libraries=libraries(),
    )


def source_facts(feature: FeatureDefinition, dataset: Dataset) -> dict[str, str]:
    """The external feature that a feature is computed from; empty if that is audio."""
    source = parse_feature_name(feature.source)
    if dataset.has_audio and FEATURES.knows(source.name):
        return {}
    folder = dataset.folder
    cache = Cache(folder) if is_cache(folder) else None
    if cache is None or source not in cache:
        FEATURES[source.name]  # an unknown name has its own message
        raise RequestError(
            f"{feature.stored} is computed from {source}, but {folder} has neither"
            f" {source} nor audio"
        )
    stored = cache[source]
    if stored.frames < 2:
        raise RequestError(f"{feature.stored}: {source} has no frames in time")
    return {"source": f"{source} {stored.key}"}


@functools.cache
def libraries() -> str:
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in FEATURE_LIBRARIES
    )


def with_hashes(clips: pd.DataFrame, part: slice) -> pd.DataFrame:
    """The clips with up-to-date SOURCE_COLUMNS in `part`. A file is read again if its
    size, inode or a time changed; a missing one keeps its values, so its features stay
    done.
    """

    def read_source(path: str) -> tuple[str, float]:
        seconds = 0.0
        with suppress(audio.AudioError, OSError):
            info = audio.file_info(path)
            seconds = info.frames / info.sample_rate
        return hash_or_blank(path), seconds

    # windows share the file of their recording
    files = clips.iloc[part].drop_duplicates("path").set_index("path")
    recorded = [*clip_table.VERSION_COLUMNS]
    versions = [version_of(path) for path in files.index]
    now = np.array(versions, np.int64).reshape(-1, len(recorded))
    exists = now.any(axis=1)
    changed = (files[recorded] != now).any(axis=1) | (files["source_seconds"] == 0)
    files.loc[exists, recorded] = now[exists]
    again = files.index[exists & changed]
    # a generator, since a list would keep all futures
    reading = Parallel(HASHING_THREADS, backend="threading", return_as="generator")
    read = reading(delayed(read_source)(path) for path in again)
    hashed = progress(read, total=len(again), label="hashing", unit="files")
    for column, values in zip(("source_hash", "source_seconds"), zip(*hashed)):
        files.loc[again, column] = values
    updated = clips.copy()
    of_clips = files.loc[clips["path"].iloc[part]]
    for name in clip_table.SOURCE_COLUMNS:
        updated.iloc[part, clips.columns.get_loc(name)] = of_clips[name].to_numpy()
    return updated


def describe_changes(before: pd.DataFrame, now: pd.DataFrame, part: slice) -> list[str]:
    """Lines such as `10 new clips`; changed audio is counted only in `part`."""
    old, new = before.set_index("clip_id"), now.set_index("clip_id")
    hashed = new["source_hash"].iloc[part]
    before_hash = old["source_hash"].reindex(hashed.index, fill_value="")
    kept = new.index.intersection(old.index)
    counts = {
        "new clip": len(new) - len(kept),
        "removed clip": len(old) - len(kept),
        "changed clip": (before_hash.ne("") & before_hash.ne(hashed)).sum(),
        "changed label": (old["label"][kept] != new["label"][kept]).sum(),
    }
    return [counted(int(count), what) for what, count in counts.items() if count]


def rows_of_part(part: str, count: int) -> slice:
    """The rows of a part such as `3/16`; RequestError if it is malformed."""
    first, _, second = part.partition("/")
    number, total = whole_number(first), whole_number(second)
    if not 1 <= number <= total:
        raise RequestError(
            f"PART={shortened(part)}: expected a part and the number of parts, as 3/16"
        )
    return slice(count * (number - 1) // total, count * number // total)


def with_frame(feature_name: FeatureName, milliseconds: float) -> FeatureName:
    """The feature with frames of this length, unless it has none or states its own.

    >>> str(with_frame(parse_feature_name("mel@n_mels=64"), 46))
    'mel@frame=46,n_mels=64'
    """
    stated = dict(feature_name.parameters)
    feature = str(stated.get("of", feature_name.name))  # the feature whose map is read
    declared = FEATURES[feature].declared.keys() if FEATURES.knows(feature) else set()
    if stated.keys() & FRAMING or not declared & FRAMING:
        return feature_name
    framed = sorted({**stated, "frame": milliseconds}.items())
    return FeatureName(feature_name.name, tuple(framed), feature_name.rows)


def long_frames_notes(
    features: Iterable[FeatureDefinition], sample_rate: int
) -> list[str]:
    """A line that says how long the frames are, if they are long."""
    samples = max(int(feature.parameters.get("n_fft") or 0) for feature in features)
    if samples <= LONG / 1000 * sample_rate:
        return []
    lasts = 1000 * samples / sample_rate
    note = (
        f"a frame of {samples} samples lasts {lasts:.0f} ms at {sample_rate} Hz:"
        f" FRAME={TRIED:g} asks for frames of {TRIED:g} ms"
    )
    return [note + see("howto/datasets.md")]
