"""`fs.Features`: features of clips as a transformer of scikit-learn."""

from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from featurestack.commandline.errors import RequestError, shortened
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.interface import compute, read
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES

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
        cache: Path | str | None = None,
    ) -> None:
        self.features = features
        self.sample_rate = sample_rate
        self.cache = cache

    def fit(self, X: Clips, y: object = None) -> Self:
        """Find the names of the numbers; nothing is learned from the clips."""
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

    def _vectors(self, clips: Clips) -> Iterator[dict[str, float]]:
        """Name -> number of each clip."""
        if isinstance(clips, str | Path | Clip) or hasattr(clips, "columns"):
            raise RequestError(
                f"Features: expected a list of clips, as cache.clips.path, got"
                f" {shortened(' '.join(repr(clips).split()))}"
            )
        wanted = self.features
        wanted = wanted if isinstance(wanted, str) else " ".join(wanted)
        channels = [*chain(*parse_list(wanted, list(FEATURES.complete())))]
        cache = cache_of(str(self.cache), Path("data")) if self.cache else None
        rate = cache.sample_rate if cache else self.sample_rate
        ids = dict(zip(cache.clips["path"], cache.clips["clip_id"])) if cache else {}
        for given in clips:
            path = str(Path(given).resolve()) if isinstance(given, str | Path) else ""
            clip = None
            vector: dict[str, float] = {}
            for channel in channels:
                if cache and path in ids and channel in cache:
                    values = cache.read(channel, [ids[path]])[0]
                    unit = cache[channel].frame_unit
                else:
                    seconds = cache.duration if cache else None
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


def clip_of(given: Any, rate: int, seconds: float | None) -> Clip:
    """The clip of a path, or of samples (N,)."""
    if isinstance(given, str | Path):
        return read(given, rate, seconds)
    if isinstance(given, Clip) and given.sample_rate == rate:
        return given
    y = np.asarray(given)
    usable = y.ndim == 1 and y.dtype.kind in "fiu" and y.size and np.isfinite(y.sum())
    if not usable:
        raise RequestError(
            f"Features: a {type(given).__name__} of shape {y.shape}; expected a path,"
            f" finite samples (N,), or a clip of {rate} Hz"
        )
    return Clip(y.astype(np.float32), rate)
