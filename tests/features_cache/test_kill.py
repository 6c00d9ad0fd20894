"""A short soak of SIGKILL; bench/kill.py is a long one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kills", [pytest.param(30, marks=pytest.mark.slow), 2])
def test_no_kill_loses_or_spoils_anything(kills):
    words = [sys.executable, "-m", "bench.kill", "--kills", str(kills), "--seed", "7"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills" in done.stdout and "0 findings" in done.stdout
