"""`python -m train list`: what can be trained and what it costs, from the registries themselves."""

from dataclasses import dataclass

import torch
from torch import nn

from commandline.registry import RequestError
from commandline.terminal import count, text_table
from train import recipes
from train.augment import AUGMENTS
from train.data import parse_grid
from train.models.registry import all_models, convolutions, lower_strides, resolve
from train.options import ListOptions

STATISTICS = 256  # mean and deviation of the 128 rows of mel, for the size of `linear`
VECTOR = 512  # numbers of a common embedding, for the size of a model on vectors


@dataclass(frozen=True)
class Description:
    """Counts for one clip."""

    parameters: int
    multiply_adds: int
    stages: tuple[tuple[str, tuple[int, ...]], ...]
    """(name, shape without the batch), in the order in which they run"""


def describe_network(network: nn.Module, shape: tuple[int, ...]) -> Description:
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


def overview(options: ListOptions) -> str:
    """Tables of models and augmentations, or the stages of the model that was named."""
    if options.name:
        return stages(options)
    models = [_row(name, options) for name in sorted(all_models())]
    augments = [
        (entry.name, f"{entry.default:g}", f"{entry.maximum:g}", ", ".join(entry.kinds), entry.summary)
        for entry in sorted(AUGMENTS.values(), key=lambda entry: entry.name)
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


def stages(options: ListOptions) -> str:
    """The shape after each stage of one model, then its size."""
    described, shape = _describe(options.name, options)
    rows = [("input", _times(shape)), *((name, _times(size)) for name, size in described.stages)]
    size = f"{count(described.parameters)} parameters, {count(described.multiply_adds)} multiply-adds a clip"
    table = text_table(rows, ("stage", "shape"))
    return f"{options.name}: {resolve(options.name).summary}\n\n{table}\n\n{size}"


def _row(name: str, options: ListOptions) -> tuple[str, ...]:
    described, _ = _describe(name, options)
    entry = all_models()[name]
    settings = ",".join(f"{key}={value}" for key, value in entry.options.items())
    counts = count(described.parameters), count(described.multiply_adds)
    return name, entry.kind, *counts, settings and f"{name}@{settings}", entry.summary


def _describe(name: str, options: ListOptions) -> tuple[Description, tuple[int, ...]]:
    model = resolve(name)
    sizes = {
        "image": (options.channels, *_grid(options.grid)),
        "vector": (VECTOR, 1, 1),
        "linear": (1, STATISTICS, 1),
    }
    channels, rows, frames = sizes.get(model.kind, (1, 1, options.samples))
    network = model.assemble(channels, options.classes, (rows, frames))
    lower_strides(convolutions(network).values())  # as training would, in the pass that counts
    shape = (STATISTICS,) if model.kind == "linear" else (channels, rows, frames)
    try:
        return describe_network(network, shape), shape
    except RuntimeError as error:
        raise model.too_small((rows, frames), error) from None


def _grid(text: str) -> tuple[int, int]:
    rows, frames = parse_grid(text)
    if rows < 64 or frames < 108:
        raise RequestError(f"GRID={text}: expected 64x108 at least")
    return rows, frames


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
