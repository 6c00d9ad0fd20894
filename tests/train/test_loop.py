"""The training loop's parts by known answers, on clips of three values."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from train import loop
from train.augment import parse
from train.compute import Compute
from train.distributed import World
from train.options import RunOptions
from train.views import views

CLASSES = 3


class Values:
    """A source of given values (N, 1, 1, D)."""

    def __init__(self, values):
        self.values = torch.as_tensor(values, dtype=torch.float32)

    def batches(self, wanted):
        for positions in wanted:
            yield self.values[torch.from_numpy(positions)]


class Silent:
    """A follower that counts clips."""

    clips = 0

    def step(self, clips):
        self.clips += clips


def make_lesson(clips=30, dimensions=5, val=0, values=None):
    chance = np.random.default_rng(3)
    targets = np.arange(clips) % CLASSES
    if values is None:
        values = (
            chance.normal(size=(clips, 1, 1, dimensions)) * 0.1
            + np.eye(CLASSES, dimensions)[targets][:, None, None]
        )
    order = np.arange(clips)
    return loop.Lesson(1, Values(values), targets, CLASSES, ("none",), order[val:], order[:val], order[:6])


def make_course(lesson, options=None, network=None, augment="none"):
    options = options or make_options()
    if network is None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(lesson.source.values[0].numel(), CLASSES))
    return loop.Course(lesson, network, network, options, Compute(), parse(augment), World())


def make_options(**changes):
    return dataclasses.replace(
        RunOptions(epochs=3, batch=8, smoothing=0.0, lr=0.1, augment="none"), **changes
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    "changes", [{}, {"clip": 0.5}, {"ema": 0.9}, {"balance": "loss"}, {"balance": "sample"}]
)
def test_every_way_of_training_learns(optimizer, changes):
    course = make_course(make_lesson(), make_options(optimizer=optimizer, **changes))
    losses = []
    for _ in range(8):
        losses.append(loop.train_epoch(course, Silent())["train_loss"])
    assert losses[-1] < 0.6 * losses[0]


def test_an_epoch_sees_every_clip_once_in_even_batches():
    lesson = make_lesson(clips=30)
    parts = loop.batches(lesson, make_options(batch=8), epoch=1)
    assert sorted(np.concatenate(parts)) == list(range(30))
    assert sorted(map(len, parts)) == [7, 7, 8, 8]  # none is tiny
    assert len(np.concatenate(loop.batches(lesson, make_options(batch=8, passes=3), epoch=1))) == 90
    assert min(map(len, loop.batches(make_lesson(clips=9), make_options(batch=2), epoch=1))) == 2
    others = loop.batches(lesson, make_options(batch=8), epoch=2)
    assert not np.array_equal(np.concatenate(parts), np.concatenate(others))


def test_balanced_sampling_draws_rare_classes_as_often():
    lesson = make_lesson(clips=600)
    few = np.concatenate([np.flatnonzero(lesson.targets == 0), [1, 2, 4, 5]])
    lesson = dataclasses.replace(lesson, train=few)
    drawn = np.concatenate(
        [np.concatenate(loop.batches(lesson, make_options(balance="sample"), e)) for e in range(20)]
    )
    share = np.bincount(lesson.targets[drawn]) / len(drawn)
    np.testing.assert_allclose(share, 1 / 3, atol=0.03)
    weights = lesson.class_weights()
    assert weights[1] / weights[0] == pytest.approx(100)
    assert weights[lesson.targets[few]].mean() == pytest.approx(1)


def test_a_class_without_training_clips_has_a_finite_weight():
    lesson = dataclasses.replace(make_lesson(), train=np.array([0, 1, 3]))
    assert np.isfinite(lesson.class_weights()).all()


def test_decay_spares_norms_and_biases():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    decayed, spared = loop.make_optimiser(network, RunOptions()).param_groups
    assert [one.ndim for one in decayed["params"]] == [4, 2] and decayed["weight_decay"] == 0.05
    assert all(one.ndim == 1 for one in spared["params"]) and spared["weight_decay"] == 0
    assert sum(len(group["params"]) for group in (decayed, spared)) == len(list(network.parameters()))


def test_smoothing_and_the_rate_are_what_is_asked():
    lesson = make_lesson(clips=9)
    course = make_course(lesson, make_options(smoothing=0.3, schedule="constant", batch=9, lr=1e-9))
    logits = course.network(lesson.source.values).detach()
    wanted = nn.functional.cross_entropy(logits, torch.from_numpy(lesson.targets), label_smoothing=0.3)
    row = loop.train_epoch(course, Silent())
    assert row["train_loss"] == pytest.approx(wanted.item(), rel=1e-5) and row["lr"] == 1e-9


def test_clipping_limits_the_step():
    lesson = make_lesson(values=np.random.default_rng(0).normal(size=(30, 1, 1, 5)) * 100)
    free, clipped = (
        make_course(
            lesson, make_options(clip=clip, optimizer="sgd", momentum=0.0, decay=0.0, schedule="constant")
        )
        for clip in (0.0, 0.1)
    )
    moved = []
    for course in (free, clipped):
        before = course.network[1].weight.detach().clone()
        loop.train_epoch(course, Silent())
        moved.append((course.network[1].weight - before).norm().item())
    assert moved[1] <= 4 * 0.1 * 0.1 + 1e-6 < moved[0]  # four steps of LR * CLIP at most


def test_the_average_follows_the_weights_and_ends_between_them():
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    average = loop.Average(network, 0.5)
    nn.init.ones_(network.weight)
    average.update()
    assert average.network.weight.item() == pytest.approx(0.9)  # the ramp's first share is a tenth
    for _ in range(60):
        average.update()
    assert average.network.weight.item() == pytest.approx(1)
    assert loop.Average(network, 0.0).network is network


def test_the_average_counts_batches_as_the_network_does():
    network = nn.BatchNorm1d(2)
    average = loop.Average(network, 0.9)
    network(torch.randn(4, 2))
    average.update()
    assert average.network.num_batches_tracked == 1


@pytest.mark.parametrize("bad", [math.nan, 1e9])
def test_divergence_names_its_step(bad):
    lesson = make_lesson(clips=16)
    lesson.source.values[11] = bad
    course = make_course(lesson, make_options(batch=4))
    order = np.concatenate(loop.batches(lesson, course.options, epoch=1))
    with pytest.raises(loop.Diverged) as diverged:
        loop.train_epoch(course, Silent())
    assert f"at step {order.tolist().index(11) // 4 + 1} of epoch 1" in str(diverged.value)


def test_a_follower_hears_of_every_clip():
    follower = Silent()
    loop.train_epoch(make_course(make_lesson(clips=30)), follower)
    assert follower.clips == 30


def test_predictions_are_probabilities_in_the_order_of_the_clips():
    lesson = make_lesson()
    course = make_course(lesson)
    found = loop.predict(course, np.array([4, 2, 9]))
    wanted = course.network(lesson.source.values[[4, 2, 9]]).softmax(1).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_several_views_are_averaged():
    lesson = make_lesson(dimensions=6)
    course = make_course(lesson, make_options(tta=3))
    shifted = [lesson.source.values[:2].roll(-shift, dims=3) for shift in (0, 2, 4)]
    wanted = torch.stack([course.network(one).softmax(1) for one in shifted]).mean(0).detach()
    assert len(list(views(lesson.source.values, parse("none"), 3))) == 3
    found = loop.predict(course, np.array([0, 1]))
    np.testing.assert_allclose(sorted(found.ravel()), sorted(wanted.numpy().ravel()), rtol=1e-5)


@pytest.mark.parametrize(
    ("epochs", "curve", "scored"),
    [(60, 20, set(range(3, 61, 3))), (5, 20, {1, 2, 3, 4, 5}), (7, 0, {7}), (10, 1, {10}), (9, 2, {5, 9})],
)
def test_the_test_fold_is_scored_so_often(epochs, curve, scored):
    assert loop.curve_epochs(RunOptions(epochs=epochs, curve=curve)) == scored
