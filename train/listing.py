"""`python -m train list`: what can be trained and what it costs, from the registries themselves."""

import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from commandline.terminal import count, text_table
from train import recipes
from train.augment import AUGMENTS
from train.models.registry import all_models, resolve
from train.options import ListOptions, parse_grid

STATISTICS = 256  # mean and deviation of the 128 rows of mel, for the size of `linear`
VECTOR = 512  # numbers of a common embedding, for the size of a model on vectors


class Description(NamedTuple):
    """Counts for one clip; the stages' shapes without the batch, in the order in which they run."""

    parameters: int
    multiply_adds: int
    stages: list[tuple[str, tuple[int, ...]]]


def describe_network(network: nn.Module, shape: tuple[int, ...]) -> Description:
    """What one clip of `shape` (without the batch) becomes in a copy of the network; its values do not count.

    Multiply-adds are those of convolutions and linear layers, as papers count them. A network on the device
    `meta` would do, but for operations there torch imports its compiler, which takes longer than all else.
    """
    operations: list[int] = []
    stages: list[tuple[str, tuple[int, ...]]] = []
    network = copy.deepcopy(network).eval()
    names = {network.get_submodule(name): name for name in getattr(network, "stages", ())}

    def note(layer: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            operations.append(layer.weight[0].numel() * output[0].numel())  # (inputs of a group, *kernel)
        if layer in names:
            stages.append((names[layer], tuple(output.shape[1:])))

    for layer in network.modules():
        layer.register_forward_hook(note)
        for name, weight in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(torch.empty(weight.shape)))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            setattr(layer, name, torch.empty(buffer.shape, dtype=buffer.dtype))
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            layer._conv_forward = partial(uncomputed, layer)  # type: ignore[method-assign]
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    return Description(sum(weight.numel() for weight in network.parameters()), sum(operations), stages)


def uncomputed(layer: nn.Conv1d | nn.Conv2d, x: torch.Tensor, *_: object) -> torch.Tensor:
    """Zeros in the shape of a convolution's output."""
    paddings: tuple[int, ...] = layer.padding  # type: ignore[assignment]
    axes = zip(x.shape[2:], paddings, layer.kernel_size, layer.stride)
    sizes = [(size + 2 * padding - kernel) // stride + 1 for size, padding, kernel, stride in axes]
    return x.new_zeros(len(x), layer.out_channels, *sizes)


def describe_model(name: str, options: ListOptions) -> tuple[Description, tuple[int, ...]]:
    """By the sizes in the options, and the shape of the input; RequestError if it is too small."""
    model = resolve(name)
    sizes = {
        "image": (options.channels, *parse_grid(options.grid)),
        "wave": (1, 1, options.samples),
        "vector": (VECTOR, 1, 1),
        "linear": (STATISTICS, 1, 1),
    }
    shape = channels, rows, frames = sizes[model.kind]
    with torch.device("meta"):
        network = model.build(channels, options.classes, (rows, frames))
    try:
        return describe_network(network, shape), shape
    except RuntimeError as error:
        raise model.too_small((rows, frames), error) from None


def overview(options: ListOptions) -> str:
    """Tables of models, augmentations and recipes, or the stages of the model that was named."""
    torch.set_num_threads(1)  # there is nothing to share, and threads that wait take time
    if options.name:
        (parameters, operations, stages), shape = describe_model(options.name, options)
        rows = [(name, "x".join(map(str, size))) for name, size in [("input", shape), *stages]]
        size = f"{count(parameters)} parameters, {count(operations)} multiply-adds a clip"
        summary = resolve(options.name).summary
        return f"{options.name}: {summary}\n\n{text_table(rows, ('stage', 'shape'))}\n\n{size}"
    models = []
    for name, entry in sorted(all_models().items()):
        (parameters, operations, _), _ = describe_model(name, options)
        settings = ",".join(f"{key}={value}" for key, value in entry.options.items())
        example = settings and f"{name}@{settings}"
        models.append((name, entry.kind, count(parameters), count(operations), example, entry.summary))
    augments = [
        (name, f"{entry.default:g}", f"{entry.maximum:g}", ", ".join(entry.kinds), entry.summary)
        for name, entry in sorted(AUGMENTS.items())
    ]
    inputs = f"image: {options.channels}x{options.grid}, wave: {options.samples} samples, vector: {VECTOR}"
    parts = [
        f"Models ({inputs}, linear: {STATISTICS} row statistics; {options.classes} classes)",
        text_table(models, ("name", "takes", "parameters", "multiply-adds", "options", "")),
        "Augmentations (AUGMENT=name=strength,…)",
        text_table(augments, ("name", "default", "maximum", "for", "")),
        "Recipes (RECIPE=name)",
        text_table([(name, recipes.description(name)) for name in recipes.names()], ("name", "")),
        "python -m train list NAME shows the shape after each stage of a model",
    ]
    return "\n\n".join(parts)
