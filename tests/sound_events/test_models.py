"""Models of frames."""

import torch

from featurestack.sound_events.models import class_numbers
from featurestack.sound_events.task import frames


def test_every_frame_has_an_answer():
    network = frames(3, 2, (1, 40)).eval()
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
