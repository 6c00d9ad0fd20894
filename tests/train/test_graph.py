"""Passes that are captured once for each size of batch give the bits of those that are
not. A CPU cannot capture: here the work is done anew and copied into the same memory.
"""

import pytest
import torch
from tqdm import tqdm

from featurestack.base.terminal import tell_once
from featurestack.results.config import Compute
from featurestack.train import trainer
from featurestack.train.compute import place
from featurestack.train.models import resolve
from featurestack.train.optimisation import Replayed, captured_passes
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
    ("model", "features"), [("cnn4", "mel"), ("resnet18", "mel+blank")]
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


def test_models_with_dropout_and_own_models_are_not_captured(capsys):
    tell_once.cache_clear()
    for name, captures in (("texturenet", False), ("resnet18", True), ("cnn4", True)):
        network = build(name, 1, 4, (16, 16))
        passes = captured_passes(network, trained, resolve(name).user_defined)
        assert isinstance(passes, Replayed) is captures
    assert "CUDA graph: the model has dropout" in capsys.readouterr().err
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
