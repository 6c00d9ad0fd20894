"""Models of frames."""

import numpy as np
import pytest
import torch

from featurestack.sound_events.models import CONTEXT, class_numbers, with_context
from featurestack.sound_events.task import frames, linear_frames


@pytest.mark.parametrize("build", [frames, linear_frames])
def test_every_frame_has_an_answer(build):
    network = build(3, 2, (1, 40)).eval()
    for length in (1, 40):
        assert network(torch.zeros(2, 3, 1, length)).shape == (2, length, 3)


def test_probabilities_exclude_each_other_or_do_not():
    network = frames(3, 2, (1, 40))
    logits = torch.tensor([[[5.0, 5.0, 0.0]]])
    assert network.probabilities(logits).sum() < 1
    network.exclusive.fill_(False)
    assert (network.probabilities(logits) > 0.99).all()


def test_unused_frames_have_no_part_in_the_loss():
    network = frames(3, 2, (1, 40))
    logits = torch.randn(1, 4, 3)
    targets = torch.zeros(1, 4, 2)
    used = torch.tensor([[True, True, False, False]])
    whole = network.loss(logits, targets, used)
    logits[:, 2:] += 100
    assert network.loss(logits, targets, used) == whole


def test_background_is_the_class_of_a_frame_without_an_event():
    targets = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    assert class_numbers(targets).tolist() == [1, 2, 0]


def test_the_context_is_the_frames_around():
    x = torch.arange(20.0)[None, None]
    around = with_context(x)[0]
    assert around[10].tolist() == [10 + by for by in CONTEXT]
    assert around[0, : CONTEXT.index(0)].eq(0).all()


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_linear_model_finds_what_its_context_tells(exclusive):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(1, 2, 1, 2_000))).float()
    targets = np.zeros((2_000, 2), bool)
    targets[3:, 0] = x[0, 0, 0, :-3].numpy() > 1  # three frames before
    targets[:, 1] = (x[0, 1, 0].numpy() > 1) & ~targets[:, 0]
    network = linear_frames(2, 2, (1, 2_000))
    network.exclusive.fill_(exclusive)
    network.fit(with_context(x.squeeze(2))[0].double().numpy(), targets)
    answers = network.probabilities(network(x))[0].detach().numpy() > 0.5
    assert (answers == targets).mean() > 0.95
