"""External features: feature maps from an array, and caches without audio.

    external.create_cache(folder, {"clip_id": ids, "label": labels, "fold": folds})
    external.write_feature(folder, "embedding", vectors, ids)   # (B, D)

    make train DATASET=<folder> FEATURES=embedding

A feature can also join a cache that `make features` made. Training leaves out clips
that it lacks. If a clip's audio changes later, its row no longer counts as done.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featurestack.base.errors import RequestError
from featurestack.base.quantities import counted
from featurestack.features_cache import clip_table, feature_names, hdf5
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.datasets import EXTERNAL, is_cache
from featurestack.features_cache.index_file import refresh
from featurestack.features_cache.writer import install

VALUES_HASH = "values_hash"  # among the recorded parameters


def create_cache(
    folder: Path,
    table: pd.DataFrame | Mapping[str, Sequence[object]],
    *,
    dataset: str = "",
    sample_rate: int = 0,
    duration: float = 0.0,
) -> None:
    """Create a cache without features; `write_feature` adds them.

    folder       the new cache; RequestError if it is a cache already
    table        one row per clip: `clip_id`, `label`, `fold`, and optionally `group`
                 (by default every clip is its own), `category`, `path`, `train_only`;
                 ; separates several labels, and then a clip may have none
    dataset      the name in run folders and reports; by default the folder's name
    sample_rate  Hz, of the audio behind the features; 0 if there is none
    duration     seconds of a clip; 0 if there is none

        clips = {"clip_id": ["a", "b"], "label": ["yes", "no"], "fold": [1, 2]}
        create_cache("data/speech", clips)
    """
    folder = Path(folder)
    if not folder.name.strip("."):
        raise RequestError(f"{folder}: give the folder a name of its own")
    if is_cache(folder):
        raise RequestError(f"{folder} is a cache already")
    settings = {
        "dataset": dataset or folder.name,
        "source": EXTERNAL,
        "synthetic": 0,
        "sample_rate": sample_rate,
        "samples": round(sample_rate * duration),
    }
    clips = clip_table.complete(table)
    absent = clips["clip_id"][clips["label"] == ""]
    several = clips["label"].str.contains(clip_table.SEPARATOR, regex=False).any()
    if len(absent) and not (several or clip_table.has_windows(clips)):
        raise RequestError(
            f"{absent.iloc[0]} has no label, like {len(absent):,} of"
            f" {counted(len(clips), 'row')}: write one, or remove the rows"
        )
    refresh(folder, clip_table.with_sources(clips, None), settings)


def values_hash(array: NDArray, ids: Iterable[str]) -> str:
    """The hash of feature maps and their clips, 16 hexadecimal digits."""
    digest = blake2b("\n".join(ids).encode(), digest_size=8)
    digest.update(str(array.dtype).encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def write_feature(
    folder: Path,
    name: str,
    values: "ArrayLike",
    clip_ids: Sequence[str],
    *,
    dtype: str = "float16",
    **about: Any,
) -> None:
    """Write an external feature into a cache, so that FEATURES= can name it.

    folder    the cache
    name      the new feature's name, one word
    values    (B,), (B, rows) or (B, rows, frames), one entry per clip id; write several
              planes as one feature each, which FEATURES=a+b+c joins
    clip_ids  (B,) ids of the cache's clips; training leaves out the others
    dtype     float16 or float32, the type of the stored values
    about     fields of CachedFeature: `units`, `row_axis` (rows,), `frame_axis`
              (frames,), their units, and `parameters`, part of every fingerprint

    RequestError for a bad or existing name, another shape, unknown or repeated ids,
    NaN, infinity or overflow, OSError for a full disk; the cache is then unchanged.

        write_feature("data/speech", "embedding", np.zeros((2, 512)), ["a", "b"])
    """
    if not is_cache(Path(folder)):
        raise RequestError(f"{folder} is not a cache: external.create_cache makes one")
    cache = Cache(folder)
    clips = cache.sources
    if (
        feature_names.parse_feature_name(name) != feature_names.FeatureName(name)
        or name in feature_names.NO_FEATURE_NAMES
    ):
        raise RequestError(
            f"{name!r}: an external feature's name is one word, and none of"
            f" {', '.join(feature_names.NO_FEATURE_NAMES)}"
        )
    array, count = np.asarray(values), len(clip_ids)
    if array.ndim not in (1, 2, 3) or len(array) != count or 0 in array.shape:
        raise RequestError(
            f"{name}: values of shape {array.shape} for {count} clips; expected"
            f" ({count}, rows, frames)"
        )
    array = array.reshape(*array.shape, *[1] * (3 - array.ndim))
    for axis, length in zip(hdf5.AXES, array.shape[1:]):
        about[axis] = np.asarray(about.get(axis, range(length)), float)
        if about[axis].shape != (length,):
            raise RequestError(
                f"{name}: a {axis} of shape {about[axis].shape}, expected ({length},)"
            )
    ids = pd.Index(np.asarray(clip_ids).astype(str))
    if (twice := ids[ids.duplicated()]).size:
        raise RequestError(f"{name}: clip ids that occur twice: {', '.join(twice[:5])}")
    parameters = dict(about.pop("parameters", {}))
    # so that runs on other values of the same name are other runs
    parameters[VALUES_HASH] = values_hash(array, ids)
    feature = hdf5.CachedFeature(
        path=cache.folder / f"{name}.h5",
        stored=name,
        feature=name,
        dtype=dtype,
        sample_rate=cache.sample_rate,
        samples=cache.samples,
        parameters=parameters,
        **about,
    )
    maps = zip(ids, cache.positions(ids.to_numpy()).tolist(), array)
    install(feature, cache.ids, _stored(feature, cache.keys, maps))
    refresh(cache.folder, clips, cache.settings)


def _stored(
    feature: hdf5.CachedFeature,
    keys: NDArray[np.uint64],
    maps: Iterable[tuple[str, int, NDArray]],
) -> Iterator[tuple[int, NDArray, int]]:
    """(row, values as stored, state word) of (clip, row, values)."""
    states = hdf5.fingerprints(keys, feature.key)
    for clip, row, plane in maps:
        try:
            converted = hdf5.to_stored(plane, feature.dtype)
        except (ValueError, TypeError) as error:
            raise RequestError(f"{feature.stored}, {clip}: {error}") from None
        yield row, converted, hdf5.state_word(int(states[row]), converted)
