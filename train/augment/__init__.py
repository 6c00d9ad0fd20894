"""Augmentations of whole batches on their device: one decorated pure function each.

`parse("mask,shift,mix=0.5")` makes an `Augmenter`, which applies them in that order. Every module of this
folder is imported here, which is what enters its augmentations in the registry.
"""

import importlib
import pkgutil

from train.augment.registry import AUGMENTS, Augmenter, Batch, augment, parse
from train.augment.rows import centre, window

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["AUGMENTS", "Augmenter", "Batch", "augment", "centre", "parse", "window"]
