"""The bench of a GPU makes its checks on the CPU too, and each fails where something is
wrong.
"""

import os

import pytest

from tests.golden.commands import ROOT
from tests.processes import python

CHECKS = 15  # checks of one model
FAULTS = """
import random
from types import SimpleNamespace

import torch
from torch import nn

from featurestack.results import run_writer
from featurestack.rooms.importance import measure as importance
from featurestack.train import bundle, compute, own_loop, predict
from featurestack.train import trainer
from featurestack.rooms.cluster import torchrun

def broken(options):
    raise RuntimeError("planted")

draw, write = trainer.draw_batches, run_writer.write_predictions
forward = nn.Conv2d.forward
def any_order(data, epoch):
    return draw(data, random.SystemRandom().randrange(10**6))
def other_classes(folder, table, probabilities, *rest):
    write(folder, table, probabilities[:, ::-1].copy(), *rest)
def wrong_kernel(layer, x):
    fast = torch.is_autocast_enabled("cpu")
    fast = fast and x.is_contiguous(memory_format=torch.channels_last)
    return forward(layer, x.roll(1, 0) if fast else x)

trainer.draw_batches = any_order
run_writer.write_predictions = other_classes
nn.Conv2d.forward = wrong_kernel
trainer.Trainer.resume = lambda self, file: None
bundle.make_bundle = broken
importance.measure_importance = broken
own_loop.OwnRun.write = lambda *_: SimpleNamespace(finished=[])
compute.device_of = lambda text: "cpu"
trainer.is_shortage = lambda error: False
torchrun.train_side_by_side = lambda options, folds: None
"""


@pytest.mark.slow
@pytest.mark.parametrize("faults", ["", FAULTS], ids=["sound", "faulty"])
def test_every_check_holds_and_each_fails_where_something_is_wrong(faults, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(faults)  # planted in every process
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    # a CPU computes fp16 at a hundredth of its speed: a small grid
    bench = "bench.gpu", "DEVICE=cpu", "MODELS=cnn4", "CLIPS=0", "GRID=16x16"
    done = python("-m", *bench, check=False, timeout=900, environment=environment)
    failed, held = (
        sum(line.startswith(mark) for line in done.stdout.splitlines())
        for mark in ("FAIL", "ok")
    )
    # after a number format that disagrees, fp32 on the same threads is compared too,
    # and agrees
    assert failed == CHECKS if faults else (failed, held) == (0, CHECKS), (
        done.stdout + done.stderr
    )
    assert done.returncode == bool(faults)
