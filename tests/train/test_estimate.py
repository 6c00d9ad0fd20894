"""The time of a run is told once, after its first steps."""

import pytest
import torch

from featurestack.commandline.terminal import progress
from featurestack.train import trainer
from featurestack.train.trainer import TIMED_STEPS, Estimate


@pytest.mark.parametrize(
    ("seconds_a_step", "told"),
    [
        (10.0, ["about 16 min in all; MODEL=ridge takes seconds"]),
        (0.1, []),
    ],
)
def test_the_time_that_is_left_is_told_once(seconds_a_step, told, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: now[0])
    bar = progress(total=800, label="run", unit="clips", silent=False)
    own = Estimate(bar, "MODEL=ridge takes seconds")
    for _ in range(2 * TIMED_STEPS):
        now[0] += seconds_a_step
        bar.update(8)
        own.step(torch.tensor(1.0))
    bar.close()
    assert [
        line for line in capsys.readouterr().err.splitlines() if "run" not in line
    ] == told
