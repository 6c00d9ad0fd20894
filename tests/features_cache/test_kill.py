"""A short soak of SIGKILL; bench/kill.py is a long one."""

import pytest

from tests.processes import python


@pytest.mark.parametrize("kills", [pytest.param(30, marks=pytest.mark.slow), 2])
def test_no_kill_loses_or_spoils_anything(kills):
    done = python("-m", "bench.kill", "--kills", str(kills), "--seed", "7", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills" in done.stdout and "0 findings" in done.stdout
