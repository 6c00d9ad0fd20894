"""`python -m bench`: every comparison, one after the other, each in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass

from commandline import RequestError, main, nearest
from commandline.parse import Command

# Name -> what it compares. Each is a module of this folder that also runs alone.
BENCHES = {
    "features": "extraction against librosa and audioFlux, feature by feature",
    "reading": "random batches from the cache against RAM and the naive HDF5 ways",
    "training": "clips a second against the usual loop",
    "prediction": "a long recording against real time",
    "fuzz_audio": "2,000 damaged sound files through the features command",
    "analysis": "seconds and memory of a large report",
    "scaling": "clips a second against processes, cost against clips, as a picture",
}


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Which comparisons."""

    bench: tuple[str, ...] = ()
    """some of them by name; all by default"""


def bench(options: BenchOptions) -> int:
    """Compare with the alternatives on this machine, in one run."""
    for name in options.bench:
        if name not in BENCHES:
            raise RequestError(nearest("bench", name, BENCHES))
    failed = []
    for name in options.bench or BENCHES:
        print(f"\n== {name}: {BENCHES[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


COMMANDS: list[Command] = [bench]

if __name__ == "__main__":
    main(COMMANDS)
