"""`fs.Features`: features of clips as a transformer of scikit-learn."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import parse_channel, parse_list
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, resolve_feature

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
    cache : path, optional
        Folder of a feature cache. Features of its clips are read from it; its sample
        rate and duration are used.

    Examples
    --------
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
        cache: Path | str | None = None,
    ) -> None:
        self.features = features
        self.sample_rate = sample_rate
        self.cache = cache

    def fit(self, X: Clips, y: object = None) -> Self:
        """Find the names of the numbers; nothing is learned from the clips."""
        first = next(self._vectors(X[:1]), None)
        if first is None:
            raise RequestError("Features: expected at least one clip, there is none")
        self.feature_names_out_ = np.array([*first], object)
        return self

    def transform(self, X: Clips) -> NDArray[np.float32]:
        """(clips, numbers) from paths of audio files, or from arrays (samples,)."""
        check_is_fitted(self)
        rows = [[*vector.values()] for vector in self._vectors(X)]
        shape = len(rows), len(self.feature_names_out_)
        return np.array(rows, np.float32).reshape(shape)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """(numbers,), such as "mel 3 mean", the mean of row 3 of mel."""
        check_is_fitted(self)
        return self.feature_names_out_

    def _vectors(self, clips: Clips) -> Iterator[dict[str, float]]:
        """Name -> number of each clip."""
        if isinstance(clips, str | Path):
            raise RequestError(f"Features: expected a list of clips, got one: {clips}")
        wanted = self.features
        wanted = wanted if isinstance(wanted, str) else " ".join(wanted)
        sets = parse_list(wanted, list(FEATURES.complete()))
        cache = Cache(Path(self.cache)) if self.cache else None
        rate = cache.sample_rate if cache else self.sample_rate
        ids = dict(zip(cache.clips["path"], cache.clips["clip_id"])) if cache else {}
        for clip in clips:
            path = str(Path(clip).resolve()) if isinstance(clip, str | Path) else ""
            computed = None
            vector: dict[str, float] = {}
            for channel in [channel for channels in sets for channel in channels]:
                if cache and path in ids and channel in cache:
                    values = cache.read(channel, [ids[path]])
                    unit = cache[channel].frame_unit
                else:
                    computed = computed or Clip(samples_of(clip, rate, cache), rate)
                    variant = resolve_feature(parse_channel(str(channel)), rate)
                    values = variant.compute(computed)[None]
                    values = values[:, channel.kept_rows(values.shape[1])]
                    unit = variant.feature.frame_unit
                vector |= described(str(channel), values, unit)
            yield vector


def samples_of(clip: Any, rate: int, cache: Cache | None) -> NDArray[np.float32]:
    """(samples,) of a file or an array."""
    if isinstance(clip, str | Path):
        try:
            if cache:
                return audio.load_clip(clip, rate, cache.samples)
            return audio.decode(clip, rate)
        except audio.AudioError as error:
            raise RequestError(f"{clip}: {error}") from None
    y = np.asarray(clip)
    fits = y.ndim == 1 and y.size and y.dtype.kind in "fiu"
    if not fits or not np.isfinite(y).all():
        shape = f"shape {y.shape} and type {y.dtype}"
        raise RequestError(
            f"a clip of {shape}: expected a path, or finite samples (N,)"
        )
    return y.astype(np.float32)


def described(name: str, values: NDArray[np.floating], unit: str) -> dict[str, float]:
    """The numbers of one map (1, rows, frames) by their names."""
    _, rows, frames = values.shape
    if has_statistics(unit, frames):
        columns = ["mean", "sd"]
        numbers = over_time(values).reshape(2, rows).T
    else:
        numbers = values[0] @ column_means(rows, frames)
        columns = [str(column) for column in range(numbers.shape[1])]
    names = [f"{name} {row} {column}" for row in range(rows) for column in columns]
    return dict(zip(names, numbers.ravel().tolist(), strict=True))
