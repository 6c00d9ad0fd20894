"""Thresholds below which predictions are withheld."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError, nearest
from featurestack.results.config import BundleConfig
from featurestack.results.tasks.registry import task_of
from featurestack.train.options import TrainedOptions, parse_number

# length of the parts of a window whose levels are compared with GATE
LEVEL_SECONDS = 0.05
NO_ANSWER = "no answer"

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Rejection:
    """The thresholds of GATE and REJECT."""

    probability: float = -np.inf  # 0 would withhold negative numbers
    level: float = -np.inf  # dB of full scale

    @classmethod
    def of(cls, options: TrainedOptions, config: BundleConfig) -> "Rejection":
        """The options' thresholds; RequestError for REJECT with several labels."""
        if options.reject and not task_of(config.task).by_temperature:
            raise RequestError(
                "REJECT withholds one class; with several labels give THRESHOLD="
            )
        level = -np.inf if options.gate is None else options.gate
        return cls(options.reject or -np.inf, level)

    def answers(
        self, level: NDArray[np.floating], probabilities: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Whether windows (W,) are loud enough and (W, K) sure enough."""
        loud = level > self.level
        sure = probabilities.max(axis=1) >= self.probability
        return loud & sure


def class_thresholds(
    text: str, classes: Sequence[str], fitted: Mapping[str, float]
) -> dict[str, float]:
    """THRESHOLD (`text`) by class; other classes keep the run's own, else 0.5. Empty if
    no class has one.

    >>> class_thresholds("0.5,rain=0.3", ["dog", "rain"], {})
    {'dog': 0.5, 'rain': 0.3}
    """
    thresholds = dict(fitted)
    expected = "a probability from 0 to 1, or some by class, as dog=0.3,rain=0.6"
    named = set[str]()
    for part in text.split(",") if text else ():
        name, _, number = part.rpartition("=")
        if name in named:
            raise RequestError(f"THRESHOLD={text}: {name or 'a value'} occurs twice")
        named.add(name)
        if name and name not in classes:
            raise RequestError(nearest("class", name, classes))
        value = parse_number(number, f"THRESHOLD={text}: expected {expected}")
        thresholds |= dict.fromkeys([name] if name else classes, value)
    if not thresholds:
        return {}
    return {name: thresholds.get(name, 0.5) for name in classes}


def loudest_level(y: Samples, sample_rate: int) -> float:
    """The level of the loudest LEVEL_SECONDS, in dB of full scale; a full-scale sine
    has -3, silence -200.

    >>> round(loudest_level(np.full(1000, 0.1, np.float32), 8000))
    -20
    """
    length = max(1, round(LEVEL_SECONDS * sample_rate))
    padded = np.pad(y, (0, -len(y) % length))
    squares = np.square(padded, dtype=np.float64)
    powers = squares.reshape(-1, length).mean(axis=1)
    loudest = powers.max(initial=0)
    return float(10 * np.log10(loudest + 1e-20))
