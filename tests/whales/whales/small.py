"""A model: one linear layer."""

from featurestack.train.models import Model


def small(channels, classes, shape):
    """One linear layer."""
    from torch import nn

    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


SMALL = Model("small", "image", small)
