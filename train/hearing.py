"""From sounds to a run's features, exactly as its cache held them: same functions, rounding and rows."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commandline import RequestError
from features_cache.names import parse_channel
from features_cache.writer import to_stored
from pipeline.clip import Clip
from pipeline.features import REGISTRY, Variant, resolve

Samples = NDArray[np.float32]
Values = list[NDArray[np.floating]]  # one array a channel

AT_ONCE = 16  # clips a batch: a network is no faster from here on, and 16 clips of any features are small


class Hearing:
    """Computes the channels of a run, as run.json describes them, for clips of the run's rate and length."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.sample_rate = int(config["sample_rate"])
        self.samples = round(config["duration"] * self.sample_rate)
        self.channels = [
            (_variant(one["stored"]), np.dtype(one["dtype"]), slice(one["rows"][0], one["rows"][1] + 1))
            for one in config["channels"]
        ]

    def __call__(self, y: Samples) -> Values:
        """The stored values of one clip, y (samples,): (rows, frames) a channel."""
        clip = Clip(y, self.sample_rate)
        return [_stored(variant.compute(clip), dtype)[rows] for variant, dtype, rows in self.channels]

    def batches(self, clips: Iterable[Samples]) -> Iterator[Values]:
        """(B, rows, frames) a channel, B up to AT_ONCE: endless clips take constant memory.

        The clips of a batch are computed side by side: numpy's and scipy's transforms let other threads run.
        """
        rest = iter(clips)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(itertools.islice(rest, AT_ONCE)):
                yield [np.stack(channel) for channel in zip(*pool.map(self, batch), strict=True)]


def _stored(values: NDArray[np.floating], dtype: np.dtype) -> NDArray[np.floating]:
    return to_stored(values, values.shape, dtype)


def _variant(stored: str) -> Variant:
    channel = parse_channel(stored)
    if channel.name not in REGISTRY:
        raise RequestError(
            f"the run uses {stored}, which was brought into its cache: nothing computes it for new sounds"
        )
    return resolve(channel)
