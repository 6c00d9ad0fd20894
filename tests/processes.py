"""Python in a process of its own, as a user starts it."""

import os
import subprocess
import sys

from tests.golden.commands import ROOT


def python(*words, check=True, environment=os.environ, **how):
    """What `python <words>` left behind, from the project's folder."""
    how = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, **how}
    return subprocess.run([sys.executable, *words], check=check, **how)
