"""What a network costs: parameters, multiply-adds, the shape after each stage. Nothing is trained."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Description:
    """Counts for one clip."""

    parameters: int
    multiply_adds: int
    stages: tuple[tuple[str, tuple[int, ...]], ...]
    """(name, shape without the batch), in the order in which they run"""


def describe(network: nn.Module, shape: tuple[int, ...]) -> Description:
    """Run one clip of `shape` (without the batch) through the network and count.

    Multiply-adds are those of convolutions and linear layers, as papers count them.
    """
    operations = 0
    stages: list[tuple[str, tuple[int, ...]]] = []

    def count(layer: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal operations
        assert isinstance(layer.weight, torch.Tensor)
        per_output = layer.weight[0].numel()  # inputs of a group times the kernel's size
        operations += per_output * output[0].numel()

    def note(name: str, output: torch.Tensor) -> None:
        stages.append((name, tuple(output.shape[1:])))

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    ]
    for name in getattr(network, "stages", ()):
        stage = network.get_submodule(name)
        hooks.append(stage.register_forward_hook(lambda _l, _i, output, name=name: note(name, output)))
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, *shape))
    network.train(training)
    for hook in hooks:
        hook.remove()
    parameters = sum(weight.numel() for weight in network.parameters())
    return Description(parameters, operations, tuple(stages))
