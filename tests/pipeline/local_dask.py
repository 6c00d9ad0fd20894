"""A Dask cluster on this machine, started by the commands that docs/howto/scale.md gives."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from distributed import Client

ROOT = Path(__file__).resolve().parents[2]
DASK = str(Path(sys.executable).with_name("dask"))
WITHIN = 60.0  # seconds
WORKERS = 2


class LocalDask(NamedTuple):
    """A scheduler and its worker processes."""

    address: str
    scheduler: subprocess.Popen[bytes]

    def pids(self):
        """Of the processes that compute."""
        with Client(self.address, set_as_default=False) as client:
            return list(client.run(os.getpid).values())


@contextmanager
def started(folder):
    """The cluster, with all its workers; what it says goes to `folder`."""
    contact = folder / "scheduler.json"
    alone = ["--scheduler-file", str(contact), "--no-dashboard", "--local-directory", str(folder)]
    commands = [
        [DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", *alone[:3]],
        [DASK, "worker", "--nthreads", "1", "--nworkers", str(WORKERS), *alone],
    ]
    processes, environment = [], os.environ | {"PYTHONPATH": "."}
    try:
        for command in commands:
            with (folder / f"{command[1]}.txt").open("wb") as said:
                start = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
                processes.append(start)
        until = time.monotonic() + WITHIN
        while not contact.exists():
            assert time.monotonic() < until, (folder / "scheduler.txt").read_text()
            time.sleep(0.05)
        with Client(scheduler_file=str(contact), set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=WITHIN)
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
