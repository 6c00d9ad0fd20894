"""Known answers of the parts of training."""

import dataclasses
import gc
import itertools
import math
import weakref
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm

from featurestack.base.errors import Failed
from featurestack.results.config import Compute
from featurestack.results.training_options import Training
from featurestack.train.fold_data import FoldData, draw_batches
from featurestack.train.optimisation import (
    EarlyStopping,
    Objective,
    learning_rate,
    make_optimiser,
)
from featurestack.train.options import RunOptions
from featurestack.train.trainer import Trainer, curve_epochs
from tests.cases import cases
from tests.processes import python
from tests.train.small_cache import change, load

BAR = tqdm(disable=True)


@pytest.fixture
def fold(options):
    """A fold of the little cache's vectors: 32 clips to train on, eight of each
    class.
    """
    vectors = {"features": "embedding", "model": "mlp"}
    return lambda **changes: load(change(options, **vectors | changes), 1)


def make_trainer(data, precision="fp32"):
    network = nn.Sequential(nn.Flatten(), nn.Linear(40, 4))
    return Trainer(data, network, Compute(device="cpu", precision=precision))


def test_a_folds_clips_leave_memory_with_its_trainer(fold):
    """No circle waits for the garbage collector, which seldom runs between folds."""
    gc.disable()
    try:
        data = fold()
        own = make_trainer(data)
        ended = [weakref.ref(each) for each in (own, data, data.plan.cache)]
        del own, data
        assert [each() for each in ended] == [None] * 3
    finally:
        gc.enable()


def test_an_epoch_sees_every_clip_once_in_even_batches_of_two_or_more(fold):
    data = fold(batch=7)
    parts = draw_batches(data, epoch=1)
    assert sorted(np.concatenate(parts)) == data.train.tolist()
    assert sorted(map(len, parts)) == [6, 6, 6, 7, 7]  # none is tiny
    others = draw_batches(data, epoch=2)
    assert not np.array_equal(np.concatenate(parts), np.concatenate(others))
    for batch, clips in itertools.product((2, 3, 5, 7), range(2, 20)):
        plan = Mock(training=RunOptions(batch=batch))
        few = dataclasses.replace(data, plan=plan, train=data.train[:clips])
        assert min(map(len, draw_batches(few, epoch=1))) >= 2


STEP = """
import sys, torch
from featurestack.train.optimisation import without_compiler
weight = torch.nn.Parameter(torch.ones(3))
optimiser = without_compiler(torch.optim.AdamW)([weight], lr=0.1)
weight.sum().backward()
optimiser.step()
print(weight.mean().item(), "torch._dynamo" in sys.modules)
"""


def test_a_step_does_not_import_the_compiler():
    weight, compiled = python("-c", STEP).stdout.split()
    assert float(weight) == pytest.approx(0.899) and compiled == "False"


def test_class_weights_do_not_move_the_minimum_of_the_loss():
    y = torch.eye(3)[[0, 0, 0, 1, 2]]
    logits = torch.zeros(5, 1, 3, requires_grad=True)
    wanted = 0.7 * y + 0.1
    logits.data = wanted.log()[:, None]
    weight = torch.tensor([0.5, 1.5, 10.0])
    Objective(multilabel=False).loss(logits, y, weight, 0.3).backward()
    assert logits.grad.abs().max() < 1e-6  # the minimum


@pytest.mark.parametrize(
    ("multilabel", "counts", "weights"),
    [
        (False, [9, 3], [2 / 3, 2]),  # on average 1 over the clips
        (True, [3, 6], [3, 1]),  # negative clips a positive one
    ],
)
def test_rare_classes_weigh_more(multilabel, counts, weights):
    has = np.arange(12)[:, None] < counts
    plan = SimpleNamespace(
        training=Training(balance="loss"),
        task=SimpleNamespace(multilabel=multilabel),
        indicator=lambda clips: has[clips],
    )
    own = SimpleNamespace(plan=plan, train=np.arange(12))
    assert FoldData.class_weights(own) == pytest.approx(weights)


def test_decay_spares_norms_and_biases():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    decayed, spared = make_optimiser(network).param_groups
    assert [weight.ndim for weight in decayed["params"]] == [4, 2]
    assert [weight.ndim for weight in spared["params"]] == [1] * 4
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.05, 0)


def test_weights_that_the_last_step_made_infinite_are_not_kept(
    fold, monkeypatch, tmp_path
):
    own = make_trainer(fold(batch=32))  # one step, whose loss is finite
    weight = next(own.network.parameters())
    monkeypatch.setattr(own.scaler, "update", lambda: weight.data.fill_(math.inf))
    with pytest.raises(Failed, match="fold 1, epoch 1: the loss became nan"):
        own.fit(tmp_path, BAR)
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize(
    ("bad", "precision", "advice"),
    [(math.nan, "fp32", "a lower LR="), (60_000.0, "bf16", "PRECISION=fp32")],
)
def test_an_absurd_loss_ends_the_epoch_with_advice(fold, bad, precision, advice):
    data = fold()
    data.values[11] = bad
    own = make_trainer(data, precision)
    with pytest.raises(Failed, match=rf"epoch 1: .*{advice}"):
        own.train_epoch(BAR)


@cases("given", "tested", "scored")
def test_the_curve_is_spread_evenly_and_costs_a_tenth_of_the_training_at_most(
    given, tested, scored
):
    options = RunOptions(**given)
    epochs = curve_epochs(options, options.curve, trained=400, tested=tested)
    assert epochs == {*scored}


@cases("name", "start", "middle", "end")
def test_schedules_by_known_values(name, start, middle, end):
    options = RunOptions(schedule=name, lr=1.0, epochs=1)
    rates = [learning_rate(options, 101, step) for step in (0, 50, 100)]
    assert rates == pytest.approx([start, middle, end])


def test_early_stopping_keeps_the_first_of_equals_lowers_on_plateaus_and_ends():
    stopping = EarlyStopping("val_loss", patience=6, on_plateau=True)
    losses = (2.0, 2.0, *[1.0] * 7)
    better, lowered, ends = zip(
        *((stopping.update(loss), stopping.lowered, stopping.stop) for loss in losses)
    )
    assert [*better] == [True, False, True] + [False] * 6
    assert lowered == (0, 0, 0, 0, 1, 1, 2, 2, 3)
    assert [*ends] == [False] * 8 + [True]
    update = EarlyStopping("val_f1", 0).update
    assert [*map(update, (0.4, 0.5, 0.45))] == [True, True, False]
