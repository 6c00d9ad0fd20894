"""A Dask cluster on this machine, started by the commands that docs/howto/scale.md gives."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

ROOT = Path(__file__).resolve().parents[2]
DASK = str(Path(sys.executable).with_name("dask"))
WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class LocalDask:
    """A scheduler and its worker processes."""

    address: str
    scheduler: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        """Of the processes that compute."""
        with Client(self.address, set_as_default=False) as client:
            return list(client.run(os.getpid).values())


@contextmanager
def started(folder: Path, workers: int = 2, host: str = "127.0.0.1") -> Iterator[LocalDask]:
    """The cluster, with all its workers; what it says goes to `folder`."""
    contact = folder / "scheduler.json"
    alone = ["--scheduler-file", str(contact), "--no-dashboard", "--local-directory", str(folder)]
    commands = [
        [DASK, "scheduler", "--host", host, "--port", "0", *alone[:3]],
        [DASK, "worker", "--nthreads", "1", "--nworkers", str(workers), *alone],
    ]
    processes = []
    try:
        for command in commands:
            with (folder / f"{command[1]}.txt").open("wb") as said:
                processes.append(
                    subprocess.Popen(
                        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, stdout=said, stderr=said
                    )
                )
        until = time.monotonic() + WITHIN
        while not contact.exists():
            if time.monotonic() > until:
                raise TimeoutError((folder / "scheduler.txt").read_text())
            time.sleep(0.05)
        with Client(scheduler_file=str(contact), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=WITHIN)
            address = client.scheduler.address
        yield LocalDask(address, processes[0])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
