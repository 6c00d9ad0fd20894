"""Commands in forked processes that have the libraries loaded: soaks start them, kill
them and wait.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from featurestack.cli.commands import main

HUNG = -1000
PATIENCE = 300  # seconds after which a process counts as hung, even on a busy machine


@dataclass
class Lines:
    """A trace function that counts lines of some files and kills its process group at
    one of them.

    in_worker  count the lines of a forked worker instead of the run's
    alone      kill the run without its workers
    """

    files: tuple[str, ...]
    kill_at: int = 0
    in_worker: bool = False
    alone: bool = False
    seen: int = field(default=0, init=False)
    run: int = field(default=0, init=False)
    counting: int = field(default=0, init=False)

    def begin(self) -> None:
        """Count from here on, in every thread of this process."""
        self.run = self.counting = os.getpid()
        threading.settrace(self)
        sys.settrace(self)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> "Lines | None":
        if not frame.f_code.co_filename.startswith(self.files):
            return None
        if self.counting != os.getpid():
            self.counting, self.seen = os.getpid(), 0
        self.seen += event == "line"
        if self.seen == self.kill_at > 0 and self.in_worker == (
            self.counting != self.run
        ):
            (os.kill if self.alone else os.killpg)(self.run, signal.SIGKILL)
        return self


def status_of(words: Sequence[str]) -> int:
    """The exit status of `featurestack <words>`, run in this process."""
    sys.argv = ["featurestack", *words]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def forked(work: Callable[[], int], output: int | None = None) -> int:
    """Fork a process in its own group, which prints to `output` (by default nowhere)
    and exits with the status that `work` returns; its id.
    """
    process = os.fork()
    if process:
        with contextlib.suppress(OSError):  # the child did it first, or has ended
            os.setpgid(process, process)
        return process
    status = 70
    try:
        os.setpgid(0, 0)
        target = os.open(os.devnull, os.O_WRONLY) if output is None else output
        for stream in (1, 2):
            os.dup2(target, stream)
        sys.stdout = open(1, "w", closefd=False, errors="surrogateescape")  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        status = work()
    except BaseException:  # KeyboardInterrupt too: any error is printed and ends here
        traceback.print_exc()
    finally:
        sys.settrace(None)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def ended(process: int) -> int:
    """Wait for a process: its exit status, negative for a signal; HUNG if it was killed
    after PATIENCE.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return HUNG
