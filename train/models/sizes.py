"""`make models`: list models with their sizes, and augmentations."""

from typing import Any

import torch
from torch import nn

from featurestack.base.options import Options
from featurestack.base.quantities import count
from featurestack.base.registry import first_sentence
from featurestack.base.terminal import text_table
from featurestack.results.config import InputChannel
from featurestack.results.training_options import FROM_SCRATCH
from featurestack.train.augment import AUGMENTS
from featurestack.train.models import MODELS, resolve
from featurestack.train.network_input import KINDS, InputKind, InputSpec

COUNTED_CLASSES = 50  # number of classes for which sizes are counted


def example_channel(name: str, rows: int, frames: int) -> InputChannel:
    return InputChannel(
        stored=name,
        parameters={},
        dtype="float16",
        row_range=(0, rows - 1),
        frames=frames,
        frame_unit="s",
    )


MEL = example_channel("mel", rows=128, frames=431)
WAVEFORM = example_channel("waveform", rows=1, frames=220_500)  # 5 s


def example(kind: InputKind) -> InputSpec:
    """The input for which the sizes of models of this kind are counted."""
    channel = MEL if kind.accepts(MEL) else WAVEFORM
    channels = (channel,) * (3 if "grid" in kind.uses else 1)
    grid = kind.chosen_grid(channels, str(FROM_SCRATCH["grid"]))
    return InputSpec(kind, channels, grid, drop_padding=False)


def describe_model(
    name: str, shape: tuple[int, int, int] | None = None, classes: int = COUNTED_CLASSES
) -> tuple[int, int]:
    """(parameters, multiply-adds of a clip) for an input (D, H, W), by default
    `example` of its kind.

    Multiply-adds are those of convolutions and linear layers, as in papers. The network
    runs on the CPU: on `meta` torch would import its compiler. Tensors of a user's
    network need not be parameters, so it is built there too.
    """
    model = resolve(name)
    shape = shape or example(model.kind).shape
    channels, rows, frames = shape
    operations: list[int] = []

    def note(layer: Any, _: object, output: Any) -> None:
        kernel = layer.weight[0]  # (inputs of a group, *kernel)
        operations.append(kernel.numel() * output.numel())

    with torch.device("cpu" if model.code else "meta"):  # meta draws no weights
        network = model.build(channels, classes, (rows, frames)).eval()
    network._apply(lambda weight: torch.zeros(weight.shape, dtype=weight.dtype))
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    return sum(weight.numel() for weight in network.parameters()), sum(operations)


def list_models(options: Options) -> None:
    """The command `models`: every model and augmentation."""
    torch.set_num_threads(1)  # the work is too small to be shared among threads
    every = MODELS.complete()
    inputs = []
    for name, kind in KINDS.items():
        lengths = [n for n in example(kind).shape if n > 1]
        inputs.append(f"{name}: {'x'.join(map(str, lengths))}")
    models = []
    for name, entry in sorted(every.items()):
        sizes = map(count, describe_model(name))
        settings = ",".join(f"{key}={value}" for key, value in entry.options.items())
        with_options = settings and f"{name}@{settings}"
        about = first_sentence(entry.builder)
        models.append((name, entry.kind.name, *sizes, with_options, about))
    augmentations = []
    for name, each in sorted(AUGMENTS.items()):
        strengths = f"{each.default:g}", f"{each.maximum:g}"
        about = first_sentence(each.transform)
        augmentations.append((name, *strengths, ", ".join(each.kinds), about))
    parts = [
        f"Models ({', '.join(inputs)}; {COUNTED_CLASSES} classes)",
        text_table(
            models, ("name", "takes", "parameters", "multiply-adds", "options", "")
        ),
        "Augmentations (AUGMENT=name=strength,…)",
        text_table(augmentations, ("name", "default", "maximum", "for", "")),
    ]
    print("\n\n".join(parts))
