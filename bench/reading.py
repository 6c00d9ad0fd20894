"""Random batches from the cache beside RAM and the naive HDF5 ways: `python -m bench.reading`.

A batch is 32 clips of mel, mfcc and chroma in float16, as a training step takes it. All ways read the same
clips of the same values, one after the other in every round, so that a busy machine slows all of them. The
first pass, in which every clip's CRC is checked, is timed by itself. Then a cache of a million clips, whose
files are sparse, is opened and read in the same way.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import size, text_table
from features_cache import Cache, external
from features_cache.index import refresh
from features_cache.layout import (
    FeatureSpec,
    clip_keys,
    fingerprints,
    read_header,
    state_word,
    write_structure,
)
from features_cache.table import complete, with_sources

SHAPES = {"mel": (128, 431), "mfcc": (40, 431), "chroma": (12, 431)}
BATCH = 32
Read = Callable[[NDArray[np.intp]], Any]


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(Options):
    """How much is read."""

    clips: int = option(2000, "in the cache")
    rounds: int = option(200, "batches of each way")
    million: int = option(1000000, "clips of the sparse cache")
    seed: int = option(0, "of the values and of the batches")


def make(folder: Path, clips: int, rng: np.random.Generator) -> Cache:
    """A cache of random values."""
    ids = [f"clip{number:06d}" for number in range(clips)]
    external.create_cache(folder, {"clip_id": ids, "label": ["x"] * clips, "fold": [1] * clips})
    for name, shape in SHAPES.items():
        values = rng.normal(size=(64, *shape)).astype(np.float16)
        repeated = np.broadcast_to(values, (-(-clips // 64), 64, *shape)).reshape(-1, *shape)[:clips]
        external.write_feature(folder, name, repeated, ids)
    return Cache(folder)


def ways(cache: Cache, folder: Path) -> dict[str, Read]:
    """Name -> what reads a batch."""
    in_ram = {name: np.array(cache[name].map()) for name in SHAPES}
    contiguous = {name: h5py.File(cache.folder / f"{name}.h5") for name in SHAPES}
    chunked, gzipped = h5py.File(folder / "chunked.h5", "w"), h5py.File(folder / "gzip.h5", "w")
    for name, values in in_ram.items():
        chunked.create_dataset(name, data=values, chunks=(1, *values.shape[1:]))
        gzipped.create_dataset(
            name, data=values, chunks=(1, *values.shape[1:]), compression="gzip", shuffle=True
        )

    def fancy(file: Callable[[str], h5py.Dataset]) -> Read:
        def read(rows: NDArray[np.intp]) -> list[NDArray[Any]]:
            rows = np.sort(rows)  # h5py takes nothing else
            return [file(name)[rows] for name in SHAPES]

        return read

    def one_by_one(rows: NDArray[np.intp]) -> list[NDArray[Any]]:
        return [np.stack([contiguous[name]["values"][row] for row in rows]) for name in SHAPES]

    return {
        "RAM, np.take": lambda rows: [np.take(values, rows, axis=0) for values in in_ram.values()],
        "this cache": lambda rows: cache.batch(list(SHAPES), rows),
        "h5py, contiguous, clip by clip": one_by_one,
        "h5py, contiguous, fancy index": fancy(lambda name: contiguous[name]["values"]),
        "h5py, a chunk a clip, fancy index": fancy(lambda name: chunked[name]),
        "h5py, gzip, fancy index": fancy(lambda name: gzipped[name]),
    }


def compare(readers: dict[str, Read], clips: int, rounds: int, rng: np.random.Generator) -> str:
    """A table: ms a batch, ratio to the first."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(rounds):
        rows = rng.choice(clips, BATCH, replace=False)
        for name, read in readers.items():
            if round_ < 10 or not name.startswith("h5py") or round_ % 10 == 0:  # those take long
                seconds[name].append(_timed(lambda read=read, rows=rows: read(rows)))  # type: ignore[misc]
    (first, baseline), *_ = seconds.items()
    return text_table(
        [
            (
                name,
                len(taken),
                f"{1000 * np.median(taken):.2f}",
                f"{np.median(taken) / np.median(baseline):.2f}",
            )
            for name, taken in seconds.items()
        ],
        (f"{BATCH} random clips of {'+'.join(SHAPES)}", "batches", "ms", f"times {first.partition(',')[0]}"),
    )


def first_pass(cache: Cache, rng: np.random.Generator) -> str:
    """Milliseconds a batch while every clip is touched for the first time."""
    fresh, order = Cache(cache.folder), rng.permutation(len(cache.clips))
    fresh.batch(list(SHAPES), order[:1])  # opens the files
    batches = [order[start : start + BATCH] for start in range(1, len(order) - BATCH, BATCH)]
    taken = [_timed(lambda rows=rows: fresh.batch(list(SHAPES), rows)) for rows in batches]  # type: ignore[misc]
    return f"first pass, with the CRC of every clip: {1000 * np.median(taken):.2f} ms a batch"


def sparse(folder: Path, clips: int, rng: np.random.Generator) -> list[str]:
    """Opening and reading a cache of very many clips; only those that are read take place on the disk."""
    folder.mkdir()
    ids = [f"clip{number:07d}" for number in range(clips)]
    table = complete({"clip_id": ids, "label": ["x"] * clips, "fold": [1] * clips})
    settings = {"dataset": "many", "source": "brought", "synthetic": 0, "sample_rate": 0, "samples": 0}
    chosen = rng.choice(clips, 64 * BATCH, replace=False)
    keys = clip_keys(with_sources(table.iloc[chosen], None))
    for name, shape in SHAPES.items():
        spec = FeatureSpec(
            stored=name,
            feature=name,
            parameters={},
            units="",
            row_axis=np.arange(shape[0], dtype=float),
            row_unit="",
            frame_axis=np.arange(shape[1], dtype=float),
            sample_rate=0,
            samples=0,
        )
        write_structure(folder / f"{name}.h5", spec, np.array(ids, "S"))
        file = read_header(folder / f"{name}.h5")
        values = rng.normal(size=shape).astype(np.float16)
        with file.path.open("r+b", buffering=0) as opened:
            for row, fingerprint in zip(chosen.tolist(), fingerprints(keys, spec.key).tolist(), strict=True):
                file.write_clip(opened.fileno(), row, values, state_word(fingerprint, values))
    refresh(folder, with_sources(table, None), settings)
    return _read_sparse(folder, chosen)


def _read_sparse(folder: Path, chosen: NDArray[np.intp]) -> list[str]:
    begun = time.perf_counter()
    cache = Cache(folder)
    headers = [cache[name].shape for name in SHAPES]
    opened = time.perf_counter()
    clips = len(cache.clips)
    table = time.perf_counter()
    cache.batch(list(SHAPES), chosen[:BATCH])
    matched = time.perf_counter()
    batches = chosen.reshape(-1, BATCH)
    for rows in batches:
        cache.batch(list(SHAPES), rows)
    again = [_timed(lambda rows=rows: cache.batch(list(SHAPES), rows)) for rows in batches]  # type: ignore[misc]
    apparent = sum((folder / f"{name}.h5").stat().st_size for name in SHAPES)
    return [
        f"{clips:,} clips, {size(apparent)} on paper, {len(headers)} features:",
        f"  opened in {1000 * (opened - begun):.1f} ms",
        f"  its table read in {table - opened:.1f} s, its clips matched by id in {matched - table:.1f} s",
        f"  random batches: {1000 * np.median(again):.2f} ms",
    ]


def _timed(action: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def reading(options: ReadingOptions) -> None:
    """Time random batches."""
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="reading-") as name:
        folder = Path(name)
        cache = make(folder / "cache", options.clips, rng)
        print(first_pass(cache, rng))
        cache.batch(list(SHAPES), np.arange(options.clips))  # every clip is checked from here on
        print(compare(ways(cache, folder), options.clips, options.rounds, rng))
        shutil.rmtree(cache.folder)
        print("\n".join(sparse(folder / "many", options.million, rng)))


if __name__ == "__main__":
    main([reading])
