"""`imagenet@of=NAME`: the first three stages of ResNet-18, as trained on ImageNet, on
another feature's map; a vector for a clip.

The network is frozen. Its weights are models/resnet18-*.pth: torchvision's own file,
which is fetched if there is none, or one with only these stages. torch runs it, in the
processes that compute the other features. The map is the one that the cache has of
NAME, also without audio; new audio's is computed and rounded like it.

How the map enters was chosen on folds 1 to 3 of ESC-50 at 16 kHz, each tested by the
linear model of the two others. Fixed numbers standardise decibels (76.0 % for mel; by
clip 73.1) and cepstra (62.1 % for mfcc; by clip and row 55.8), other maps are
standardised by clip. Means and maxima over time of stages 2 and 3, row by row, are
better than stage 3 (75.2 and 73.8 %). By `ridge` stages 2 and 3 have 77.8 % for
mel, and 77.5 with stage 1 too (`imagenet@of=mel,layers=123`).
"""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.embeddings.networks import RESNET, digest_of
from featurestack.features_cache.names import Channel, parse_channel
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import (
    FEATURES,
    Feature,
    Variant,
    resolve_feature,
    stored_map,
)
from featurestack.pipeline.parameters import Impossible, Milliseconds
from featurestack.train.pretrained import fetch, local_weights

if TYPE_CHECKING:
    from torch import Tensor

    from featurestack.train.models.cnn import ResNet

ROWS = 128  # rows of the grid
FRAMES_A_SECOND = 31.25  # the grid's: hops of 32 ms
FEWEST_FRAMES = 64  # the grid's
LEVEL, SPREAD = -30.0, 20.0  # dB: about the mean and the deviation of ESC-50's mel
LEAST_DEVIATION = 1e-3
BANDS = 128  # behind a cepstrum, whose deviation falls about as 1 / (1 + row)
STAGES = {"1": 64, "2": 128, "3": 256}  # stage -> its channels
SHRUNK = {"1": 4, "2": 8, "3": 16}  # stage -> rows of the grid in one of its rows
READ = "23"  # stages


def imagenet(
    clip: Clip,
    *,
    of: str = "",
    frame: Milliseconds | None = None,
    layers: str = READ,
) -> np.ndarray:
    """Shapes that a network for photographs finds in another feature's map, as one
    vector.

    Formula: ResNet-18's stages 2 and 3 (`layers`), trained on ImageNet, on the map of
      the feature `of`; mean and maximum over time of each of their channels and rows
    Changes with: edges, textures and patterns of the map, and the rows where they are
    Ignores: when in the clip they are
    Feature map: one column; its rows have no order
    """
    name = source_name(of=of, frame=frame)
    return embed(*stored_map(clip, name), layers)


def embed(
    values: NDArray, units: str, hop: float, layers: str = READ
) -> NDArray[np.float32]:
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
            return pooled(open_stages(), resized, layers).numpy()[:, None]
    finally:
        torch.set_num_threads(threads)


def standardised(values: NDArray, units: str) -> NDArray[np.float32]:
    """The map (rows, frames) with values around 0."""
    x = values.astype(np.float32)
    if units == "dB":
        return (x - LEVEL) / SPREAD
    if units == "dB, cepstrum":
        row = np.arange(len(x), dtype=np.float32)[:, None]
        size = np.float32(np.sqrt(BANDS))
        level = np.where(row == 0, LEVEL * size, 0)
        return (x - level) / (SPREAD * size / (1 + row))
    return (x - x.mean()) / max(x.std(), LEAST_DEVIATION)


def pooled(network: "ResNet", x: "Tensor", layers: str) -> "Tensor":
    """(values,) mean and maximum over time of channels and rows of these stages."""
    import torch

    x = network.relu(network.maxpool(network.bn1(network.conv1(x))))
    over_time = []
    for stage in STAGES:
        x = network.get_submodule(f"layer{stage}")(x)
        if stage in layers:
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
    own = {key: state[key] for key in network.state_dict() if key in state}
    lacking = [key for key in network.state_dict() if key not in own]
    # only training counts batches
    lacking = [key for key in lacking if not key.endswith("num_batches_tracked")]
    if lacking:
        raise RequestError(
            f"{path} lacks {lacking[0]}: models/ holds torchvision's file of ResNet-18,"
            " or its first three stages"
        )
    own["conv1.weight"] = adapt(own["conv1.weight"], 1)
    network.load_state_dict(own, strict=False)
    # a fifth faster than contiguous kernels
    last = torch.channels_last
    return network.eval().to(memory_format=last)  # type: ignore[call-overload]


def weights() -> Path:
    """The file of the weights, which is fetched if there is none."""
    return local_weights(RESNET) or fetch(RESNET)


def source_name(*, of: str, frame: float | None = None, layers: str = READ) -> str:
    """The stored name of the feature whose map is read, with frames of `frame`
    milliseconds; RequestError if its columns are not frames in time, or `layers` are no
    stages.
    """
    if of in ("", "imagenet", "embedding"):
        raise RequestError(
            f"imagenet@of={of}: expected a feature with frames in time, as"
            " imagenet@of=mel"
        )
    if not layers or "".join(stage for stage in STAGES if stage in layers) != layers:
        raise RequestError(
            f"imagenet@layers={layers}: expected stages of 1 to 3 in order, as {READ}"
        )
    if FEATURES.knows(of) and FEATURES[of].frame_unit != "s":
        raise RequestError(f"imagenet@of={of}: its columns are not frames in time")
    return Channel(of, (("frame", frame),) if frame else ()).stored


def source_of(sample_rate: int, **parameters: Any) -> Variant | None:
    """The feature whose map is read; None if it was brought into the cache."""
    channel = parse_channel(source_name(**parameters))
    if not sample_rate or not FEATURES.knows(channel.name):
        return None
    return resolve_feature(channel, sample_rate)


def facts(**_: Any) -> dict[str, str]:
    """The file of the weights, which the values depend on."""
    return {"file": digest_of(weights())}


def dimension_axis(
    sample_rate: int, *, layers: str = READ, **parameters: Any
) -> NDArray[np.float64]:
    """(rows,) the number of each row, from 0; Impossible if the source is."""
    if source := source_of(sample_rate, **parameters):
        source.row_axis(sample_rate)
    values = sum(2 * STAGES[stage] * ROWS // SHRUNK[stage] for stage in layers)
    return np.arange(float(values))


def one_column(
    sample_rate: int, samples: int, **parameters: Any
) -> NDArray[np.float64]:
    """(1,) the clip's beginning; Impossible if the source is, or has a single frame."""
    source = source_of(sample_rate, **parameters)
    if source and len(source.frame_axis(sample_rate, samples)) < 2:
        raise Impossible(f"{source.stored} has a single frame")
    return np.zeros(1)


FEATURES["imagenet"] = Feature(
    "imagenet",
    imagenet,
    units="embedding",
    rows=dimension_axis,
    row_unit="dimension",
    frames=one_column,
    version=2,
    recorded=facts,
    source=source_name,
)
