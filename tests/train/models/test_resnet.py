"""The network gives the bits of torchvision's, although its stem has pooling before
ReLU.
"""

import torch

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
