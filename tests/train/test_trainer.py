"""Known answers of the parts of training, on clips of three values."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm

from commandline.errors import Failed
from train.augment import Augmenter, Channels
from train.compute import Compute
from train.fold_data import FoldData, Resident, draw_batches
from train.optimisation import EarlyStopping, learning_rate, make_optimiser, smoothed_loss
from train.options import RunOptions
from train.trainer import Trainer, curve_epochs

CLASSES = 3
BAR = tqdm(disable=True)


def make_data(clips=30, **changes):
    """A fold of clips with a value for each class; all of them are trained on."""
    given = {"batch": 8, "smoothing": 0.0, "lr": 0.1}
    targets = np.arange(clips) % CLASSES
    order = np.arange(clips)
    noise = torch.randn(clips, CLASSES, generator=torch.Generator().manual_seed(3))
    values = (torch.eye(CLASSES)[targets] + 0.1 * noise)[:, None, None]
    source = Resident(order, [values], "cpu", "cpu")
    channels = Channels(("none",), torch.zeros(3, 1, 1, 1, 1))
    plan = SimpleNamespace(
        options=RunOptions(**given | changes),
        epochs=3,
        targets=targets,
        indicator=lambda positions: np.eye(CLASSES, dtype=bool)[targets[positions]],
        tags=False,
        augmenter=Augmenter(),
    )
    return FoldData(plan, 1, source, channels, order, order[:0], order[:6], [])


def make_trainer(data):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(CLASSES, CLASSES))
    return Trainer(data, network, Compute())


def test_an_epoch_sees_every_clip_once_in_even_batches():
    data = make_data(clips=30, batch=8)
    parts = draw_batches(data, epoch=1)
    assert sorted(np.concatenate(parts)) == list(range(30))
    assert sorted(map(len, parts)) == [7, 7, 8, 8]  # none is tiny
    assert len(np.concatenate(draw_batches(make_data(clips=30, passes=3), epoch=1))) == 90
    assert not np.array_equal(np.concatenate(parts), np.concatenate(draw_batches(data, epoch=2)))


@pytest.mark.parametrize("batch", [2, 3, 5, 7])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_no_process_gets_a_single_clip(batch, processes):
    for clips in range(2 * processes, 20):
        for wanted in draw_batches(make_data(clips=clips, batch=batch), 1, processes):
            assert min(map(len, np.array_split(wanted, processes))) >= 2


def test_a_weighted_loss_wants_of_each_clip_what_an_unweighted_one_wants():
    y = torch.eye(3)[[0, 0, 0, 1, 2]]
    logits = torch.zeros(5, 1, 3, requires_grad=True)
    wanted = 0.7 * y + 0.1
    logits.data = wanted.log()[:, None]
    smoothed_loss(logits, y, 0.3, torch.tensor([0.5, 1.5, 10.0])).backward()
    assert logits.grad.abs().max() < 1e-6  # the minimum


def test_balanced_sampling_draws_rare_classes_as_often():
    data = make_data(clips=600, balance="sample", passes=20)
    targets = data.plan.targets
    few = np.concatenate([np.flatnonzero(targets == 0), [1, 2, 4, 5]])
    data = dataclasses.replace(data, train=few)
    drawn = np.concatenate(draw_batches(data, epoch=1))
    share = np.bincount(targets[drawn]) / len(drawn)
    np.testing.assert_allclose(share, 1 / 3, atol=0.03)
    weights = data.class_weights()
    assert weights[1] / weights[0] == pytest.approx(100)
    assert weights[targets[few]].mean() == pytest.approx(1)


def test_decay_spares_norms_and_biases():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    decayed, spared = make_optimiser(network, RunOptions()).param_groups
    assert [one.ndim for one in decayed["params"]] == [4, 2] and decayed["weight_decay"] == 0.05
    assert [one.ndim for one in spared["params"]] == [1] * 4 and spared["weight_decay"] == 0


def test_weights_that_the_last_step_made_infinite_are_not_kept(monkeypatch, tmp_path):
    trainer = make_trainer(make_data(clips=8, batch=8, lr=1e12))  # one step, whose loss is finite
    weight = next(trainer.network.parameters())
    monkeypatch.setattr(trainer.average, "update", lambda: weight.data.fill_(math.inf))
    with pytest.raises(Failed, match="fold 1, epoch 1: the loss became nan"):
        trainer.fit(tmp_path, BAR)
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("bad", [math.nan, -1e9])
def test_an_absurd_loss_ends_the_epoch(bad):
    data = make_data(clips=16, batch=4)
    data.source.values[11] = bad
    with pytest.raises(Failed, match=r"epoch 1: .*; try a lower LR"):
        make_trainer(data).train_epoch(BAR)


@pytest.mark.parametrize(
    ("given", "tested", "scored"),
    [
        ({"epochs": 60, "curve": 20}, 100, set(range(3, 61, 3))),
        ({"epochs": 5, "curve": 20}, 100, {1, 2, 3, 4, 5}),
        ({"epochs": 9, "curve": 2}, 100, {5, 9}),
        ({"epochs": 10, "curve": 0}, 100, set()),
        ({"epochs": 10}, 200, {2, 4, 5, 7, 9, 10}),  # 3 * 4000 / 10 / 200 times
        ({"epochs": 10, "tta": 4}, 100, {4, 7, 10}),
        ({"epochs": 10}, 4000, set()),
    ],
)
def test_the_curve_is_spread_evenly_and_costs_a_tenth_of_the_training_at_most(given, tested, scored):
    assert curve_epochs(RunOptions(**given), trained=400, tested=tested) == scored


@pytest.mark.parametrize(
    ("name", "start", "middle", "end"),
    [
        ("cosine", 1, 0.5, 0),
        ("step", 1, 0.1, 0.01),
        ("constant", 1, 1, 1),
        ("plateau", 1, 1, 1),
        ("onecycle", 1 / 25, 0.811745, 1 / 250_000),  # defaults of torch.optim.lr_scheduler.OneCycleLR
    ],
)
def test_schedules_by_known_values(name, start, middle, end):
    options = RunOptions(schedule=name, lr=1.0, epochs=1)
    assert [learning_rate(options, 101, step) for step in (0, 50, 100)] == pytest.approx([start, middle, end])


def test_the_best_epoch_is_the_first_of_equals():
    stopping = EarlyStopping("val_loss", patience=0, on_plateau=False)
    assert list(map(stopping.update, (3, 2, 2, 2.5, 1))) == [True, True, False, False, True]
    assert stopping.best == 1
    stopping = EarlyStopping("val_f1", patience=0, on_plateau=False)
    assert stopping.update(0.4) and stopping.update(0.5) and not stopping.update(0.45)


def test_patience_ends_and_plateaus_lower():
    stopping = EarlyStopping("val_loss", patience=6, on_plateau=True)
    states = []
    for loss in (1.0, *[2.0] * 6):
        stopping.update(loss)
        states.append((stopping.lowered, stopping.stop))
    assert states == [(0, False), (0, False), (1, False), (1, False), (2, False), (2, False), (3, True)]
