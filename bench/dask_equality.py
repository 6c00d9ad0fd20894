"""Extraction on a Dask cluster of two processes beside this machine's own: `python -m bench.dask_equality`.

The same clips three times: by worker processes, on the cluster, and on the cluster with a worker killed in
the middle. `values` and `state` of every feature have to be the same bytes.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import text_table
from features_cache import Cache
from features_cache.index import feature_files
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset
from tests.pipeline.local_dask import ROOT, started


@dataclass(frozen=True, kw_only=True)
class EqualityOptions(Options):
    """What is extracted."""

    clips: int = option(200, "of one second at 8 kHz")
    features: str = option("all", "feature sets separated by blanks; all, small")


def dask_equality(options: EqualityOptions) -> int:
    """Compare the bytes; 1 where any differ or a clip is lost."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sounds = ChangingDataset(folder / "sounds", random.Random(0), clips=options.clips)
        seconds = {"processes": extracted(sounds, folder / "processes", options, "JOBS=2")}
        with started(folder) as dask:
            backend = ["BACKEND=dask", f"SCHEDULER={dask.address}"]
            seconds["dask"] = extracted(sounds, folder / "dask", options, *backend)
            with killed_in_the_middle(folder / "killed", dask.pids()[0]) as left:
                seconds["killed"] = extracted(sounds, folder / "killed", options, *backend)
        expected = contents(folder / "processes")
        rows = [
            (way, f"{seconds[way]:.1f}", f"{len(found)}", "the same" if found == expected else "DIFFERENT")
            for way in seconds
            for found in [contents(folder / way)]
        ]
    print(text_table(rows, ("way", "seconds", "features", "bytes")))
    print(f"the worker was killed when {left[0]:,} of {options.clips * len(expected):,} maps were done")
    whole = all(states.count(b"\0" * 8) == 0 for _, states in expected.values())
    in_the_middle = 0 < left[0] < options.clips * len(expected)
    return int(not whole or not in_the_middle or any(row[-1] != "the same" for row in rows))


def extracted(sounds: ChangingDataset, data: Path, options: EqualityOptions, *words: str) -> float:
    """Seconds of `python -m pipeline features` as a user starts it; SystemExit where it fails."""
    begun = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipeline", "features", f"DATASET={sounds.csv}", f"DATA={data}"),
            *(f"FEATURES={options.features}", f"SAMPLE_RATE={SAMPLE_RATE}", "DURATION=1", *words),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - begun


def contents(data: Path) -> dict[str, tuple[bytes, bytes]]:
    """Bytes of values and states, by feature."""
    cache = Cache(data / "sounds" / "features")
    files = {name: cache[name].file for name in cache.features}
    return {name: (file.map().tobytes(), file.map(state=True).tobytes()) for name, file in files.items()}


@contextmanager
def killed_in_the_middle(data: Path, pid: int) -> Iterator[list[int]]:
    """SIGKILL to a process once some maps are done; how many were is in the list afterwards."""
    left: list[int] = []

    def kill() -> None:
        while not (done := maps(data / "sounds" / "features")):
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        left.append(done)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield left
    thread.join()


def maps(folder: Path) -> int:
    """How many are done."""
    if not (folder / "index.h5").exists():
        return 0
    cache = Cache(folder)
    return sum(int(cache[path.stem].done().sum()) for path in feature_files(folder))


if __name__ == "__main__":
    main([dask_equality])
