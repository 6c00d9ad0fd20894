"""`python -m tests.compiled`: compile librosa's functions in one process, before the
tests use several.

Processes that compile them at the same time can leave numba's files on disk broken:
every later call of such a function is a segmentation fault.
"""

import numpy as np

from tests import reference

RATE = 22050  # Hz

if __name__ == "__main__":
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    for name in reference.DEFINITIONS:
        reference.compute(name, noise, RATE)
