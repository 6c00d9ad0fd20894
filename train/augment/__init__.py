"""Augmentations of whole batches on their device: one decorated pure function each.

`parse("mask,shift,mix=0.5")` makes an `Augmenter`, which applies them in that order.
"""

# Importing a family is what enters its augmentations in the registry.
from train.augment import frames, level, masks, mixing, rows
from train.augment.registry import AUGMENTS, Augmenter, Batch, augment, parse
from train.augment.rows import centre, window

__all__ = [
    "AUGMENTS",
    "Augmenter",
    "Batch",
    "augment",
    "centre",
    "frames",
    "level",
    "masks",
    "mixing",
    "parse",
    "rows",
    "window",
]
