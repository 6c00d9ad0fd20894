"""`texture@of=NAME`: texture statistics of another feature's map, a vector for a clip.

They are the statistics that `texturenet` trains on (mean, deviation and maximum of each
row, modulation spectra of bands and of patterns along frequency), for exact models to
read. The map has ROWS rows, so that every feature gives VALUES numbers.
"""

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurestack.embeddings.maps import one_column, source_name, standardised
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, Feature, stored_map
from featurestack.pipeline.parameters import Milliseconds

if TYPE_CHECKING:
    from featurestack.train.models.vectors import TextureStatistics

ROWS = 128
FEWEST_FRAMES = 256  # with fewer there would be fewer ranges of modulation
# mean, deviation and maximum of ROWS; 8 ranges of modulation of 32 bands; mean,
# deviation and ranges of 66 patterns
VALUES = 3 * ROWS + 8 * 32 + (2 + 8) * 66


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
    return statistics(standardised(values, units))


def statistics(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(VALUES, 1) of standardised values (rows, frames)."""
    import torch

    grid = ROWS, max(FEWEST_FRAMES, values.shape[1])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in every process
    try:
        with torch.inference_mode():
            resized = torch.nn.functional.interpolate(
                torch.from_numpy(values)[None, None],
                grid,
                mode="bilinear",
                antialias=True,
            )
            return statistics_of(*grid)(resized).numpy().reshape(-1, 1)
    finally:
        torch.set_num_threads(threads)


@functools.cache
def statistics_of(rows: int, frames: int) -> "TextureStatistics":
    from featurestack.train.models.vectors import TextureStatistics
    from featurestack.train.network_input import Plane

    return TextureStatistics((Plane(rows, frames, timed=True),), frames)


FEATURES["texture"] = Feature(
    "texture",
    texture,
    units="embedding",
    rows=VALUES,
    row_unit="dimension",
    frames=one_column,
    source_of=source_name,
)
