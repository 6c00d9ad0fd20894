"""The score of a configuration with its interval, as text shows it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from featurestack.commandline.quantities import percent


def by_unit(unit: str) -> str:
    """The unit that the bootstrap of an interval draws, in words.

    >>> by_unit("recording")
    'by recording'
    >>> by_unit("block")
    'by block, for these recordings alone'
    """
    return f"by {unit}" + (", for these recordings alone" if unit == "block" else "")


@dataclass(frozen=True)
class Score:
    """The score of a configuration, a mean over its seeds, its 95 % interval by
    recording (NaN for a single recording), and the folds' own means over seeds.
    """

    mean: float
    low: float
    high: float
    by_fold: "pd.Series[float]"
    unit: str = ""  # `block` if the interval is by block of few recordings

    def __str__(self) -> str:
        """
        >>> str(Score(0.835, 0.791, 0.87, pd.Series([0.83, 0.84])))
        '83.5 % (95 % CI 79.1 to 87.0)'
        """
        text = f"{percent(self.mean)} %"
        if not self.interval:
            return text
        by = f", {by_unit(self.unit)}" if self.unit == "block" else ""
        return f"{text} (95 % CI {self.interval}{by})"

    @property
    def interval(self) -> str:
        """`79.1 to 87.0`; '' if there is none."""
        if np.isnan(self.low):
            return ""
        return f"{percent(self.low)} to {percent(self.high)}"
