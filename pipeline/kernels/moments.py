"""Mean, maximum and deviation of columns in one pass."""

# mypy: allow-untyped-defs

import numpy as np
from numpy.typing import NDArray

from featurestack.pipeline.kernels import compiled

Column = NDArray[np.float64]


def moments(x: NDArray) -> tuple[Column, Column, Column]:
    """`x.mean(0), x.max(0), x.std(0)` of x (rows, columns), in float64: exact for
    integers, of which no copy is made.
    """
    single = x if x.dtype.kind in "iu" else x.astype(np.float32, copy=False)
    total, squares, most = _sums(single)
    mean = total / len(x)
    return mean, most, np.sqrt(np.maximum(squares / len(x) - mean**2, 0))


@compiled
def _sums(x):
    rows, columns = x.shape
    total, squares = np.zeros(columns), np.zeros(columns)
    most = np.full(columns, -np.inf)
    for row in range(rows):
        for column in range(columns):
            value = np.float64(x[row, column])
            total[column] += value
            squares[column] += value * value
            most[column] = max(most[column], value)
    return total, squares, most
