"""Clips read from the cache for pictures and statistics; a damaged clip is left out, never fatal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError
from features_cache import Cache, UnreadableClips
from features_cache.table import originals

BATCH = 16  # clips: the largest feature of five seconds is then 14 MB a batch


def opened(folder: Path | None) -> tuple[Cache | None, list[str], list[str]]:
    """The cache, the features whose files can be opened, and a sentence for everything that cannot."""
    if folder is None:
        return None, [], []
    try:
        cache = Cache(folder)
        cache.clips, cache.duration, cache.features  # noqa: B018 - read here, so that damage shows here
    except RequestError as error:
        return None, [], [str(error)]
    usable, problems = [], []
    for name in cache.features:
        try:
            cache[name].done()
        except RequestError as error:
            problems.append(str(error))
        else:
            usable.append(name)
    return cache, usable, problems


def clips_of(cache: Cache) -> pd.DataFrame:
    """The clip table without altered copies."""
    return originals(cache.clips)


def batches(
    cache: Cache, feature: str, ids: Sequence[str], size: int = BATCH
) -> Iterator[tuple[list[str], NDArray[np.floating]]]:
    """(ids, values (B, rows, frames)) of those clips that can be read, in the order given."""
    done = cache[feature].done(np.asarray(ids, str))
    readable = [clip for clip, whole in zip(ids, done, strict=True) if whole]
    for start in range(0, len(readable), size):
        part = readable[start : start + size]
        try:
            yield part, cache.read(feature, np.asarray(part, str))
        except UnreadableClips as damaged:
            part = [clip for clip in part if clip not in damaged.reasons]
            if part:
                yield part, cache.read(feature, np.asarray(part, str))


def one(cache: Cache, feature: str, clip_id: str) -> NDArray[np.float32] | None:
    """(rows, frames) of one clip; None where it cannot be read."""
    for _, values in batches(cache, feature, [clip_id]):
        return np.asarray(values[0], np.float32)
    return None


def is_picture(cache: Cache, feature: str) -> bool:
    """Whether a feature has enough rows to be looked at as a picture."""
    return cache[feature].rows > 1


def drawn_by_class(table: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """At most `most` clips, as many of each class as the others as far as it has them, in table order."""
    if len(table) <= most:
        return table
    shuffled = table.iloc[rng.permutation(len(table))]
    turn = shuffled.groupby("label").cumcount()
    return table.loc[turn.sort_values(kind="stable").index[:most]].sort_index()
