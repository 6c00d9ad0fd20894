"""augmented.npz: a few clips before and after each augmentation of a run, for the report.

Arrays, all without objects: `clip_id` (n,), `channel` (C,), `augment` (k,) the augmentations in order,
`before` (n, C, H, W) float16 as the model would see them, `after_<i>` what the i-th alone makes of them,
`together` all in their order. With mixing, a clip's partner is one of the other n - 1.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.augment.registry import Augmenter
from train.runs import replace_file


def write(
    file: Path,
    x: torch.Tensor,
    augmenter: Augmenter,
    axes: Sequence[str],
    *,
    clip_ids: Sequence[str],
    channels: Sequence[str],
    generator: torch.Generator,
) -> None:
    """Write what `augmenter` makes of the clips x (n, C, H, W), normalised as in training."""

    def after(steps: Augmenter) -> np.ndarray:
        shares = torch.eye(len(x), device=x.device)
        return steps(x, shares, axes, generator)[0].half().cpu().numpy()

    alone: dict[str, Any] = {
        f"after_{i}": after(Augmenter((step,))) for i, step in enumerate(augmenter.steps)
    }
    content = io.BytesIO()
    np.savez_compressed(
        content,
        clip_id=np.array(clip_ids, str),
        channel=np.array(channels, str),
        augment=np.array([str(Augmenter((step,))) for step in augmenter.steps], str),
        before=x.half().cpu().numpy(),
        together=after(augmenter),
        **alone,
    )
    replace_file(file, content.getvalue())
