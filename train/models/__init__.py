"""Networks for stacked feature channels and for waveforms: one decorated function a model.

Every network takes a batch of stacked channels (B, C, H, W), float, and returns logits (B, classes).
An image model takes any H and W from 64x108 up. A wave model takes H = 1 and W samples. `linear` takes
row statistics instead, see `train.models.linear`.

A model is named as a feature is, with its options behind an at sign: `aclnet@width=0.5`.
"""

# Importing a family is what enters its models in the registry.
from train.models import cnn, densenet, linear, resnet, wave
from train.models.registry import MODELS, Model, build, model, resolve, unfit

__all__ = [
    "MODELS",
    "Model",
    "build",
    "cnn",
    "densenet",
    "linear",
    "model",
    "resnet",
    "resolve",
    "unfit",
    "wave",
]
