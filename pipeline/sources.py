"""Which audio each clip was made from: size, time and content hash, read again only where it changed."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import progress
from features_cache.table import SOURCE_COLUMNS
from pipeline.job import version

THREADS = 8  # for waiting on the disk; hashing itself lets go of the interpreter
AT_ONCE = 4096  # files: what waits for its turn is a kilobyte each
VERSION = np.dtype((np.int64, 2))  # size, time in ns


def hashed(clips: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """The clips with source_size, source_time_ns and source_hash brought up to date in `rows`.

    A file that is gone keeps what was known of it: features that were made from it still hold.
    """
    columns = {name: clips[name].to_numpy(copy=True) for name in SOURCE_COLUMNS}
    sizes, times, hashes = (column[rows] for column in columns.values())  # views
    file_of, files = pd.factorize(clips["path"].to_numpy()[rows])  # copies share their original's
    now = np.fromiter((version(Path(one)) if one else (0, 0) for one in files), VERSION, len(files))[file_of]
    there = now.any(axis=1)
    changed = there & ~((now[:, 0] == sizes) & (now[:, 1] == times) & (hashes != ""))
    sizes[there], times[there] = now[there].T
    again = np.unique(file_of[changed])
    found = np.empty(len(files), object)
    found[again] = list(progress(_hashes(files[again]), total=len(again), label="hashing", unit="files"))
    hashes[changed] = found[file_of[changed]]
    return clips.assign(**columns)


def _hashes(files: NDArray[np.object_]) -> Iterator[str]:
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(files), AT_ONCE):
            yield from threads.map(content_hash, files[start : start + AT_ONCE])


def content_hash(path: str) -> str:
    """32 hexadecimal digits; '' for what cannot be read, which decoding will give a reason for."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""
