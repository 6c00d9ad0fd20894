"""The views of a clip that a model is tested on: one, or several whose probabilities are averaged."""

from collections.abc import Iterator

import torch

from train.augment import Augmenter, centre, crop_shape


def trained_shape(augmenter: Augmenter, shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and frames of what the model sees of a clip of `shape`: fewer where the augmenter crops."""
    for entry, strength in augmenter.steps:
        if entry.name == "crop":
            shape = crop_shape(shape, strength)
    return shape


def views(x: torch.Tensor, augmenter: Augmenter, count: int = 1) -> Iterator[torch.Tensor]:
    """`count` views of the clips x (B, C, H, W), each as large as those that the model was trained on.

    One view is the whole clip, or its centre where the augmenter crops. Several are circular shifts in
    time, evenly spaced, or crops spread evenly over the time, with the rows' centre.
    """
    rows, frames = trained_shape(augmenter, (x.shape[2], x.shape[3]))
    spare = x.shape[3] - frames
    if count == 1:
        yield centre(x, (rows, frames))
        return
    for i in range(count):
        if spare:
            left = round(spare * i / (count - 1))
            yield centre(x[..., left : left + frames], (rows, frames))
        else:
            yield centre(x.roll(round(frames * i / count), dims=3), (rows, frames))
