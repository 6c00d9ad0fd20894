"""`fs.Features`: features of clips as a transformer of scikit-learn."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from featurestack.base import DATA
from featurestack.base.errors import RequestError
from featurestack.base.terminal import tell_once
from featurestack.cli.audio import RATE, compute
from featurestack.cli.notebook import cache as opened
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import (
    FeatureName,
    parse_feature_name,
    parse_list,
)
from featurestack.features_cache.row_statistics import is_time, summaries
from featurestack.features_cache.source_changes import audio_state
from featurestack.pipeline.audio import Info, file_infos
from featurestack.pipeline.clip_spectra import Clip, clip_of
from featurestack.pipeline.features import FEATURES, resolve_feature

PATH = str | Path
CACHE_BATCH = 256  # clips of a cache that are summarised at once


class Features(TransformerMixin, BaseEstimator):
    """Describe each clip by numbers: the mean and the deviation of every row of a
    feature over time, the values of a feature without frames.

    Parameters
    ----------
    features : str, or list of str
        Features separated by spaces; `all` are those of the cache.
    sample_rate : int, optional
        Rate in Hz to which files are resampled, and the rate of arrays; by default the
        cache's, else that of the files, which have to agree, else 44100.
    cache : Cache or path, optional
        Features of its clips are read from it; others are computed at its sample rate
        and duration.

    Examples
    --------
    >>> clips = [fs.tone(hertz).y for hertz in (200, 210, 2000, 2100)]
    >>> fs.Features("mel mfcc").fit_transform(clips).shape
    (4, 336)
    """

    def __init__(
        self,
        features: str | list[str] = "mel mfcc chroma",
        *,
        sample_rate: int | None = None,
        cache: Cache | Path | str | None = None,
    ) -> None:
        self.features, self.sample_rate, self.cache = features, sample_rate, cache

    def fit(self, X: Sequence[Any], y: object = None) -> Self:
        """Find the rate and the numbers' names; nothing is learned from the clips."""
        clips, cache = listed_clips(X), self._opened()
        if not clips:
            raise RequestError("Features: expected at least one clip, got none")
        rate = self.sample_rate or common_rate([cache] if cache else clips)
        # rate and seconds of what is computed
        self.audio_: tuple[int, float | None] = rate, None
        if cache:
            common_rate([cache], rate)
            self.audio_ = rate, cache.duration
        channels = self._channels(cache)
        self.channels_ = {c: computed_as(c, self.audio_[0], cache) for c in channels}
        self.versions_ = versions_of(channels)
        names = []
        for channel, block in self._blocks(clips[:1], cache).items():
            _, rows, columns = block.shape
            last = ("mean", "sd") if self.channels_[channel][1] else range(columns)
            names += [f"{channel} {row} {name}" for row in range(rows) for name in last]
        self.feature_names_out_ = np.array(names, object)
        return self

    def transform(self, X: Sequence[Any]) -> NDArray[np.float32]:
        """(clips, numbers) from paths of audio files, clips, or samples (N,)."""
        check_is_fitted(self)
        for name, here in versions_of(self.channels_).items():
            if here != self.versions_.get(name):
                raise RequestError(
                    f"this pipeline was fitted on {name} by version"
                    f" {self.versions_.get(name)}, here {here}: fit it again, or load"
                    " it with the code that it had"
                )
        clips, cache = listed_clips(X), self._opened()
        if not (self.sample_rate or self.audio_[1]):
            common_rate(clips, self.audio_[0])
        blocks = self._blocks(clips, cache).values() if clips else ()
        numbers = [block.reshape(len(clips), -1) for block in blocks]
        return np.hstack(numbers or [np.empty((0, len(self.feature_names_out_)))])

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """(numbers,), such as "mel 3 mean", the mean of row 3 of mel."""
        check_is_fitted(self)
        return self.feature_names_out_

    def __getstate__(self) -> dict[str, Any]:
        """With the cache's place: a saved pipeline also computes where it is not."""
        place = str(Path(self.cache).absolute()) if self.cache else None
        return {**super().__getstate__(), "cache": place}

    def _opened(self) -> Cache | None:
        if self.cache is None or isinstance(self.cache, Cache):
            return self.cache
        return opened(str(self.cache), DATA)

    def _channels(self, cache: Cache | None) -> list[FeatureName]:
        names = [self.features] if isinstance(self.features, str) else self.features
        return [*chain(*parse_list(" ".join(names), cache.features if cache else ()))]

    def _blocks(
        self, clips: list[Any], cache: Cache | None
    ) -> dict[FeatureName, NDArray]:
        """Channel -> (clips, rows, 2 for mean and deviation, or values)."""
        summary = self._stored(clips, cache) if cache else {}
        for number, given in enumerate(clips):
            absent = [c for c in self.channels_ if (c, number) not in summary]
            if not absent:
                continue
            clip = self._clip(given)
            for channel in absent:
                name, timed = self.channels_[channel]
                maps = compute(clip, name).values[None]
                summary[channel, number] = summaries(maps, timed)[0]
        return {
            channel: np.array([summary[channel, n] for n in range(len(clips))])
            for channel in self.channels_
        }

    def _stored(
        self, clips: list[Any], cache: Cache
    ) -> dict[tuple[FeatureName, int], NDArray]:
        """(channel, place of the clip) -> its numbers, as far as the cache has them."""
        rows = rows_of_files(cache, clips)
        places = np.flatnonzero(rows >= 0)
        summary: dict[tuple[FeatureName, int], NDArray] = {}
        for channel in filter(cache.__contains__, self.channels_):
            for start in range(0, len(places), CACHE_BATCH):
                batch = places[start : start + CACHE_BATCH]
                maps = cache.read(channel, rows[batch])
                numbers = summaries(maps, self.channels_[channel][1])
                summary |= dict(zip([(channel, n) for n in batch.tolist()], numbers))
        return summary

    def _clip(self, given: Any) -> Clip:
        """A path or samples as a clip of the rate and duration of `fit`."""
        rate, seconds = self.audio_
        its_own = isinstance(given, Clip)
        clip = clip_of(given, None if its_own else rate, seconds=seconds)
        return clip.fitted(rate, seconds)


def listed_clips(X: Any) -> list[Any]:
    """The clips of a list; RequestError for one clip, a table or a generator."""
    samples = isinstance(X, np.ndarray) and X.dtype.kind in "iuf" and X.ndim < 2
    no_list = isinstance(X, PATH) or not hasattr(X, "__len__")
    if samples or no_list or hasattr(X, "columns"):
        raise RequestError(
            "Features: expected a list of clips, such as table.path or [y], got one"
            f" {type(X).__name__}"
        )
    return list(X)


def common_rate(clips: list[Any], expected: int | None = None) -> int:
    """The sample rate of files, clips or a cache, which have to agree; else RATE."""
    infos = file_infos([clip for clip in clips if isinstance(clip, PATH)])
    timed = [each for each in (*infos, *clips) if isinstance(each, Info | Clip | Cache)]
    rates = {each.sample_rate for each in timed} | ({expected} if expected else set())
    if len(rates) > 1:
        texts = " and ".join(map(str, sorted(rates)))
        raise RequestError(f"sample rates of {texts} Hz: give one as sample_rate=")
    return min(rates, default=RATE)


def computed_as(
    channel: FeatureName, rate: int, cache: Cache | None
) -> tuple[str, bool]:
    """The name by which a feature is computed, and whether its columns are time."""
    if cache and channel in cache:
        maps = cache[channel]
        name = replace(
            parse_feature_name(maps.stored), rows=channel.rows
        )  # mel@frame=46
        return str(name), is_time(maps.frame_unit) and maps.frames > 1
    feature = resolve_feature(channel, rate)
    if cache:
        absent = f"the cache {cache.folder} lacks {channel}: it is computed each time"
        tell_once(f"{absent}; {cache.remedy(str(channel))}")
    return str(channel), is_time(feature.frame_unit) and feature.frames is not None


def versions_of(channels: Iterable[FeatureName]) -> dict[str, int | str]:
    """Feature -> the version of its code here; without those that others brought."""
    features = (FEATURES.find(channel.name) for channel in channels)
    return {feature.name: feature.code_version for feature in features if feature}


def rows_of_files(cache: Cache, files: Iterable[object]) -> NDArray[np.intp]:
    """(N,) the row of the cache for each of these audio files, which may be links; -1
    for files without a clip, files that have changed since the extraction, and values
    that are not paths. RequestError if a clip is only a part of its file.
    """
    clips = [(n, c) for n, c in enumerate(cache.sources.itertuples()) if c.path]
    by_path = {clip.path: (row, clip) for row, clip in clips}
    by_link: dict[str, tuple[int, Any]] = {}
    rows = []
    for file in files:
        path = str(file) if isinstance(file, PATH) else ""
        if path and path not in by_path:
            by_link = by_link or {os.path.realpath(p): by_path[p] for p in by_path}
            path = os.path.realpath(path)
        row, clip = by_path.get(path) or by_link.get(path) or (-1, None)
        if clip and clip.end:
            raise RequestError(
                f"{path}: a clip of {cache.folder} is only a part of it: give the"
                " samples of the clip"
            )
        rows.append(row if clip and audio_state(clip) != "changed" else -1)
    return np.array(rows, np.intp)
