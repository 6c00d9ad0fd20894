"""Small pictures of cached features for the error browser."""

import base64
from collections.abc import Sequence
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from analysis import cached
from analysis.figures.clips import VISIBLE
from analysis.figures.style import SPECTRUM
from features_cache import Cache, Channel, parse_set

ROWS, COLUMNS = 56, 144  # pixels; a card of the page is some 150 wide
QUALITY = 42  # of WebP; blocks begin to show below 30
MOST_FEATURES = 3
MOST_BYTES = 2_000_000  # of base64: with 15 MB of sound and 2 MB of figures the page stays under 20 MB


def features_to_show(cache: Cache, usable: Sequence[str], sets: Sequence[str]) -> list[str]:
    """The features that the runs were trained on, the first set's first, then any that can be seen."""
    wanted = [channel.stored for text in sets for channel in _channels(text)]
    known = [name for name in dict.fromkeys([*wanted, "mel", *usable]) if name in usable]
    shown = [name for name in known if cached.is_picture(cache, name)]
    return shown[: min(MOST_FEATURES, max(1, len(set(wanted) & set(shown))))]


def _channels(text: str) -> list[Channel]:
    """Channels of a feature set; a fusion names several sets, separated by commas."""
    return [channel for one in text.split(",") for channel in parse_set(one)]


def pictures(cache: Cache, features: Sequence[str], clips: Sequence[str]) -> dict[str, dict[int, str]]:
    """clip -> {number of the feature: WebP as base64}, in the order of `clips` up to MOST_BYTES."""
    found: dict[str, dict[int, str]] = {}
    left = MOST_BYTES
    for start in range(0, len(clips), cached.BATCH):
        part = clips[start : start + cached.BATCH]
        for number, feature in enumerate(features):
            for ids, values in cached.batches(cache, feature, part):
                for clip, value in zip(ids, values, strict=True):
                    text = picture(np.asarray(value, np.float32))
                    left -= len(text)
                    found.setdefault(clip, {})[number] = text
        if left < 0:
            break
    return found


def picture(values: NDArray[np.float32]) -> str:
    """(rows, frames), low rows at the bottom, as a small WebP in base64."""
    small = pooled(pooled(values, ROWS, axis=0), COLUMNS, axis=1)[::-1]
    low, high = np.percentile(small, VISIBLE)
    shade = np.clip((small - low) / max(high - low, 1e-9), 0, 1)
    pixels = matplotlib.colormaps[SPECTRUM](shade, bytes=True)
    content = BytesIO()
    imsave(content, pixels, format="webp", pil_kwargs={"quality": QUALITY, "method": 2})
    return base64.b64encode(content.getvalue()).decode()


def pooled(values: NDArray[np.float32], most: int, axis: int) -> NDArray[np.float32]:
    """The mean over `most` nearly equal stretches of an axis; unchanged where it is no longer than that."""
    length = values.shape[axis]
    if length <= most:
        return values
    starts = np.arange(most) * length // most
    sizes = np.diff(np.append(starts, length))
    sizes = sizes.astype(np.float32)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    return np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
