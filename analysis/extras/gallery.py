"""One clip of each class with all of its cached features, to look at and to play; two of them side by side.

The clip of a class is a typical one: the nearest to the mean of its class in mel, or in the first feature
with several rows, each clip summarised by mean and standard deviation over time. No run takes part in the
choice. A feature has one scale for all clips of the gallery, so that two clips can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.clips import (
    Audio,
    clip_audio,
    leading_feature,
    read_batches,
    sample_by_class,
    shrink,
    small_image,
)
from analysis.data import SUMMARISED_CLIPS, standardised, summarise
from analysis.figures import FigureWriter
from analysis.figures.data import FeatureMap, envelope, format_plain
from analysis.figures.drawing import VISIBLE
from analysis.page import say
from features_cache import Cache
from features_cache.table import originals

LINE_COLUMNS, LINE_HEIGHT = 120, 40  # units of a drawn line's box
IMAGE_SIZE = 48, 128  # pixels, rows and columns
WAVEFORM = "waveform"


@dataclass(frozen=True)
class Gallery:
    """All that the gallery shows."""

    rule: str
    clips: dict[str, str]  # label -> the id of its clip
    # name, scale (`-62 to 3 dB`), clip id -> a path in a box of 120 x 40 or a WebP
    features: list[tuple[str, str, dict[str, str]]]
    overview: int  # the feature that is shown of every clip
    audio: Audio


def make_gallery(
    cache: Cache, features: Sequence[str], writer: FigureWriter, seed: int, audio_mb: float
) -> Gallery | None:
    """The gallery of a cache, its figures submitted; None without a clip or a readable feature."""
    ordered = sorted(features, key=lambda name: name != WAVEFORM)
    leading = leading_feature(cache, features) or next(iter(ordered), None)
    if leading is None:
        return None
    clips, rule = typical_clips(cache, leading, seed)
    if not clips:
        return None
    ids = list(clips.values())
    drawn = []
    maps = []
    for name in ordered:
        stored = cache[name]
        batches = read_batches(cache, name, ids)
        values = {
            clip: np.asarray(value, np.float32) for read, batch in batches for clip, value in zip(read, batch)
        }
        drawings, scale = draw_feature(values)
        drawn.append((name, f"{scale} {stored.units}".strip(), drawings))
        by_label = {label: values[clip] for label, clip in clips.items() if clip in values}
        seconds = float(stored.frame_axis[-1]) or 1.0
        if writer.paper and name == WAVEFORM:
            samples = {label: value[0] for label, value in by_label.items()}
            writer.submit("waveforms", clips=samples, seconds=seconds)
        elif writer.paper and name == "mel":
            writer.submit("spectrograms", clips=by_label, seconds=seconds, hertz=stored.row_axis)
        if ids[0] in values:
            rows = np.asarray(stored.row_axis, np.float32)
            axes = rows, stored.row_unit, stored.frame_axis
            maps.append(FeatureMap(name, values[ids[0]], *axes, stored.units, stored.frame_unit))
    if maps and writer.paper:
        writer.submit("gallery", features=maps, title=f"{ids[0]} · {next(iter(clips))}")
    audio = clip_audio(cache, ids, ids, writer.folder.parent, audio_mb)
    return Gallery(rule, clips, drawn, ordered.index(leading), audio)


def typical_clips(cache: Cache, feature: str, seed: int) -> tuple[dict[str, str], str]:
    """label -> clip id, by label, and the rule in a sentence."""
    clips = originals(cache.clips)
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed)).set_index("clip_id")
    summary = summarise(cache, feature, list(sample.index))
    if summary.empty:
        return {}, ""
    values = pd.DataFrame(standardised(summary.to_numpy()), summary.index)
    labels = sample["label"].loc[summary.index]
    distance = ((values - values.groupby(labels).transform("mean")) ** 2).sum(axis=1)
    chosen = distance.groupby(labels).idxmin().to_dict()
    return chosen, say("typical", feature, len(sample) if len(sample) < len(clips) else 0)


def draw_feature(values: Mapping[str, np.ndarray]) -> tuple[dict[str, str], str]:
    """clip -> an SVG path of a feature of one row or frame, else a WebP in base64; the scale: `-62 to 3`."""
    if not values:
        return {}, ""
    line = 1 in next(iter(values.values())).shape
    drawn = {clip: value.ravel() if line else shrink(value, IMAGE_SIZE) for clip, value in values.items()}
    together = np.concatenate([value.ravel() for value in drawn.values()])
    low, high = (float(value) for value in np.percentile(together, (0, 100) if line else VISIBLE))
    scale = f"{format_plain(low)} to {format_plain(high)}".replace("-", "−")
    if not line:
        return {clip: small_image(value, (low, high)) for clip, value in drawn.items()}, scale
    span = max(high - low, 1e-12)
    paths = {}
    for clip, value in drawn.items():  # an area between the lowest and the highest value of each stretch
        ends = envelope((value - low) / span, LINE_COLUMNS)
        across = np.linspace(0, LINE_COLUMNS, max(len(ends[0]), 2)).round().astype(int)
        down, up = (np.resize(LINE_HEIGHT * (1 - end), len(across)).round(1) for end in ends)
        points = [*zip(across, up), *zip(across[::-1], down[::-1])]
        paths[clip] = "M" + "L".join(f"{x} {y:g}" for x, y in points) + "Z"
    return paths, scale
