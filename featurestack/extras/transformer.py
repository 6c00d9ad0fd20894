"""`fs.Features`: features of clips as a transformer of scikit-learn."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, product
from pathlib import Path
from typing import Any, Self

import cloudpickle
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featurestack.base.errors import RequestError
from featurestack.base.quantities import counted
from featurestack.base.terminal import tell_once
from featurestack.cli.audio import RATE, compute, read
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.feature_names import Channel, parse_channel, parse_list
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.features_cache.source_changes import audio_state
from featurestack.pipeline.audio import Info, checked_rate, file_infos
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, resolve_feature

SECONDS = 5.0  # without a cache, `all` and `small` are what clips this long can have
Clips = Sequence[Any] | NDArray[np.generic]
Names = dict[Channel, str]
Audio = tuple[int, float | None, int]  # sample rate, seconds, channel


class Features(TransformerMixin, BaseEstimator):
    """Describe each clip by numbers: the mean and the deviation of every row of a
    feature over time, the values of a feature without frames.

    Parameters
    ----------
    features : str, default "mel mfcc chroma"
        Features separated by blanks, or `all` or `small`.
    sample_rate : int, optional
        Rate in Hz to which files are resampled, and the rate of arrays; by default the
        cache's, else 44100.
    cache : Cache or path, optional
        A feature cache, or its folder. Features of its clips are read from it, and
        others are computed at its sample rate and duration.

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
        sample_rate: int | None = None,
        cache: Cache | Path | str | None = None,
    ) -> None:
        self.features = features
        self.sample_rate = sample_rate
        self.cache = cache

    def fit(self, X: Clips, y: object = None) -> Self:
        """Find the names of the numbers; nothing is learned from the clips."""
        self.source_ = self._source(fitted=False)[1:]
        first = next(self._vectors(X), None)
        if first is None:
            raise RequestError("Features: expected at least one clip, there is none")
        self.feature_names_out_ = np.array([*first], object)
        return self

    def transform(self, X: Clips) -> NDArray[np.float32]:
        """(clips, numbers) from paths of audio files, clips, or samples (N,)."""
        rows = [[*vector.values()] for vector in self._vectors(X)]
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

    def __getstate__(self) -> dict[str, Any]:
        cache = self.cache
        place = cache.folder.absolute() if isinstance(cache, Cache) else cache
        known = [FEATURES.find(channel.name) for channel in self._channels()]
        used = [feature for feature in known if feature]
        own = cloudpickle.dumps([feature for feature in used if feature.code])
        code = {feature.name: str(feature.code_version) for feature in used}
        return {**super().__getstate__(), "cache": place, "own": own, "code": code}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # features of one's own, in another process
        for feature in cloudpickle.loads(state.pop("own")):
            if not FEATURES.knows(feature.name):
                FEATURES[feature.name] = feature
        for name, version in state.pop("code").items():
            here = FEATURES[name].code_version
            if str(here) != version:
                raise RequestError(
                    f"this pipeline was fitted on {name} by version {version}, here"
                    f" {here}: fit it again, or load it with the code that it had"
                )
        super().__setstate__(state)

    def _channels(self, taken: Audio | None = None) -> list[Channel]:
        """The features, without what such audio cannot have of `all` and `small`."""
        given = self.features
        text = given if isinstance(given, str) else " ".join(given)
        singles = list(FEATURES.complete())
        if taken and {"all", "small"} & {*text.split()}:
            singles = [name for name in singles if exists(name, taken)]
        return [*chain(*parse_list(text, singles))]

    def _source(self, *, fitted: bool) -> tuple[Cache | None, Audio, Names]:
        """The cache, what is taken of a file, and the name by which each feature is
        computed; without a cache those of the fit.
        """
        rate = None if self.sample_rate is None else checked_rate(self.sample_rate)
        place = self.cache and os.fspath(self.cache)
        cache = None
        try:
            cache = cache_of(str(place), Path("data")) if place else None
        except RequestError as error:
            if not fitted:
                text = f"cache={str(place)!r}: {error}; fs.extract makes a cache"
                raise RequestError(text) from None
            tell_once(f"there is no cache {place} here: features are computed anew")
        if cache is None:
            if fitted:
                return None, *self.source_
            return None, (rate or RATE, None, 0), {}
        if rate not in (None, cache.sample_rate):
            raise RequestError(
                f"sample_rate={rate}: the features of {cache.folder} have"
                f" {cache.sample_rate} Hz; leave sample_rate= or cache= out"
            )
        names = {}
        for channel in filter(cache.__contains__, self._channels()):
            stored = parse_channel(cache[channel].stored)  # such as mel@frame=46
            names[channel] = str(replace(stored, rows=channel.rows))
        return cache, (cache.sample_rate, cache.duration, cache.audio_channel), names

    def _vectors(self, clips: Clips) -> Iterator[dict[str, float]]:
        """Name -> number of each clip."""
        samples = isinstance(clips, np.ndarray) and clips.dtype.kind in "iuf"
        one = isinstance(clips, str | Path | Clip) or (samples and np.ndim(clips) == 1)
        if one or hasattr(clips, "columns"):
            raise RequestError(
                "Features: expected a list of clips, such as table.path or [y], got one"
                f" {type(clips).__name__}"
            )
        fitted = hasattr(self, "source_")
        cache, taken, names = self._source(fitted=fitted)
        ids = ids_by_path(cache) if cache else {}
        channels = self._channels(taken)
        paths = [real(given) for given in clips]
        known = cache and not ids.keys().isdisjoint(paths)
        cached = cached_of(channels, cache) if cache and known else set()
        tell_unfit([*filter(None, paths)], cache, ids, taken[0])
        for given, path in zip(clips, paths, strict=True):
            clip = None
            vector: dict[str, float] = {}
            for channel in channels:
                if cache and path in ids and channel in cached:
                    values = cache.read(channel, [ids[path]])[0]
                    unit = cache[channel].frame_unit
                else:
                    clip = clip or clip_of(given, *taken)
                    computed = compute(clip, names.get(channel, str(channel)))
                    values, unit = computed.values, computed.frame_unit
                vector |= described(channel, values, unit)
            yield vector


def cached_of(channels: Sequence[Channel], cache: Cache) -> set[Channel]:
    """The features that the cache has; the others are told once."""
    found = {channel for channel in channels if channel in cache}
    for channel in sorted(map(str, {*channels} - found)):
        resolve_feature(parse_channel(channel), cache.sample_rate)  # a wrong name
        tell_once(
            f"the cache {cache.folder} lacks {channel}: it is computed each time;"
            f" {cache.remedy(channel)}"
        )
    return found


def exists(name: str, taken: Audio) -> bool:
    """Whether such clips can have the feature; if not, the reason is printed once."""
    rate, seconds, _ = taken
    try:
        feature = resolve_feature(parse_channel(name), rate)
        feature.shape(rate, round((seconds or SECONDS) * rate))
    except RequestError as reason:  # Impossible, or a network is not here
        tell_once(f"left out: {reason}")
        return False
    return True


def real(given: object) -> str:
    """A path without links and `..`; '' for samples."""
    return os.path.realpath(given) if isinstance(given, str | Path) else ""


def ids_by_path(cache: Cache) -> dict[str, str]:
    """Real path -> clip id, for clips that are whole files, as they were extracted."""
    files = cache.sources[cache.sources["end"] == 0]
    states = pd.Series([*map(audio_state, files.itertuples())], files.index, dtype=str)
    changed = states == "changed"
    if changed.any():
        tell_once(
            f"{counted(int(changed.sum()), 'file')} changed after the extraction into"
            f" {cache.folder}: features of them are computed anew"
        )
    same = files[~changed]
    return dict(zip(map(real, same["path"]), same["clip_id"]))


def tell_unfit(
    files: Sequence[str], cache: Cache | None, ids: Mapping[str, str], rate: int
) -> None:
    """Say once what the user may not have meant: a path several times, files that are
    not in the cache or have a lower rate.
    """
    if len({*files}) < len(files):
        tell_once(
            "a path is given several times, and means the whole file: give the samples"
            " of its parts"
        )
    if cache:
        if files and ids.keys().isdisjoint(files):
            tell_once(
                f"the cache {cache.folder} has none of these clips: their features are"
                " computed anew"
            )
        return
    rates = [info.sample_rate for info in file_infos(files) if isinstance(info, Info)]
    lowest = min(rates, default=rate)
    if lowest < rate:
        tell_once(
            f"files have {lowest} Hz, sample_rate={rate}: the upper bands are empty;"
            f" give sample_rate={lowest}, or cache="
        )


def clip_of(given: Any, rate: int, seconds: float | None, channel: int) -> Clip:
    """The clip of a path, or of samples (N,), of so many seconds if they are given."""
    if isinstance(given, str | Path):
        return read(given, rate, seconds, channel)
    clip = given if isinstance(given, Clip) else Clip(given, rate)
    if clip.sample_rate != rate:
        raise RequestError(
            f"Features: a clip of {clip.sample_rate} Hz; expected {rate} Hz"
        )
    samples = round(seconds * rate) if seconds else len(clip.y)
    if len(clip.y) != samples:  # as in a cache
        y = np.pad(clip.y[:samples], (0, max(0, samples - len(clip.y))))
        clip = Clip(y, rate)
    return clip


def described(
    channel: Channel, values: NDArray[np.floating], frame_unit: str
) -> dict[str, float]:
    """Name -> number of a feature map (rows, frames)."""
    rows, frames = values.shape
    columns: Sequence[object] = ("mean", "sd")
    if has_statistics(frame_unit, frames):
        numbers = over_time(values[None]).reshape(2, rows).T
    else:
        numbers = values @ column_means(rows, frames)
        columns = range(numbers.shape[1])
    names = [f"{channel} {row} {own}" for row, own in product(range(rows), columns)]
    return dict(zip(names, numbers.ravel().tolist(), strict=True))
