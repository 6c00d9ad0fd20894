"""Short soaks of SIGKILL, with and without the calls that some systems lack; bench/kill.py is a long one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kills", "calls"), [pytest.param(30, "with", marks=pytest.mark.slow), (5, "without")]
)
def test_no_kill_loses_or_spoils_anything(kills, calls):
    words = ["--kills", str(kills), "--seed", "7", *(["--without-calls"] if calls == "without" else [])]
    done = subprocess.run(
        [sys.executable, "-m", "bench.kill", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills" in done.stdout
    assert f"0 files that did not open, 0 wrong clips, {kills} resumed, 0 workers" in done.stdout
