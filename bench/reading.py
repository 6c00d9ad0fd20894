"""Random batches from the cache, against RAM and the usual ways with HDF5: `python -m bench.reading`.

A batch is 32 clips of mel, mfcc and chroma in float16, as for a training step. All ways read the same clips
in turn in every round, so that a busy machine slows all of them. Every clip's CRC is checked before.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.training import SHAPES, make_run
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import text_table
from features_cache import Cache

BATCH = 32
Read = Callable[[NDArray[np.intp]], Any]


class ReadingOptions(Options):
    """Amount of data and rounds."""

    clips: int = option(2000, "clips in the cache")
    rounds: int = option(200, "batches of each way")
    seed: int = option(0, "seed of the batches")


def ways(cache: Cache, folder: Path) -> dict[str, Read]:
    """name -> function that reads a batch."""
    contiguous = {name: h5py.File(cache.folder / f"{name}.h5") for name in SHAPES}
    in_ram = {name: file["values"][:] for name, file in contiguous.items()}
    chunked = h5py.File(folder / "chunked.h5", "w")
    for name, values in in_ram.items():
        chunked.create_dataset(name, data=values, chunks=(1, *values.shape[1:]))

    def fancy(file: Callable[[str], h5py.Dataset]) -> Read:
        def read(rows: NDArray[np.intp]) -> list[NDArray[Any]]:
            rows = np.sort(rows)  # h5py needs ascending indices
            return [file(name)[rows] for name in SHAPES]

        return read

    return {
        "RAM": lambda rows: [np.take(values, rows, axis=0) for values in in_ram.values()],
        "this cache": partial(cache.batch, list(SHAPES)),
        "h5py, contiguous, fancy index": fancy(lambda name: contiguous[name]["values"]),
        "h5py, a chunk a clip, fancy index": fancy(lambda name: chunked[name]),
    }


def compare(readers: dict[str, Read], clips: int, rounds: int, rng: np.random.Generator) -> str:
    """A table of milliseconds a batch, and the ratio to the first way."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(rounds):
        rows = rng.choice(clips, BATCH, replace=False)
        for name, read in readers.items():
            if round_ < 10 or not name.startswith("h5py") or round_ % 10 == 0:  # slow ways
                begun = time.perf_counter()
                read(rows)
                seconds[name].append(time.perf_counter() - begun)
    medians = {name: float(np.median(taken)) for name, taken in seconds.items()}
    first, baseline = next(iter(medians.items()))
    table = [
        (name, len(seconds[name]), f"{1000 * median:.2f}", f"{median / baseline:.2f}")
        for name, median in medians.items()
    ]
    header = f"{BATCH} random clips of {'+'.join(SHAPES)}", "batches", "ms", f"times {first}"
    return text_table(table, header)


def reading(options: ReadingOptions) -> None:
    """Time random batches."""
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="reading-") as name:
        folder = Path(name)
        cache = Cache(Path(make_run(folder / "cache", options.clips).dataset))
        cache.batch(list(SHAPES), np.arange(options.clips))  # every clip is checked from here on
        print(compare(ways(cache, folder), options.clips, options.rounds, rng))


if __name__ == "__main__":
    main([reading])
