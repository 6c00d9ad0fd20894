"""`train run` for torchrun, which notes the clips that this process reads: rows of the table, in order."""

import os
import sys
from pathlib import Path

import numpy as np

from commandline.commands import main
from features_cache import Cache
from train.__main__ import COMMANDS

if __name__ == "__main__":
    told = Path(sys.argv.pop(1))
    read = Cache.read
    rows = []

    def noting(cache, channel, ids):
        rows.extend(cache.positions(ids).tolist())
        return read(cache, channel, ids)

    Cache.read = noting
    try:
        main(COMMANDS)
    finally:
        np.save(told / f"{os.environ['RANK']}.npy", np.array(rows, int))
