"""Networks for stacked feature channels and for waveforms: one decorated function a model.

Every network takes a batch of stacked channels (B, C, H, W), float, and returns logits (B, classes).
An image model takes any H and W from 64x108 up. A wave model takes H = 1 and W samples. `linear` takes
row statistics instead, see `train.models.linear`.

A model is named as a feature is, with its options behind an at sign: `aclnet@width=0.5`. Every module of this
folder is imported here, which is what enters its models in the registry.
"""

import importlib
import pkgutil

from train.models.registry import MODELS, Model, build, changed_strides, model, resolve, unfit

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["MODELS", "Model", "build", "changed_strides", "model", "resolve", "unfit"]
