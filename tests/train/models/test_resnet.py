"""The network gives the bits of torchvision's, although its stem has pooling before
ReLU.
"""

import pytest
import torch

from featurestack.train.models.resnet import Ends, OverTime
from tests.train.little import build


def as_published(network, x):
    """The forward of torchvision's ResNet."""
    x = network.maxpool(torch.relu(network.bn1(network.conv1(x))))
    x = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    return network.fc(torch.flatten(network.avgpool(x), 1))


def test_answers_and_gradients_have_the_bits_of_the_published_order():
    generator = torch.Generator().manual_seed(0)
    network = build("resnet18", 3, 4, (64, 108), generator=generator)
    x = torch.randn(4, 3, 64, 108, generator=generator)
    found = []
    for forward in (network, lambda x: as_published(network, x)):
        network.zero_grad()
        answer = forward(x)
        answer.square().sum().backward()
        found.append([answer, *(weight.grad for weight in network.parameters())])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found))
    assert found[0][1].abs().max() > 0


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", (16, 27)),
        ("resnet18@rows=4,frames=1", (8, 54)),
        ("resnet18@rows=1,frames=2,maxpool=0", (64, 54)),
        ("resnet50@rows=4,frames=4,maxima=1", (8, 14)),
        ("resnet18@rows=4,frames=4,apart=1", (8, 14)),
    ],
)
def test_strides_and_pooling_give_the_size_of_the_first_layer(name, size):
    network = build(name, 2, 4, (64, 108)).eval()
    sizes = []
    network.layer1.register_forward_hook(lambda *given: sizes.append(given[2].shape))
    assert network(torch.zeros(1, 2, 64, 108)).shape == (1, 4)
    assert sizes[0][2:] == size


def test_the_ends_have_no_weights_of_their_own():
    published = build("resnet18", 3, 4, (64, 108)).state_dict()
    network = build("resnet18@rows=4,frames=1,maxima=1", 3, 4, (64, 108))
    network.load_state_dict(published)


def test_the_maximum_over_time_keeps_a_short_event():
    x = torch.zeros(1, 2, 3, 50)
    x[0, 1, :, 20] = 6.0
    pooled = OverTime(Ends(maxima=True))(x)
    assert pooled.flatten().tolist() == pytest.approx([0, 6 + 6 / 50])


def test_rows_apart_tell_a_low_sound_from_a_high_one():
    x = torch.zeros(2, 1, 3, 50)
    x[0, 0, 0] = x[1, 0, 2] = 1.0
    assert OverTime(Ends(apart=True))(x)[:, 0, :, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
    low, high = OverTime(Ends(maxima=True))(x)
    assert torch.equal(low, high)


@pytest.mark.parametrize("rows", [1, 33, 64, 127])
@pytest.mark.parametrize("maxpool", [0, 1])
def test_the_last_layer_reads_all_rows_apart(rows, maxpool):
    name = f"resnet18@rows=3,frames=4,maxpool={maxpool},apart=1"
    network = build(name, 1, 4, (rows, 108)).eval()
    assert network(torch.zeros(1, 1, rows, 108)).shape == (1, 4)
