"""`imagenet@of=NAME`: the first three stages of ResNet-18, as trained on ImageNet, on
another feature's map; a vector for a clip.

The network is frozen. Its weights are models/resnet18-*.pth: torchvision's own file,
which is fetched if there is none, or one with only these stages. torch runs it, in the
processes that compute the other features. The map is the one that the cache has of
NAME, also without audio; new audio's is computed and rounded like it.

How the map enters was chosen on folds 1 to 3 of ESC-50 at 16 kHz, each tested by the
linear model of the two others. Fixed numbers standardise decibels (76.0 % for mel; by
clip 73.1) and cepstra (62.1 % for mfcc; by clip and row 55.8), other maps are
standardised by clip. Stages 2 and 3 are better than stage 3 (75.2 and 73.8 %).
"""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.embeddings.maps import one_column, source_name, standardised
from featurestack.embeddings.networks import RESNET, digest_of
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, Feature, stored_map
from featurestack.pipeline.parameters import Milliseconds
from featurestack.train.pretrained import fetch, local_weights

if TYPE_CHECKING:
    from torch import Tensor

    from featurestack.train.models.cnn import ResNet

ROWS = 128  # rows of the grid
FRAMES_A_SECOND = 31.25  # the grid's: hops of 32 ms
FEWEST_FRAMES = 64  # the grid's
# mean and maximum of 128 channels on 16 rows, and of 256 on 8
VALUES = 2 * (128 * 16 + 256 * 8)


def imagenet(
    clip: Clip, *, of: str = "", frame: Milliseconds | None = None
) -> np.ndarray:
    """Shapes that a network for photographs finds in another feature's map, as one
    vector.

    Formula: ResNet-18's stages 2 and 3, trained on ImageNet, on the map of the feature
      `of`; mean and maximum over time of each of their channels and rows
    Changes with: edges, textures and patterns of the map, and the rows where they are
    Ignores: when in the clip they are
    Feature map: one column; its rows have no order
    """
    name = source_name(of=of, frame=frame)
    return embed(*stored_map(clip, name))


def embed(values: NDArray, units: str, hop: float) -> NDArray[np.float32]:
    """(values, 1) of a feature map (rows, frames) whose frames are `hop` seconds apart,
    0 if unknown. Equal frames at its end, as of a short clip's zeros, are left out.
    """
    import torch

    frames = values.shape[1]
    others = np.flatnonzero((values != values[:, -1:]).any(axis=0))
    if len(others) and others[-1] < frames - 2:
        frames = max(2, others[-1] + 1)
    x = torch.from_numpy(standardised(values[:, :frames], units))
    wanted = FRAMES_A_SECOND * frames * hop if hop else frames
    columns = max(FEWEST_FRAMES, round(wanted))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in every process
    try:
        with torch.inference_mode():
            resized = torch.nn.functional.interpolate(
                x[None, None], (ROWS, columns), mode="bilinear", antialias=True
            )
            return pooled(open_stages(), resized).numpy()[:, None]
    finally:
        torch.set_num_threads(threads)


def pooled(network: "ResNet", x: "Tensor") -> "Tensor":
    """(VALUES,) mean and maximum over time of channels and rows of stages 2 and 3."""
    import torch

    x = network.relu(network.maxpool(network.bn1(network.conv1(x))))
    x = network.layer1(x)
    over_time = []
    for stage in (network.layer2, network.layer3):
        x = stage(x)
        over_time += [x.mean(3), x.amax(3)]
    return torch.cat([pool.flatten() for pool in over_time])


def open_stages() -> "ResNet":
    """The network, opened once for each process and version of its file."""
    path = weights()
    return _opened(path.absolute(), path.stat().st_mtime_ns, os.getpid())


@functools.lru_cache(maxsize=2)
def _opened(path: Path, _: int, __: int) -> "ResNet":
    import torch
    from torch import nn

    from featurestack.train.models.cnn import ResNet, basic_block
    from featurestack.train.pretrained import adapt, read_weights

    network = ResNet(basic_block, 1, (2, 2, 2, 2), channels=1, classes=1)
    network.layer4 = nn.Sequential()
    network.fc = nn.Identity()  # type: ignore[assignment]
    state, _ = read_weights(path)
    # only training counts batches
    needed = [key for key in network.state_dict() if not key.endswith("_tracked")]
    if lacking := [key for key in needed if key not in state]:
        raise RequestError(
            f"{path} lacks {lacking[0]}: models/ holds torchvision's file of ResNet-18,"
            " or its first three stages"
        )
    own = {key: state[key] for key in needed}
    own["conv1.weight"] = adapt(own["conv1.weight"], 1)
    network.load_state_dict(own, strict=False)
    last = torch.channels_last  # a fifth faster than contiguous kernels
    return network.eval().to(memory_format=last)  # type: ignore[call-overload]


def weights() -> Path:
    """The file of the weights, which is fetched if there is none."""
    return local_weights(RESNET) or fetch(RESNET)


def facts(**_: Any) -> dict[str, str]:
    """The file of the weights, which the values depend on."""
    return {"file": digest_of(weights())}


FEATURES["imagenet"] = Feature(
    "imagenet",
    imagenet,
    units="embedding",
    rows=VALUES,
    row_unit="dimension",
    frames=one_column,
    version=2,
    recorded=facts,
    source_of=source_name,
)
