"""Python in a process of its own, as a user starts it, to its end or killed in its middle."""

import os
import signal
import subprocess
import sys
import time

from tests.golden.commands import ROOT


def python(*words, check=True, environment=os.environ, **how):
    """What `python <words>` left behind, from the project's folder."""
    how = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, **how}
    return subprocess.run([sys.executable, *words], check=check, **how)


def lines_of(file):
    return file.read_bytes().count(b"\n") if file.exists() else 0


def train_and_kill(words, history, epochs):
    """`train run <words>` from the current folder, killed when so many epochs stand in history.csv."""
    job = subprocess.Popen(
        [sys.executable, "-m", "train", "run", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while lines_of(history) <= epochs:
        assert job.poll() is None and time.monotonic() < until, f"{history} was not there to be killed"
        time.sleep(0.002)
    job.send_signal(signal.SIGKILL)
    job.wait()
