"""Networks and linear models by name: the decorator that registers one, and a model
with its options, such as `cnn8@width=16`.

A model is one decorated function, its builder. A builder imports its network only when
called, so that a run is planned, or a finished one found, without waiting for torch.

A builder takes the number of channels, the number of classes and the (rows, frames) of
the input. If it has a fourth parameter, `planes`, it gets `InputSpec.planes`: the size
of each channel before resizing, and whether its columns are time.

A network takes a batch (B, C, H, W), float, and returns logits (B, classes). In
training, one that averages several networks returns the logits of each, (B, networks,
classes). An image model takes any H and W from 32x32 up. A wave model takes H = 1 and
W samples; models on vectors and row statistics take H = W = 1 and C numbers.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from featurestack.base.errors import RequestError, nearest
from featurestack.base.options import fields
from featurestack.base.quantities import number_of
from featurestack.base.registry import (
    Registry,
    code_digest,
    refuse_positional,
)
from featurestack.base.shell import make_command
from featurestack.results.config import InputChannel
from featurestack.results.training_options import STRENGTH
from featurestack.train.network_input import KINDS, ChannelSize, InputKind, Planes
from featurestack.train.options import RunOptions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from featurestack.train.network_input import Shape


DROPOUT_BOUNDS = {"dropout": (0.0, 0.9999)}
FUSION = {"fusion": ("early", "streams")}  # how channels are joined, the default first
INPUTS = ("image", "vector", "wave")  # for the user's own models
FOR_VECTORS = "mlp"  # replaces the default if every channel is a vector

Builder = Callable[..., "nn.Module"]
Defined = TypeVar("Defined", bound=Builder)

POSITIVE = (sys.float_info.min, sys.float_info.max)
MODELS: Registry[Architecture] = Registry("model", extensible=True)


@dataclass(frozen=True)
class Architecture:
    """One model with its options: `builder(channels, classes, shape, **settings)`."""

    base: str  # the name without options
    kind: InputKind
    builder: Builder
    augment: str  # the augmentations of AUGMENT=auto
    # whether it learns clips' lengths from padding, which PADDING=auto then keeps
    reads_padding: bool
    # option -> least and greatest value, or the texts that it may be; other options
    # take any positive value
    bounds: Mapping[str, tuple[Any, ...]]
    code: str = ""  # the digest of the source of a user's own builder; else empty
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_planes(self) -> bool:
        """Whether the builder has the parameter `planes`."""
        return "planes" in inspect.signature(self.builder).parameters

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its default, from the builder's keyword-only parameters."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def unused(self) -> list[str]:
        """The options of a run that this model does not use, sorted."""
        parts = {None, *self.kind.uses}
        options = fields(RunOptions).items()
        return sorted(
            key for key, field in options if field.metadata.get("needs") not in parts
        )

    @property
    def name(self) -> str:
        """The shortest name: options at their defaults are left out."""
        stated = ",".join(
            f"{key}={value if isinstance(value, str) else f'{value:.12g}'}"
            for key, value in self.settings.items()
            if value != self.options[key]
        )
        return f"{self.base}@{stated}" if stated else self.base

    def build(
        self,
        channels: int,
        classes: int,
        shape: tuple[int, int],
        planes: Planes = (),
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """The network on the CPU, in training mode; `planes` as in `InputSpec`, by
        default channels of the input's size.

        With a `generator`, weights of convolutions are drawn as by He et al. (2015) for
        ReLU, those of linear layers as by torch's default, and biases are 0; other
        weights are drawn by the builder, from torch's own generator with the same seed.
        """
        import torch
        from torch import nn

        of_channels: tuple[Planes, ...] = ()
        if self.takes_planes:
            of_channels = (planes or (ChannelSize(*shape, timed=True),) * channels,)
        given = channels, classes, shape, *of_channels
        with torch.random.fork_rng(devices=()):
            if generator:
                torch.manual_seed(generator.initial_seed())
            network = self.builder(*given, **self.settings)
        if not isinstance(network, nn.Module):
            raise RequestError(
                f"MODEL={self.name}: the function returned {network!r}, expected a"
                " torch.nn.Module"
            )
        if generator is None:
            return network
        for layer in network.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(
                    layer.weight,
                    mode="fan_out",
                    nonlinearity="relu",
                    generator=generator,
                )
            elif isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(
                    layer.weight, a=math.sqrt(5), generator=generator
                )
            else:
                continue
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        return network


def model(
    kind: str,
    *,
    augment: str = "",
    reads_padding: bool = False,
    bounds: Mapping[str, tuple[Any, ...]] | None = None,
) -> Callable[[Defined], Defined]:
    """Decorator: register a function that builds a network, or its class, by name.

    Parameters
    ----------
    kind : str
        The input that it takes: "image", "vector" or "wave".
    augment : str
        AUGMENT=auto for this model.
    reads_padding : bool
        Whether it learns a clip's length from padding, which PADDING=auto then keeps.
    bounds : dict
        Least and greatest value by option, or the texts that it may be; other options
        take any positive value.

    Examples
    --------
    ::

        @fs.model("image")
        def small(channels, classes, shape, *, width: int = 16):
            return nn.Sequential(
                nn.Conv2d(channels, width, 5, 2), nn.ReLU(),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes),
            )
    """
    if callable(kind):
        kinds = ", ".join(f'"{name}"' for name in INPUTS)
        raise TypeError(f"fs.model takes the kind of input, one of {kinds}")

    def entry(builder: Builder) -> Architecture:
        code = code_digest(builder)
        if kind not in (INPUTS if code else KINDS):
            unknown = nearest("input kind", kind, INPUTS)
            raise RequestError(f"{unknown}; the function's name is the model's")
        parameters = inspect.signature(builder)
        planes = ["planes"] if "planes" in parameters.parameters else []
        try:
            parameters.bind("channels", "classes", "shape", *planes)
        except TypeError as error:
            raise RequestError(
                f"MODEL={builder.__name__}: expected a function of channels, classes"
                f" and shape, and after * options with defaults ({error})"
            ) from None
        refuse_positional(builder)
        return Architecture(
            builder.__name__,
            KINDS[kind],
            builder,
            augment=augment or KINDS[kind].augment,
            reads_padding=reads_padding or KINDS[kind].reads_padding,
            bounds=bounds or {},
            code=code,
        )

    return MODELS.register(entry=entry)


def resolve(text: str) -> Architecture:
    """The model of this name with its options; RequestError if there is none.

    >>> resolve("aclnet@width=0.5").name, resolve("resnet18@fusion=early").name
    ('aclnet@width=0.5', 'resnet18')
    """
    name, _, options = text.partition("@")
    entry = MODELS[name]
    chosen: dict[str, Any] = {}
    for word in filter(None, options.split(",")):
        key, _, value = word.partition("=")
        if key not in entry.options:
            raise RequestError(nearest(f"option of {name}", key, entry.options))
        kind = type(entry.options[key])
        if kind is str:
            chosen[key] = value
            if value not in (texts := entry.bounds.get(key, (value,))):
                raise RequestError(nearest(f"{key} of {name}", value, texts))
            continue
        least, most = entry.bounds.get(key, POSITIVE)
        try:
            number = number_of(value, kind)
        except ValueError:
            number = math.nan
        chosen[key] = number
        if not least <= number <= most:
            expected = "a positive number" if kind is float else "a whole number from 1"
            if key in entry.bounds:
                expected = f"{least:g} to {most:g}"
            raise RequestError(f"{name}@{key}={value!r}: expected {expected}")
    return replace(entry, settings=chosen)


def choose_model(name: str, channels: Sequence[InputChannel]) -> Architecture:
    """The named model; the default model becomes mlp if all channels are vectors."""
    if name == RunOptions.model and all(channel.frames == 1 for channel in channels):
        name = FOR_VECTORS
    model = resolve(name)
    wrong = {channel.name for channel in channels if not model.kind.accepts(channel)}
    if wrong:
        raise RequestError(
            f"{model.name} takes {model.kind.takes}, not {', '.join(sorted(wrong))};"
            f" linear takes all, and {make_command('models')} shows what each model"
            " takes"
        )
    return model


# ---- the project's models


@model(kind="image", bounds=FUSION)
def resnet18(
    channels: int, classes: int, shape: Shape, *, fusion: str = "early"
) -> nn.Module:
    """ResNet of 18 layers; torchvision's weights load."""
    from featurestack.train.models.cnn import ResNet

    return ResNet(channels, classes, streams=fusion == "streams")


@model(kind="image")
def cnn4(channels: int, classes: int, shape: Shape, *, width: int = 32) -> nn.Module:
    """Four convolutions, each followed by max pooling."""
    from featurestack.train.models.cnn import pooled

    return pooled(channels, classes, width)


@model(kind="image")
def cnn8(channels: int, classes: int, shape: Shape, *, width: int = 32) -> nn.Module:
    """Eight strided convolutions, average pooling at the end."""
    from featurestack.train.models.cnn import strided

    return strided(channels, classes, shape, width)


# Shift changes no statistic, and gain did not help.
@model(
    kind="image",
    augment="none",
    reads_padding=True,
)
def texturenet(
    channels: int,
    classes: int,
    shape: Shape,
    planes: Planes,
    *,
    width: int = 256,
    members: int = 3,
) -> nn.Module:
    """Small networks on texture statistics (mean, deviation, maximum, modulation
    spectrum), averaged.

    members: the number of networks.
    """
    from featurestack.train.models.vectors import TextureNet

    return TextureNet(planes, classes, shape[1], width, members)


@model(kind="wave", bounds=DROPOUT_BOUNDS)
def aclnet(
    channels: int,
    classes: int,
    shape: Shape,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
) -> nn.Module:
    """A learned filter bank, then a VGG-like network on its output."""
    from featurestack.train.models.cnn import AclNet

    return AclNet(channels, classes, width, dropout)


@model(kind="vector", bounds=DROPOUT_BOUNDS)
def mlp(
    channels: int, classes: int, shape: Shape, *, width: int = 256, dropout: float = 0.5
) -> nn.Module:
    """A multilayer perceptron on vectors; other features enter by mean and deviation of
    each row.

    A channel whose columns are not time enters with all its values.
    """
    from featurestack.train.models.vectors import VectorNet

    return VectorNet(channels, classes, width, (dropout / 2, dropout))


@model(kind="linear")
def linear(
    channels: int, classes: int, shape: Shape, *, C: float = STRENGTH
) -> nn.Module:
    """Logistic regression on the mean and standard deviation of each row; the smaller
    C, the smaller its weights.

    C: one over the strength of the L2 penalty, as in scikit-learn. A channel
    whose columns are not time enters with all its values.
    """
    from featurestack.train.models.vectors import LinearNet

    return LinearNet(channels, classes, C)


@model(kind="linear")
def ridge(channels: int, classes: int, shape: Shape) -> nn.Module:
    """Kernel ridge regression in closed form on the mean and standard deviation of each
    row; kernel, strength and temperature are chosen on the training clips, leaving each
    recording out.
    """
    from featurestack.train.models.vectors import RidgeNet

    return RidgeNet(channels, classes)
