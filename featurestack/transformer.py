"""`fs.Features`: features of clips as a transformer of scikit-learn."""

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featurestack.commandline.commands import argument
from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell_once
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.interface import compute, read
from featurestack.pipeline.audio import Info, checked_rate, file_infos
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES

NO_CLIP = "Features: expected at least one clip, there is none"
Clips = Sequence[Any] | NDArray[np.generic]


class Features(TransformerMixin, BaseEstimator):
    """Describe each clip by numbers: the mean and the deviation of every row of a
    feature over time, the values of a feature without frames.

    Parameters
    ----------
    features : str, default "mel mfcc chroma"
        Features separated by blanks, as in FEATURES=; `all` and `small` too.
    sample_rate : int, default 44100
        Rate in Hz to which files are resampled, and the rate of arrays.
    cache : Cache or path, optional
        A feature cache, or its folder. Features of its clips are read from it; its
        sample rate and duration are used.

    Examples
    --------
    >>> fs.Features("mel mfcc").transform([fs.tone(200).y, fs.tone(2000).y]).shape
    (2, 336)
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> model = make_pipeline(fs.Features("mel mfcc"), SVC())
    >>> clips = [fs.tone(hertz).y for hertz in (200, 210, 2000, 2100)]
    >>> model.fit(clips, ["low", "low", "high", "high"]).predict([fs.tone(205).y])
    array(['low'], dtype='<U4')
    """

    def __init__(
        self,
        features: str | Sequence[str] = "mel mfcc chroma",
        *,
        sample_rate: int = 44_100,
        cache: Cache | Path | str | None = None,
    ) -> None:
        self.features = features
        self.sample_rate = sample_rate
        self.cache = cache

    def fit(self, X: Clips, y: object = None) -> Self:
        """Find the names of the numbers; nothing is learned from the clips."""
        first = next(self._vectors(X), None)
        if first is None:
            raise RequestError(NO_CLIP)
        self.feature_names_out_ = np.array([*first], object)
        return self

    def transform(self, X: Clips) -> NDArray[np.float32]:
        """(clips, numbers) from paths of audio files, clips, or samples (N,)."""
        rows = [[*vector.values()] for vector in self._vectors(X)]
        if not rows and not hasattr(self, "feature_names_out_"):
            raise RequestError(NO_CLIP)
        width = len(rows[0]) if rows else len(self.get_feature_names_out())
        return np.array(rows, np.float32).reshape(-1, width)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """(numbers,), such as "mel 3 mean", the mean of row 3 of mel."""
        check_is_fitted(self, "feature_names_out_")
        return self.feature_names_out_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def _vectors(self, clips: Clips) -> Iterator[dict[str, float]]:
        """Name -> number of each clip."""
        samples = isinstance(clips, np.ndarray) and clips.dtype.kind in "iuf"
        one = isinstance(clips, str | Path | Clip) or (samples and np.ndim(clips) == 1)
        if one or hasattr(clips, "columns"):
            got = shortened(" ".join(repr(clips).split()))
            if hasattr(clips, "columns"):
                got = f"a {type(clips).__name__}: give its column of paths, table.path"
            elif samples:
                got = "one array: give [y]"
            raise RequestError(
                f"Features: expected a list of clips, as cache.clips.path, got {got}"
            )
        wanted = self.features
        wanted = wanted if isinstance(wanted, str) else " ".join(wanted)
        channels = [*chain(*parse_list(wanted, list(FEATURES.complete())))]
        place = argument("fs.Features", "cache", self.cache)
        cache = cache_of(str(place), Path("data")) if place else None
        rate = cache.sample_rate if cache else checked_rate(self.sample_rate)
        seconds = cache.duration if cache else None
        ids = ids_by_path(cache) if cache else {}
        files = [real(given) for given in clips if isinstance(given, str | Path)]
        if cache and files and not ids.keys() & {*files}:
            warnings.warn(
                f"none of the {counted(len(files), 'file')} is in the cache"
                f" {cache.folder}: features are computed anew",
                stacklevel=4,
            )
        slow = lowest_rate(files) if not cache else rate
        if slow < rate:
            tell_once(
                f"files have {slow} Hz, sample_rate={rate}: the upper bands are empty;"
                f" give sample_rate={slow}, or cache="
            )
        for given in clips:
            path = real(given) if isinstance(given, str | Path) else ""
            clip = None
            vector: dict[str, float] = {}
            for channel in channels:
                if cache and path in ids and channel in cache:
                    values = cache.read(channel, [ids[path]])[0]
                    unit = cache[channel].frame_unit
                else:
                    clip = clip or clip_of(given, rate, seconds)
                    computed = compute(clip, str(channel))
                    values, unit = computed.values, computed.frame_unit
                rows, frames = values.shape
                columns: Sequence[object] = ("mean", "sd")
                numbers = over_time(values[None]).reshape(2, rows).T
                if not has_statistics(unit, frames):
                    numbers = values @ column_means(rows, frames)
                    columns = range(numbers.shape[1])
                for row, column in product(range(rows), range(len(columns))):
                    name = f"{channel} {row} {columns[column]}"
                    vector[name] = float(numbers[row, column])
            yield vector


def real(path: Path | str) -> str:
    """The path without links and `..`."""
    return os.path.realpath(path)


def ids_by_path(cache: Cache) -> dict[str, str]:
    """Real path -> clip id, for clips that are whole files."""
    whole = cache.clips[cache.clips["end"] == 0]
    return dict(zip(map(real, whole["path"]), whole["clip_id"]))


def lowest_rate(files: Sequence[str]) -> float:
    """The lowest sample rate of files that can be read."""
    known = [info for info in file_infos(files) if isinstance(info, Info)]
    return min((info.sample_rate for info in known), default=math.inf)


def clip_of(given: Any, rate: int, seconds: float | None) -> Clip:
    """The clip of a path, or of samples (N,)."""
    if isinstance(given, str | Path):
        return read(given, rate, seconds)
    if not isinstance(given, Clip):
        return Clip(given, rate)
    if given.sample_rate != rate:
        raise RequestError(
            f"Features: a clip of {given.sample_rate} Hz; expected {rate} Hz"
        )
    return given
