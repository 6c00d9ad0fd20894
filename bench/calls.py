"""Run commands in separate processes with limits, and judge their outcomes."""

import os
import random
import re
import resource
import signal
import tempfile
from collections.abc import Sequence
from typing import IO, NamedTuple

import psutil

from bench.processes import HUNG, ended, forked, status_of

# limits of a command; bytes
PROCESSOR_SECONDS, MEMORY, LARGEST_FILE = 60, 6 << 30, 1 << 30
PCM_BYTES = 60_000  # bytes on standard input: two seconds for `listen`


class Outcome(NamedTuple):
    """The outcome of a call; `finding` is empty if nothing is wrong."""

    status: int
    finding: str
    output: str


def begun(words: Sequence[str]) -> tuple[int, IO[bytes]]:
    """Begin a command in a new folder; return its process and its file of output."""

    def work() -> int:
        os.chdir(tempfile.mkdtemp(dir=os.environ["FUZZ_FOLDER"]))
        read, write = os.pipe()
        os.write(write, random.Random(0).randbytes(PCM_BYTES))
        os.close(write)
        os.dup2(read, 0)
        memory = psutil.Process().memory_info().vms + MEMORY
        limits = {"AS": memory, "CPU": PROCESSOR_SECONDS, "FSIZE": LARGEST_FILE}
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return status_of(words)

    told = tempfile.TemporaryFile()  # noqa: SIM115
    return forked(work, told.fileno()), told


def answered(process: int, told: IO[bytes]) -> Outcome:
    """Wait for a command, and judge its outcome."""
    with told:
        status = ended(process)
        told.seek(0)
        output = told.read().decode(errors="replace")
    finding = ""
    if status in (HUNG, -signal.SIGXCPU, -signal.SIGKILL):
        finding = "hangs"
    elif "Traceback (most recent call last)" in output:
        finding = "traceback"
    elif warning := re.search(r"^.*\b\w+Warning: .*$", output, re.MULTILINE):
        finding = f"raw warning: {warning[0][-100:]}"
    elif status not in (0, 1, 2) or (status == 2 and "error: " not in output):
        finding = f"exit status {status} without a message"
    return Outcome(status, finding, output)


def run(words: Sequence[str]) -> Outcome:
    """Run a command, and judge its outcome."""
    return answered(*begun(words))
