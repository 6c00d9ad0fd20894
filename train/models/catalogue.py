"""Every model of the project: its name, its kind of input, its options.

The other modules of this folder have the networks. A builder imports its network only
when it is called, so that a run is planned, or a finished one found, without waiting
for torch.

A builder takes the number of channels, the number of classes and the (rows, frames) of
the input. If it has a fourth parameter, `planes`, it gets `InputSpec.planes`: the own
size of each channel, and whether its columns are time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestack.results.training_options import STRENGTH
from featurestack.train.models import model

if TYPE_CHECKING:
    from torch import nn

    from featurestack.train.network_input import Planes, Shape

DROPOUT = {"dropout": (0.0, 0.9999)}


def resnet(
    layers: int, blocks: tuple[int, int, int, int], *, bottlenecks: bool = False
) -> None:
    """Enter the ResNet of so many layers; `blocks` are those of each of its stages."""

    def build(channels: int, classes: int, shape: Shape) -> nn.Module:
        from featurestack.train.models.resnet import ResNet, basic_block, bottleneck

        block, expansion = (bottleneck, 4) if bottlenecks else (basic_block, 1)
        return ResNet(block, expansion, blocks, channels, classes)

    kind = " with bottlenecks" if bottlenecks else ""
    build.__doc__ = f"ResNet of {layers} layers{kind}; torchvision's weights load."
    build.__name__ = f"resnet{layers}"
    model(kind="image")(build)


resnet(18, (2, 2, 2, 2))
resnet(34, (3, 4, 6, 3))
resnet(50, (3, 4, 6, 3), bottlenecks=True)


@model(kind="image")
def densenet121(channels: int, classes: int, shape: Shape) -> nn.Module:
    """DenseNet of 121 layers; torchvision's weights load."""
    from featurestack.train.models.densenet import DenseNet

    return DenseNet((6, 12, 24, 16), channels, classes)


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
@model(kind="image", augment="none", reads_padding=True)
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
    from featurestack.train.models.texture import TextureNet

    return TextureNet(planes, classes, shape[1], width, members)


@model(kind="wave", bounds=DROPOUT)
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


@model(kind="vector", bounds=DROPOUT)
def mlp(
    channels: int,
    classes: int,
    shape: Shape,
    *,
    width: int = 256,
    dropout: float = 0.5,
) -> nn.Module:
    """A multilayer perceptron on vectors; other features enter by mean and deviation of
    each row.

    A channel whose columns are not time enters with all its values.
    channels: how many numbers a clip has; shape is (1, 1).
    """
    from featurestack.train.models.vectors import VectorNet

    return VectorNet(channels, classes, width, (dropout / 2, dropout))


@model(kind="linear")
def linear(
    channels: int, classes: int, shape: Shape, *, C: float = STRENGTH
) -> nn.Module:
    """Logistic regression on the mean and deviation of each row; the smaller C, the
    smaller its weights.

    C: one over the strength of the L2 penalty, as in scikit-learn. A channel
    whose columns are not time enters with all its values. channels: how many numbers a
    clip has; shape is (1, 1).
    """
    from featurestack.train.models.vectors import LinearNet

    return LinearNet(channels, classes, C)


@model(kind="linear")
def ridge(channels: int, classes: int, shape: Shape) -> nn.Module:
    """Kernel ridge regression in closed form, for few numbers and for thousands.

    It chooses its kernel, strength and temperature on the training clips, leaving each
    recording out. channels: how many numbers a clip has; shape is (1, 1).
    """
    from featurestack.train.models.vectors import RidgeNet

    return RidgeNet(channels, classes)
