"""Random batches from the cache, against RAM and the usual ways with HDF5: `python -m
bench.reading`.

A batch is 32 clips of mel, mfcc and chroma in float16, as for a training step. The ways
read the same clips in turns, so that a busy machine slows all of them. The clips'
checksums are compared before the first turn.
"""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.training import SHAPES, make_run
from bench.turns import ratio, take_turns
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.features_cache import Cache

BATCH = 32
Read = Callable[[NDArray[np.intp]], Any]


class ReadingOptions(Options):
    """Amount of data and rounds."""

    clips: int = option(2000, "clips in the cache")
    rounds: int = option(100, "batches of each way")
    seed: int = option(0, "seed of the batches")


def ways(cache: Cache, folder: Path) -> dict[str, Read]:
    """name -> function that reads a batch."""
    contiguous = [h5py.File(cache.folder / f"{name}.h5")["values"] for name in SHAPES]
    in_ram = [dataset[:] for dataset in contiguous]
    file = h5py.File(folder / "chunked.h5", "w")
    chunked = [
        file.create_dataset(name, data=values, chunks=(1, *values.shape[1:]))
        for name, values in zip(SHAPES, in_ram)
    ]
    return {
        "RAM": lambda rows: [np.take(values, rows, axis=0) for values in in_ram],
        "this cache": partial(cache.batch, list(SHAPES)),
        # h5py needs ascending indices
        "h5py, contiguous, fancy index": lambda rows: [
            dataset[np.sort(rows)] for dataset in contiguous
        ],
        "h5py, a chunk a clip, fancy index": lambda rows: [
            dataset[np.sort(rows)] for dataset in chunked
        ],
    }


def reading(options: ReadingOptions) -> None:
    """Time random batches."""
    rng = np.random.default_rng(options.seed)
    batches = [
        rng.choice(options.clips, BATCH, replace=False)
        for _ in range(1 + options.rounds)
    ]
    with tempfile.TemporaryDirectory(prefix="reading-") as name:
        folder = Path(name)
        cache = Cache(Path(make_run(folder / "cache", options.clips).dataset))
        # compares every checksum, once
        cache.batch(list(SHAPES), np.arange(options.clips))
        readers = ways(cache, folder)
        seconds = take_turns(
            {way: map(read, batches).__next__ for way, read in readers.items()},
            options.rounds,
        )
    rows = [
        (
            way,
            f"{1000 * statistics.median(taken):.2f}",
            f"{ratio(seconds, way, 'RAM'):.2f}",
        )
        for way, taken in seconds.items()
    ]
    print(
        text_table(
            rows, (f"{BATCH} random clips of {'+'.join(SHAPES)}", "ms", "times RAM")
        )
    )


if __name__ == "__main__":
    main([reading])
