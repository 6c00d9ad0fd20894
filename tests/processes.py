"""Python in a process of its own, as a user starts it."""

import contextlib
import os
import resource
import subprocess
import sys

from tests.golden.commands import ROOT


def python(*words, check=True, environment=os.environ, **how):
    """What `python <words>` left behind, from the project's folder."""
    how = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, **how}
    return subprocess.run([sys.executable, *words], check=check, **how)


@contextlib.contextmanager
def files_end_at(most):
    """A disk that is full: no file of this process can become larger than so many bytes."""
    before, limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limit))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, limit))
