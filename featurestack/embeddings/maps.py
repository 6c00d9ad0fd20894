"""The maps of other features, as `imagenet@of=NAME` and `texture@of=NAME` read them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.features_cache.feature_names import Channel, parse_channel
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.parameters import Impossible

LEVEL, SPREAD = -30.0, 20.0  # dB: about the mean and the deviation of ESC-50's mel
LEAST_DEVIATION = 1e-3
BANDS = 128  # behind a cepstrum, whose deviation falls about as 1 / (1 + row)


def standardised(values: NDArray, units: str) -> NDArray[np.float32]:
    """The map (rows, frames) with values around 0."""
    x = values.astype(np.float32)
    if units == "dB":
        return (x - LEVEL) / SPREAD
    if units == "dB, cepstrum":
        row = np.arange(len(x), dtype=np.float32)[:, None]
        size = np.float32(np.sqrt(BANDS))
        level = np.where(row == 0, LEVEL * size, 0)
        return (x - level) / (SPREAD * size / (1 + row))
    return (x - x.mean()) / max(x.std(), LEAST_DEVIATION)


def source_name(*, of: str, frame: float | None = None) -> str:
    """The stored name of the feature whose map is read, with frames of `frame`
    milliseconds; RequestError if its columns are not frames in time.
    """
    if of in ("", *FEATURES.special):
        raise RequestError(
            f"of={of}: expected a feature with frames in time, such as of=mel"
        )
    if FEATURES.knows(of) and FEATURES[of].frame_unit != "s":
        raise RequestError(f"of={of}: its columns are not frames in time")
    return Channel(of, (("frame", frame),) if frame else ()).stored


def one_column(
    sample_rate: int, samples: int, **parameters: Any
) -> NDArray[np.float64]:
    """(1,) the clip's beginning; Impossible if the feature whose map is read is
    impossible, or has a single frame.
    """
    channel = parse_channel(source_name(**parameters))
    if sample_rate and FEATURES.knows(channel.name):  # it was not brought
        source = resolve_feature(channel, sample_rate)
        if source.shape(sample_rate, samples)[1] < 2:
            raise Impossible(f"{source.stored} has a single frame")
    return np.zeros(1)
