"""Folds over several devices: one process a device, each with its share of the folds of the same run."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from commandline import words
from train.options import RunOptions


def over(options: RunOptions, folds: Sequence[int], devices: Sequence[str]) -> list[int]:
    """Train `folds` on `devices` side by side; those that did not finish."""
    shares = [tuple(folds[i :: len(devices)]) for i in range(len(devices))]
    command = [sys.executable, "-m", "train", "run"]
    jobs = []
    for share, device in zip(shares, devices):
        if share:
            given = words(replace(options, folds=share, device=device))
            jobs.append((share, subprocess.Popen(command + given, stdout=subprocess.DEVNULL)))
    try:
        return [fold for share, job in jobs if job.wait() for fold in share]
    except BaseException:  # Ctrl-C reaches the children too, but a caller's error does not
        for _, job in jobs:
            job.terminate()
        raise
