"""Vectors of another feature's map: `imagenet@of=NAME`, the answer of a network for
photographs, and `texture@of=NAME`, texture statistics.

`imagenet` is the first three stages of ResNet-18, as trained on ImageNet and frozen.
Its weights are models/resnet18-*.pth: torchvision's own file, which is fetched if there
is none, or one with only these stages. `texture` has the statistics that `texturenet`
trains on (mean, deviation and maximum of each row, modulation spectra of bands and of
patterns along frequency), for exact models to read.

torch runs both, in the processes that compute the other features. The map is the one
that the cache has of NAME, also without audio; new audio's is computed and rounded like
it.

The input of `imagenet` was chosen on folds 1 to 3 of ESC-50 at 16 kHz, each tested by a
linear model trained on the two others. Decibels are standardised by fixed numbers
(76.0 % for mel; 73.1 % if standardised by clip); other maps are standardised by clip.
Stages 2 and 3 together are better than stage 3 by itself (75.2 and 73.8 %).

A cepstrum is shown as the spectral envelope that its inverse cosine transform gives, on
the rows of its filters: along quefrency there are no edges. By `ridge` on all other
folds, `imagenet@of=mfcc` then reaches 81.4 % on folds 1 to 3 instead of 72.4 %,
`texture@of=mfcc` 73.2 % instead of 59.9 %.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.embeddings.networks import RESNET, digest_of
from featurestack.features_cache.feature_names import FeatureName, parse_feature_name
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import (
    FEATURES,
    FeatureDefinition,
    resolve_feature,
    stored_map,
)
from featurestack.pipeline.parameters import Impossible, Milliseconds
from featurestack.train.pretrained import fetch_weights, local_weights

if TYPE_CHECKING:
    from torch import Tensor

    from featurestack.train.models.cnn import ResNet
    from featurestack.train.models.vectors import TextureStatistics

LEVEL, SPREAD = -30.0, 20.0  # dB: about the mean and the deviation of ESC-50's mel
LEAST_DEVIATION = 1e-3
CEPSTRUM_BANDS = 128  # filters behind a cepstrum

GRID_ROWS = 128  # of both grids, so that every feature gives as many values
# of the grid of `imagenet`
FRAMES_A_SECOND = 31.25  # hops of 32 ms
FEWEST_FRAMES = 64
# mean and maximum of 128 channels on 16 rows, and of 256 on 8
SHAPES = 2 * (128 * 16 + 256 * 8)
# of the grid of `texture`: with fewer there would be fewer ranges of modulation
FEWEST_OF_TEXTURE = 256
# mean, deviation and maximum of GRID_ROWS; 8 ranges of modulation of 32 bands; mean,
# deviation and ranges of 66 patterns
MAP_STATISTICS = 3 * GRID_ROWS + 8 * 32 + (2 + 8) * 66


# ---- another feature's map


def standardised(values: NDArray, units: str) -> NDArray[np.float32]:
    """The map (rows, frames) with values around 0."""
    import scipy.fft

    x = values.astype(np.float32)
    if units == "dB, cepstrum":
        x, units = scipy.fft.idct(x, axis=0, n=CEPSTRUM_BANDS, norm="ortho"), "dB"
    if units == "dB":
        return (x - LEVEL) / SPREAD
    return (x - x.mean()) / max(x.std(), LEAST_DEVIATION)


def source_name(*, of: str, frame: float | None = None) -> str:
    """The stored name of the feature whose map is read, with frames of `frame`
    milliseconds; RequestError if its columns are not frames in time.
    """
    if of in ("", *FEATURES.special):
        raise RequestError(
            f"of={of}: expected a feature with frames in time, such as of=mel"
        )
    if FEATURES.knows(of) and FEATURES[of].frame_unit != "s":
        raise RequestError(f"of={of}: its columns are not frames in time")
    return FeatureName(of, (("frame", frame),) if frame else ()).stored


def one_column(
    sample_rate: int, samples: int, **parameters: Any
) -> NDArray[np.float64]:
    """(1,) the clip's beginning; Impossible if the feature whose map is read is
    impossible, or has a single frame.
    """
    channel = parse_feature_name(source_name(**parameters))
    if sample_rate and FEATURES.knows(channel.name):  # it was not brought
        source = resolve_feature(channel, sample_rate)
        if source.shape(sample_rate, samples)[1] < 2:
            raise Impossible(f"{source.stored} has a single frame")
    return np.zeros(1)


def of_grid(
    values: NDArray[np.float32], frames: int, compute: "Callable[[Tensor], Tensor]"
) -> NDArray[np.float32]:
    """(n, 1) the result of `compute` for the map, as (1, 1, GRID_ROWS, frames)."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in every process
    try:
        with torch.inference_mode():
            resized = torch.nn.functional.interpolate(
                torch.from_numpy(values)[None, None],
                (GRID_ROWS, frames),
                mode="bilinear",
                antialias=True,
            )
            vector: NDArray[np.float32] = compute(resized).numpy().reshape(-1, 1)
            return vector
    finally:
        torch.set_num_threads(threads)


# ---- imagenet


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
    """(SHAPES, 1) of a feature map (rows, frames) whose frames are `hop` seconds apart,
    0 if unknown. Equal frames at its end, as of a short clip's zeros, are left out.
    """
    frames = values.shape[1]
    others = np.flatnonzero((values != values[:, -1:]).any(axis=0))
    if len(others) and others[-1] < frames - 2:
        frames = max(2, others[-1] + 1)
    columns = round(FRAMES_A_SECOND * frames * hop) if hop else frames
    x = standardised(values[:, :frames], units)
    return of_grid(x, max(FEWEST_FRAMES, columns), pooled_stages)


def pooled_stages(x: "Tensor") -> "Tensor":
    """(SHAPES,) mean and maximum over time of channels and rows of stages 2 and 3."""
    import torch

    network = open_stages()
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

    from featurestack.train.models.cnn import ResNet
    from featurestack.train.pretrained import adapt, read_weights

    network = ResNet(channels=1, classes=1)
    network.layer4 = nn.Sequential()
    network.fc = nn.Identity()  # type: ignore[assignment]
    state, _ = read_weights(path)
    # only training counts batches
    needed = [key for key in network.state_dict() if not key.endswith("_tracked")]
    if absent := [key for key in needed if key not in state]:
        raise RequestError(
            f"{path} lacks {absent[0]}: models/ holds torchvision's file of ResNet-18,"
            " or its first three stages"
        )
    stages = {key: state[key] for key in needed}
    stages["conv1.weight"] = adapt(stages["conv1.weight"], 1)
    network.load_state_dict(stages, strict=False)
    last = torch.channels_last  # a fifth faster than contiguous kernels
    return network.eval().to(memory_format=last)  # type: ignore[call-overload]


def weights() -> Path:
    """The file of the weights, which is fetched if there is none."""
    return local_weights(RESNET) or fetch_weights(RESNET)


def map_facts(**_: Any) -> dict[str, str]:
    """The file of the weights, which the values depend on."""
    return {"file": digest_of(weights())}


# ---- texture


def texture(
    clip: Clip, *, of: str = "", frame: Milliseconds | None = None
) -> np.ndarray:
    """Texture statistics of another feature's map, as one vector: what listeners
    recognise rain, engines or applause by.

    Formula: mean, deviation and maximum over time of each row of the feature `of`, and
      logarithms of the modulation spectra of bands and of patterns along frequency
    Changes with: timbre, how far and how fast it varies, and where in the spectrum
    Ignores: the order of events and when in the clip they are
    Feature map: one column; its rows have no order
    """
    values, units, _ = stored_map(clip, source_name(of=of, frame=frame))
    frames = max(FEWEST_OF_TEXTURE, values.shape[1])
    return of_grid(standardised(values, units), frames, statistics_of(frames))


@functools.cache
def statistics_of(frames: int) -> "TextureStatistics":
    from featurestack.train.models.vectors import TextureStatistics
    from featurestack.train.network_input import ChannelSize

    return TextureStatistics((ChannelSize(GRID_ROWS, frames, timed=True),), frames)


OF_MAP: dict[str, Any] = {
    "units": "embedding",
    "row_unit": "dimension",
    "frames": one_column,
    "source_of": source_name,
}
FEATURES["imagenet"] = FeatureDefinition(
    "imagenet", imagenet, rows=SHAPES, version=3, recorded=map_facts, **OF_MAP
)
FEATURES["texture"] = FeatureDefinition(
    "texture", texture, rows=MAP_STATISTICS, version=2, **OF_MAP
)
