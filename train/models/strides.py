"""The rule for strides: no convolution strides over an axis that is not longer than its stride.

Such a step leaves a single row or frame, of which most of the kernel sees nothing but padding. On such shapes
oneDNN's bf16 kernels leave weight gradients unwritten or give a wrong output (docs/onednn-bf16.md), and a
network gains nothing from them: pooling over the last rows and frames comes next. So the axis keeps its
length there. Grids from 64x108 up reach such a shape in cnn8 only, up to 216 frames.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

Strides = Mapping[str, Sequence[int]]  # of the convolutions that are changed, by their names in the network
STRIDED = nn.Conv1d | nn.Conv2d


def shortened(network: nn.Module, shape: tuple[int, ...]) -> dict[str, list[int]]:
    """The strides that the rule changes in a network for clips of `shape` (C, H, W); the network gets them.

    One clip of zeros shows the shapes that really occur: a quarter of a second for the largest network.
    RuntimeError is torch's where the network cannot take this shape.
    """
    found: dict[str, list[int]] = {}
    hooks = [
        layer.register_forward_pre_hook(_note(name, found))
        for name, layer in network.named_modules()
        if isinstance(layer, STRIDED) and max(layer.stride) > 1
    ]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return found


def _note(name: str, found: dict[str, list[int]]) -> Callable[[nn.Module, tuple[torch.Tensor]], None]:
    """A hook that applies the rule to its layer before it runs: the layers behind it see the result."""

    def limit(layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        assert isinstance(layer, STRIDED)
        axes = inputs[0].shape[-len(layer.stride) :]
        stride = [step if size > step else 1 for size, step in zip(axes, layer.stride)]
        if stride != list(layer.stride):
            found[name] = stride
            layer.stride = tuple(stride)

    return limit


def apply(network: nn.Module, strides: Strides) -> None:
    """Give the named convolutions their strides."""
    for name, stride in strides.items():
        layer = network.get_submodule(name)
        assert isinstance(layer, STRIDED)
        layer.stride = tuple(stride)
