"""Two processes train the same weights as one process that averages the gradients of
two half-batches.
"""

import pytest
import torch
from torch import nn

from featurestack.commandline.options import option_words, texts
from featurestack.commandline.terminal import progress
from featurestack.results import run_folder
from featurestack.rooms.cluster import torchrun
from featurestack.train import checkpoint
from featurestack.train.compute import preferred
from featurestack.train.options import RunOptions
from featurestack.train.trainer import Trainer, draw_network
from tests.processes import python
from tests.train.little import change, execute, load


class Halves(nn.Module):
    """A batch in two halves, each with its own batch statistics; the first half updates
    the running ones.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        first, second = x.tensor_split(2)
        answer = self.network(first)
        buffers = {
            name: buffer.clone() for name, buffer in self.network.named_buffers()
        }
        return torch.cat(
            [answer, torch.func.functional_call(self.network, buffers, second)]
        )


def reference(options):
    """The network that one process trains in halves."""
    data = load(options, 1)
    compute = preferred(options, "cpu", (options.batch, *data.plan.input_shape))
    network = compute.place(draw_network(data.plan, 1))
    trainer = Trainer(data, network, compute, Halves(network))
    while not trainer.finished:
        trainer.train_epoch(progress(label="", unit="", silent=True))
        trainer.epoch += 1
    return network


@pytest.mark.slow
def test_two_processes_equal_one_with_two_half_batches(options):
    # without dropout, which each process would draw
    shared = change(options, folds=(1,), optimizer="sgd", curve=0)
    processes = "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
    python(*processes, "-m", "train", "run", *option_words(shared), timeout=600)
    (folder,) = run_folder.find(shared.runs)
    assert folder.finished == [1]
    assert folder.config.computed.way.threads == 1
    whole = execute(shared, tag="alone")  # one batch, no halves
    states = [
        checkpoint.load(run.fold(1) / "last.pt")["network"] for run in (folder, whole)
    ]
    together, alone, wanted = (
        # running statistics too
        torch.cat([tensor.flatten().float() for tensor in state.values()])
        for state in (*states, reference(shared).state_dict())
    )
    assert (together - wanted).abs().max() < 5e-3 < 0.1 < (together - alone).abs().max()


def test_a_process_that_is_not_the_first_does_not_score(monkeypatch):
    monkeypatch.setattr(torchrun.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(torchrun, "gather", lambda value: ["of the first", value])
    # without a trainer
    assert torchrun.SharedTrainer.predict(None, None) == "of the first"


def test_a_child_gets_what_was_given_although_a_recipe_says_otherwise(tmp_path):
    recipe = tmp_path / "own.txt"
    recipe.write_text("EPOCHS=7\nAUGMENT=mask\n")
    named = [f"RECIPE={recipe}", f"EPOCHS={RunOptions().epochs}", "NAME=other name"]
    given = RunOptions.build(texts(RunOptions, named))
    child = RunOptions.build(
        texts(RunOptions, torchrun.child_words(given, (1, 3), "cuda:1"))
    )
    assert (
        child == change(given, folds=(1, 3), device="cuda:1")
        and child.augment == "mask"
    )


@pytest.mark.slow
def test_folds_spread_over_devices_are_the_same_run(options):
    spread = execute(options, device="cpu cpu")
    alone = execute(options, runs=options.runs / "alone")
    assert alone.name == spread.name
    for number in (1, 2, 3):
        files = [one.fold(number) / "predictions.csv" for one in (spread, alone)]
        assert files[0].read_bytes() == files[1].read_bytes()
