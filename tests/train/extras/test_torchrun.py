"""Two processes train what one process trains that averages the gradients of two half-batches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from commandline.options import parse, words
from results import run_folder
from tests.train.little import change, execute
from train import checkpoint
from train.compute import candidates
from train.data import draw_batches, load_fold, measure_clips, seeded
from train.extras.torchrun import child_words
from train.optimisation import learning_rate
from train.options import RunOptions
from train.plan import make_plan
from train.trainer import Trainer, draw_network

ROOT = Path(__file__).resolve().parents[3]
HALVES = 2


@pytest.fixture
def shared(options: RunOptions) -> RunOptions:
    """A model without dropout, which would draw other numbers in each process."""
    changes = {"folds": (1,), "augment": "shift,gain,mixup=0.4", "optimizer": "sgd", "curve": 0}
    return change(options, **changes)


def reference(options: RunOptions) -> nn.Module:
    """One process: every batch in two halves, each with batch statistics of its own, gradients averaged."""
    plan = make_plan(options)
    (arithmetic,) = candidates(options, "cpu", (options.batch, *plan.input_shape))
    network = arithmetic.place(draw_network(plan, 1))
    sums = measure_clips(plan, plan.table.index.to_numpy())
    data = load_fold(plan, 1, plan.split(1), sums, torch.device("cpu"))
    trainer = Trainer(plan, data, network, arithmetic)
    network.train()
    for epoch in range(options.epochs):
        generators = [seeded(torch.Generator(), options.seed, 1, epoch + 1, rank) for rank in range(HALVES)]
        for index, batch in enumerate(draw_batches(data, options, epoch + 1)):
            for group in trainer.optimiser.param_groups:
                group["lr"] = learning_rate(options, trainer.epoch_steps, epoch * trainer.epoch_steps + index)
            trainer.optimiser.zero_grad()
            kept = {}
            for rank, half in enumerate(np.array_split(batch, HALVES)):
                (x,) = data.source.batches([half])
                y = nn.functional.one_hot(torch.from_numpy(data.targets[half]), data.classes).float()
                x, y = plan.augmenter(x, y, data.channels, generators[rank])
                y = (1 - options.smoothing) * y + options.smoothing / data.classes
                (nn.functional.cross_entropy(network(x), y) / HALVES).backward()
                if rank == 0:  # the first process's running statistics are everyone's
                    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
            for name, buffer in network.named_buffers():
                buffer.copy_(kept[name])
            trainer.optimiser.step()
    return network


@pytest.mark.slow
def test_two_processes_equal_one_with_two_half_batches(shared):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(HALVES)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command += ["-m", "train", "run", *words(shared)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (folder,) = run_folder.find(shared.runs)
    assert folder.finished == [1] and folder.config["threads"] == 1
    whole = execute(shared, tag="alone")  # one batch, no halves
    states = [checkpoint.load(run.fold(1) / "last.pt")["network"] for run in (folder, whole)]
    together, alone, wanted = (
        torch.cat([tensor.flatten().float() for tensor in state.values()])  # running statistics too
        for state in (*states, reference(shared).state_dict())
    )
    assert (together - wanted).abs().max() < 5e-3 < 0.1 < (together - alone).abs().max()


@pytest.mark.slow
def test_folds_spread_over_devices_are_the_same_run(options):
    spread = execute(options, device="cpu cpu")
    alone = execute(options, runs=options.runs / "alone")
    assert alone.name == spread.name
    for number in (1, 2, 3):
        files = [one.fold(number) / "predictions.csv" for one in (spread, alone)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_child_gets_what_was_given_although_a_recipe_says_otherwise(tmp_path):
    recipe = tmp_path / "own.txt"
    recipe.write_text("EPOCHS=7\nAUGMENT=mask\n")
    given = parse(RunOptions, [f"RECIPE={recipe}", f"EPOCHS={RunOptions().epochs}", "NAME=other name"])
    child = parse(RunOptions, child_words(given, (1, 3), "cuda:1"))
    assert child == change(given, folds=(1, 3), device="cuda:1") and child.augment == "mask"
