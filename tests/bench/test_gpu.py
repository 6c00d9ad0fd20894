"""The bench of a GPU runs its checks on the CPU too, and they fail where something is wrong."""

import pytest

from tests.processes import python

RUN = """
import random, runpy, sys
from train import trainer
{fault}
sys.argv = "gpu DEVICE=cpu MODELS=cnn4 ONLY=cnn4 CLIPS=0".split()
runpy.run_module("bench.gpu", run_name="__main__")
"""
ANY_ORDER = """
draw = trainer.draw_batches
trainer.draw_batches = lambda data, epoch: draw(data, random.SystemRandom().randrange(10**6))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "failed"), [("", 0), (ANY_ORDER, 3)])
def test_checks_hold_and_a_run_whose_order_no_seed_decides_fails_them(fault, failed):
    done = python("-c", RUN.format(fault=fault), check=False, timeout=600)
    assert done.returncode == (failed > 0), done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(lines) == failed and all("the same bits" in line for line in lines)
