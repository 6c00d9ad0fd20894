"""Passes that are captured once for each size of batch give the bits of those that are
not. A CPU cannot capture: here the work is done anew and copied into the same memory.
"""

import pytest
import torch
from torch import nn
from tqdm import tqdm

from featurestack.base.terminal import tell_once
from featurestack.results.config import Compute
from featurestack.train import trainer
from featurestack.train.compute import place, trial_step
from featurestack.train.optimisation import (
    Objective,
    Replayed,
    captured_passes,
    random_layers,
)
from featurestack.train.trainer import Trainer
from tests.train.small_cache import build, change, load

BAR = tqdm(disable=True)


def again(work):
    """Record by doing the work: what it makes again goes where a graph would put it."""
    made = work()

    def replay():
        for old, new in zip(made, work(), strict=True):
            old.copy_(new)

    return made, replay


def refuse(work):
    work()  # batch norms have seen the batch
    raise RuntimeError("operation not permitted\nand more")


def trained(data, record=None, compute=None, model="cnn4"):
    """A trainer after two epochs, and the losses of all steps."""
    compute = compute or Compute()
    drawn = torch.Generator().manual_seed(0)
    channels = len(data.plan.input.channels)
    network = place(build(model, channels, 4, (16, 16), drawn), compute)
    own = Trainer(data, network, compute)
    own.gradients = own.both_passes
    if record:
        own.gradients = Replayed(network, own.both_passes, record)
    losses = []
    passes = own.gradients

    def observed(x, targets):
        loss, logits = passes(x, targets)
        losses.append(loss)
        return loss, logits

    own.gradients = observed
    for _ in range(2):
        own.train_epoch(BAR)
        own.epoch += 1
    own.gradients = passes
    return own, torch.stack(losses)


def same_bits(one, other):
    states = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("model", "features"),
    [
        ("cnn4", "mel"),
        ("resnet18", "mel+blank"),
        ("resnet18@fusion=streams", "mel+blank"),
    ],
)
def test_captured_steps_give_the_bits_of_eager_ones_for_every_size_of_batch(
    options, model, features
):
    data = load(change(options, batch=7, features=features), 1)
    eager, expected = trained(data, model=model)
    captured, losses = trained(data, again, model=model)
    assert {size[0] for size in captured.gradients.captured} == {6, 7}
    assert torch.equal(losses, expected) and len({*losses.tolist()}) == len(losses)
    assert same_bits(captured, eager)


def test_what_cannot_be_captured_runs_eagerly_and_is_told_once(options, capsys):
    tell_once.cache_clear()
    data = load(change(options, batch=7), 1)
    assert same_bits(trained(data, refuse)[0], trained(data)[0])
    assert capsys.readouterr().err.count("operation not permitted") == 1


class Functional(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, self.training)


LAYERS = {  # layer -> the name of what draws in it, if anything does
    "dropout": (nn.Dropout(0.1), "0"),
    "no dropout": (nn.Dropout(0.0), None),
    "functional": (Functional(), "0"),
    "slopes": (nn.RReLU(), "0"),
    "recurrent": (nn.GRU(4, 4, num_layers=2, dropout=0.2), "0"),
    "recurrent, exact": (nn.GRU(4, 4, num_layers=2), None),
    "attention": (nn.TransformerEncoderLayer(4, 1, 4, 0.1), "0.self_attn"),
    "attention, exact": (nn.TransformerEncoderLayer(4, 1, 4, 0.0), None),
    "norm": (nn.BatchNorm1d(4), None),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_random_by_what_it_draws(name):
    layer, drawing = LAYERS[name]
    found = random_layers(nn.Sequential(layer), torch.randn(8, 4))
    assert found[:1] == ([drawing] if drawing else [])


class Recurrent(nn.Module):
    """A network of the project with random layers that are not called dropout."""

    def __init__(self):
        super().__init__()
        self.rows = nn.GRU(16, 8, num_layers=2, dropout=0.5)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.rows(x.mean(1).permute(2, 0, 1))[0][-1])


def test_a_trial_step_of_random_layers_draws_nothing():
    network = Recurrent()
    batch = torch.randn(4, 1, 16, 16), torch.eye(4)
    losses = {trial_step(network, Objective(False), Compute(), batch)[0]}
    network.rows.dropout = 0.0
    losses.add(trial_step(network, Objective(False), Compute(), batch)[0])
    assert len(losses) == 1


@pytest.mark.parametrize(
    ("made", "captures"),
    [
        (lambda: build("texturenet", 1, 4, (16, 16)), False),
        (Recurrent, False),
        (lambda: build("resnet18", 1, 4, (64, 64)), True),
    ],
)
def test_models_that_draw_are_not_captured(made, captures, capsys):
    tell_once.cache_clear()
    network = made()

    def passes(x, targets):
        network.zero_grad()
        logits = network(x)
        loss = logits.square().mean()
        loss.backward()
        return loss, logits

    replayed = Replayed(network, passes, again)
    side = 64 if captures else 16
    replayed(torch.randn(2, 1, side, side), torch.eye(4)[:2])
    assert bool(replayed.captured) is captures
    told = "CUDA graph: the model has dropout" in capsys.readouterr().err
    assert told is not captures


def test_own_models_are_not_captured(capsys):
    tell_once.cache_clear()
    network = build("cnn4", 1, 4, (16, 16))
    assert isinstance(captured_passes(network, trained, False), Replayed)
    assert captured_passes(network, trained, user_defined=True) is trained
    assert "CUDA graph: the model is your own" in capsys.readouterr().err


def test_a_card_captures_and_a_processor_does_not(options, monkeypatch):
    monkeypatch.setattr(trainer, "captured_passes", lambda *given: given)
    data = load(options, 1)
    network = build("cnn4", 1, 4, (16, 16))
    for device, captures in (("cuda", True), ("cpu", False)):
        own = Trainer(data, network, Compute(device=device))
        captured = network, own.both_passes, False
        assert (own.gradients == captured) is captures
