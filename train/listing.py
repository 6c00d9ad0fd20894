"""`python -m train list`: what can be trained and what it costs, from the registries themselves."""

import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

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
    """What one clip of `shape` (without the batch) becomes in the network, without computing anything.

    Multiply-adds are those of convolutions and linear layers, as papers count them.
    """
    stages: list[tuple[str, tuple[int, ...]]] = []
    network = copy.deepcopy(network).to("meta").eval()

    def note(name: str, layer: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        stages.append((name, tuple(output.shape[1:])))

    parameters = sum(weight.numel() for weight in network.parameters())
    for layer in list(network.modules()):
        for name, part in layer.named_children():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):  # changes no shape, and imports a compiler
                layer.register_module(name, nn.Identity())
    for name in getattr(network, "stages", ()):
        network.get_submodule(name).register_forward_hook(partial(note, name))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape, device="meta"))
    return Description(parameters, counter.get_total_flops() // 2, stages)


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
