"""One clip of each class with all of its cached features, to look at and to play; two of them side by side.

The clip of a class is a typical one: the nearest to the mean of its class in mel, or in the first feature
with several rows, each clip summarised by mean and standard deviation over time. No run takes part in the
choice. A feature has one scale for all clips of the gallery, so that two clips can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.clips import (
    audio_files,
    audio_links,
    embedded_audio,
    has_rows,
    mean_pool,
    original_clips,
    read_batches,
    sample_by_class,
    small_image,
)
from analysis.data import SUMMARISED_CLIPS, standardised, summary_over_time
from analysis.figures import FigureWriter
from analysis.figures.data import FeatureMap, envelope, format_plain
from analysis.figures.drawing import VISIBLE
from analysis.page import say
from features_cache import Cache
from results.scores import Floats

LINE_COLUMNS, LINE_HEIGHT = 120, 40  # units of a drawn line's box
IMAGE_SIZE = 48, 128  # pixels, rows and columns
WAVEFORM = "waveform"


@dataclass(frozen=True)
class GalleryClip:
    """The clip of one class; of each feature that it has, a path in a box of 120 x 40 or a WebP."""

    label: str
    clip_id: str
    audio: str  # address of its audio, '' if there is none
    drawings: dict[int, str]


@dataclass(frozen=True)
class Gallery:
    """All that the gallery shows: features with the scale that each is drawn on, and the clips."""

    rule: str
    features: list[tuple[str, str]]  # name, `-62 to 3 dB`
    clips: list[GalleryClip]
    overview: int  # the feature that is shown of every clip

    @property
    def linked(self) -> int:
        """How many clips play from files beside the page, which a page that is sent on lacks."""
        return sum(bool(clip.audio) and not clip.audio.startswith("data:") for clip in self.clips)


def make_gallery(
    cache: Cache, features: Sequence[str], writer: FigureWriter, seed: int, audio_mb: float
) -> Gallery | None:
    """The gallery of a cache, its figures submitted; None without a clip or a readable feature."""
    table = original_clips(cache).set_index("clip_id")
    leading = next((name for name in ("mel", *features) if name in features and has_rows(cache, name)), "")
    chosen, rule = typical_clips(cache, leading, seed)
    if not chosen or not features:
        return None
    ids = list(chosen.values())
    ordered = sorted(features, key=lambda name: name != WAVEFORM)
    drawings: dict[str, dict[int, str]] = {clip: {} for clip in ids}
    described, maps, title = [], [], f"{ids[0]} · {next(iter(chosen))}"
    for place, name in enumerate(ordered):
        stored, values = cache[name], read_values(Cache(cache.folder), name, ids)
        drawn, scale = draw_feature(name, values)
        described.append((name, f"{scale} {stored.attributes.get('units', '')}".strip()))
        for clip, content in drawn.items():
            drawings[clip][place] = content
        if not writer.paper:
            continue
        clips = {label: values[clip] for label, clip in chosen.items() if clip in values}
        seconds = float(stored.frame_axis[-1]) or 1.0
        if name == WAVEFORM:
            writer.submit(
                "waveforms", clips={label: clip[0] for label, clip in clips.items()}, seconds=seconds
            )
        elif name == "mel":
            writer.submit("spectrograms", clips=clips, seconds=seconds, hertz=stored.row_axis)
        if ids[0] in values:
            rows, unit = np.asarray(stored.row_axis, np.float32), stored.attributes.get("row_unit", "")
            axes = rows, unit, stored.frame_axis, stored.attributes.get("units", "")
            maps.append(FeatureMap(name, values[ids[0]], *axes))
    if maps:
        writer.submit("gallery", features=maps, title=title)
    files = audio_files(table.loc[ids, "path"].to_dict())
    folder = writer.folder.parent
    embedded = embedded_audio(files, ids, cache.duration, folder / "audio" / "gallery", audio_mb * 1e6)
    audio = audio_links(files, folder)
    audio |= {clip: f"data:audio/mpeg;base64,{text}" for clip, text in embedded.items()}
    made = [GalleryClip(label, clip, audio.get(clip, ""), drawings[clip]) for label, clip in chosen.items()]
    return Gallery(rule, described, made, ordered.index(leading or ordered[0]))


def typical_clips(cache: Cache, feature: str, seed: int) -> tuple[dict[str, str], str]:
    """label -> clip id, by label, and the rule in a sentence; without a feature the first clip by name."""
    clips = original_clips(cache)
    if not feature:
        first = clips.sort_values("clip_id").groupby("label")["clip_id"].first()
        return first.to_dict(), say("typical", "", 0)
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed))
    parts = list(read_batches(cache, feature, sample["clip_id"].tolist()))
    if not parts:
        return {}, ""
    ids = [clip for read, _ in parts for clip in read]
    values = standardised(np.concatenate([summary_over_time(part) for _, part in parts]))
    labels = sample.set_index("clip_id")["label"].loc[ids].to_numpy()
    chosen = {label: ids[nearest_to_mean(values, labels == label)] for label in sorted(set(labels))}
    return chosen, say("typical", feature, len(sample) if len(sample) < len(clips) else 0)


def nearest_to_mean(values: Floats, mask: np.ndarray) -> int:
    """The row of `values` (N, D) among those of `mask` (N,) that is nearest to their mean."""
    rows = np.flatnonzero(mask)
    distance = np.linalg.norm(values[rows] - values[rows].mean(axis=0), axis=1)
    return int(rows[distance.argmin()])


def read_values(cache: Cache, name: str, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """clip -> (rows, frames) in float32; a feature of one frame is turned, to be drawn along its rows."""
    values = {}
    for read, batch in read_batches(cache, name, ids):
        for clip, value in zip(read, np.asarray(batch, np.float32), strict=True):
            values[clip] = value.T if value.shape[1] == 1 else value
    return values


def draw_feature(name: str, values: Mapping[str, np.ndarray]) -> tuple[dict[str, str], str]:
    """clip -> an SVG path of a feature with one row, else a WebP in base64; the common scale: `-62 to 3`."""
    if not values:
        return {}, ""
    if name == WAVEFORM:
        peak = max(max(float(np.abs(value).max(initial=0)) for value in values.values()), 1e-9)
        drawn = {}
        for clip, value in values.items():  # the highest sample of each stretch, back along the lowest
            down, up = ((1 - end) * LINE_HEIGHT / 2 for end in envelope(value[0] / peak, LINE_COLUMNS))
            drawn[clip] = f"{svg_path(up)}L{svg_path(down, back=True)[1:]}Z"
        return drawn, f"−{format_plain(peak)} to {format_plain(peak)}"
    line = len(next(iter(values.values()))) == 1
    small = dict(values)
    if not line:
        for clip, value in values.items():
            small[clip] = mean_pool(mean_pool(value, IMAGE_SIZE[0], axis=0), IMAGE_SIZE[1], axis=1)
    together = np.concatenate([value.ravel() for value in small.values()])
    low, high = (float(value) for value in np.percentile(together, (0.5, 99.5) if line else VISIBLE))
    least = 0.0 if abs(low) < abs(high) / 1000 else low
    scale = f"{format_plain(least)} to {format_plain(high)}".replace("-", "−")
    if not line:
        return {clip: small_image(value, IMAGE_SIZE, (low, high)) for clip, value in small.items()}, scale
    drawn = {}
    for clip, value in small.items():
        share = np.clip((mean_pool(value, LINE_COLUMNS, axis=1)[0] - low) / max(high - low, 1e-12), 0, 1)
        drawn[clip] = svg_path(LINE_HEIGHT * (1 - share))
    return drawn, scale


def svg_path(heights: np.ndarray, *, back: bool = False) -> str:
    """A line through heights across the box, from the right end if `back`."""
    across = np.linspace(0, LINE_COLUMNS, max(len(heights), 2)).round().astype(int)
    down = np.resize(heights, len(across)).round(1)
    points = [f"{x} {y:g}" for x, y in zip(across, down, strict=True)]
    return "M" + "L".join(points[::-1] if back else points)
