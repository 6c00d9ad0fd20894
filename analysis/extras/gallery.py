"""One clip of each class with all of its cached features, to look at and to play; two of them side by side.

The clip of a class is a typical one: the nearest to the mean of its class in mel, or in the first feature
with several rows, each clip summarised by mean and standard deviation over time. No run takes part in the
choice. A feature has one scale for all clips of the gallery, so that two clips can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
from analysis.data import SUMMARISED_CLIPS, over_time, standardised
from analysis.figures import save_figure
from analysis.figures.data import FeatureMap, envelope, format_plain
from analysis.figures.drawing import VISIBLE
from analysis.page import Block
from features_cache import Cache
from results.scores import Floats

LINE_COLUMNS, LINE_HEIGHT = 120, 40  # units of a drawn line's box
LINE_VISIBLE = (0.5, 99.5)  # percentiles of a line's values: one outlier would flatten all others
MANY_IMAGES = 400  # of more, each is smaller, so that the page stays below its 6 MB
IMAGE_SIZE, SMALL_SIZE = (48, 128), (36, 84)  # pixels, rows and columns
WAVEFORM = "waveform"


@dataclass(frozen=True)
class GalleryFeature:
    """A feature and the one scale that it is drawn on for every clip."""

    name: str
    scale: str  # `-62 to 3 dB`


@dataclass(frozen=True)
class GalleryClip:
    """The clip of one class; of each feature a path in a box of 120 x 40, or a WebP, or neither."""

    label: str
    clip_id: str
    audio: str  # address of its audio, '' where there is none
    paths: dict[int, str]
    images: dict[int, str]


@dataclass(frozen=True)
class Gallery:
    """All that the gallery shows; `shown` is the feature of the overview."""

    rule: str
    features: list[GalleryFeature]
    clips: list[GalleryClip]
    shown: int

    @property
    def linked(self) -> int:
        """How many clips play from files beside the page, which a page that is sent on lacks."""
        return sum(bool(one.audio) and not one.audio.startswith("data:") for one in self.clips)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gallery_from_json(kept: Mapping[str, Any]) -> Gallery:
    """What `to_json` took apart, read from a file, where every key is a text."""
    clips = [
        GalleryClip(one["label"], one["clip_id"], one["audio"], _places(one["paths"]), _places(one["images"]))
        for one in kept["clips"]
    ]
    return Gallery(kept["rule"], [GalleryFeature(**one) for one in kept["features"]], clips, kept["shown"])


def _places(kept: Mapping[str, str]) -> dict[int, str]:
    return {int(place): text for place, text in kept.items()}


def make_gallery(
    cache: Cache, features: Sequence[str], folder: Path, seed: int, audio_mb: float
) -> Gallery | None:
    """The gallery of a cache; None without a clip or a readable feature. `audio_mb` of MP3 at most."""
    clips = original_clips(cache)
    chosen, rule = typical_clips(cache, features, clips, seed)
    if not chosen or not features:
        return None
    ids = list(chosen.values())
    ordered = sorted(features, key=lambda name: name != WAVEFORM)
    images = sum(has_rows(cache, name) for name in ordered) * len(ids)
    size = IMAGE_SIZE if images <= MANY_IMAGES else SMALL_SIZE
    drawn, described = [], []
    for name in ordered:
        values = _values(Cache(cache.folder), name, ids)
        of_clips, scale = draw_feature(name, values, size)
        drawn.append(of_clips)
        described.append(GalleryFeature(name, f"{scale} {cache[name].attributes.get('units', '')}".strip()))
    audio = _audio(cache, clips, ids, folder, audio_mb)
    made = [
        GalleryClip(
            label,
            clip,
            audio.get(clip, ""),
            {place: one[clip][1] for place, one in enumerate(drawn) if one.get(clip, ("",))[0] == "path"},
            {place: one[clip][1] for place, one in enumerate(drawn) if one.get(clip, ("",))[0] == "image"},
        )
        for label, clip in chosen.items()
    ]
    return Gallery(rule, described, made, ordered.index(_leading(cache, features) or ordered[0]))


def _leading(cache: Cache, features: Sequence[str]) -> str | None:
    """mel where it is cached, else the first feature with several rows."""
    return next((name for name in ("mel", *features) if name in features and has_rows(cache, name)), None)


def typical_clips(
    cache: Cache, features: Sequence[str], clips: pd.DataFrame, seed: int
) -> tuple[dict[str, str], str]:
    """label -> clip id, by label, and the rule in a sentence."""
    name = _leading(cache, features)
    if name is None:
        first = clips.sort_values("clip_id").groupby("label")["clip_id"].first()
        return first.to_dict(), "Of each class the first clip by name."
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed))
    parts = [
        (ids, over_time(values)) for ids, values in read_batches(cache, name, sample["clip_id"].tolist())
    ]
    if not parts:
        return {}, ""
    ids = [clip for part, _ in parts for clip in part]
    values = standardised(np.concatenate([one for _, one in parts]))
    labels = sample.set_index("clip_id")["label"].loc[ids].to_numpy()
    chosen = {label: ids[nearest_to_mean(values, labels == label)] for label in sorted(set(labels))}
    among = f", of {len(sample)} clips drawn with a fixed seed" if len(sample) < len(clips) else ""
    return chosen, (
        f"Of each class the most typical clip: the nearest to the mean of its class in {name}, each clip "
        f"summarised by mean and standard deviation over time{among}. No model takes part in the choice."
    )


def nearest_to_mean(values: Floats, mask: np.ndarray) -> int:
    """The row of `values` (N, D) among those of `mask` (N,) that is nearest to their mean."""
    rows = np.flatnonzero(mask)
    distance = np.linalg.norm(values[rows] - values[rows].mean(axis=0), axis=1)
    return int(rows[distance.argmin()])


def _values(cache: Cache, name: str, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """clip -> (rows, frames), as many as can be seen; a feature of one frame is drawn along its rows."""
    found = {}
    for read, values in read_batches(cache, name, ids):
        for clip, one in zip(read, values, strict=True):
            whole = np.asarray(one, np.float32)
            turned = whole.T if whole.shape[1] == 1 else whole
            small = turned if len(turned) == 1 else mean_pool(turned, IMAGE_SIZE[0], axis=0)
            found[clip] = small if len(turned) == 1 else mean_pool(small, IMAGE_SIZE[1], axis=1)
    return found


def draw_feature(
    name: str, values: Mapping[str, np.ndarray], size: tuple[int, int] = IMAGE_SIZE
) -> tuple[dict[str, tuple[str, str]], str]:
    """clip -> ("path" | "image", its content), and the common scale: `-62 to 3`."""
    if not values:
        return {}, ""
    if name == WAVEFORM:
        peak = max(max(float(np.abs(one).max(initial=0)) for one in values.values()), 1e-9)
        drawn = {clip: ("path", _area(one[0] / peak)) for clip, one in values.items()}
        return drawn, f"−{format_plain(peak)} to {format_plain(peak)}"
    line = len(next(iter(values.values()))) == 1
    together = np.concatenate([one.ravel() for one in values.values()])
    low, high = (float(value) for value in np.percentile(together, LINE_VISIBLE if line else VISIBLE))
    least = 0.0 if abs(low) < abs(high) / 1000 else low
    scale = f"{format_plain(least)} to {format_plain(high)}".replace("-", "−")
    if line:
        return {clip: ("path", _line(one[0], low, high)) for clip, one in values.items()}, scale
    return {clip: ("image", small_image(one, size, (low, high))) for clip, one in values.items()}, scale


def _line(values: np.ndarray, low: float, high: float) -> str:
    """The path of a line through values over time."""
    small = mean_pool(np.asarray(values, np.float32)[None], LINE_COLUMNS, axis=1)[0]
    heights = LINE_HEIGHT * (1 - np.clip((small - low) / max(high - low, 1e-12), 0, 1))
    return _path(heights, LINE_COLUMNS)


def _area(values: np.ndarray) -> str:
    """The outline of a waveform of peak 1: the highest sample of each stretch, back along the lowest."""
    low, high = envelope(values, LINE_COLUMNS)
    up, down = ((1 - one) * LINE_HEIGHT / 2 for one in (high, low))
    return f"{_path(up, LINE_COLUMNS)}L{_path(down, LINE_COLUMNS, back=True)[1:]}Z"


def _path(heights: np.ndarray, width: int, *, back: bool = False) -> str:
    across = np.linspace(0, width, max(len(heights), 2)).round().astype(int)
    down = np.resize(heights, len(across)).round(1)
    points = [f"{x} {y:g}" for x, y in zip(across, down, strict=True)]
    return "M" + "L".join(points[::-1] if back else points)


def _audio(
    cache: Cache, clips: pd.DataFrame, ids: Sequence[str], folder: Path, audio_mb: float
) -> dict[str, str]:
    """clip -> address of its audio: in the page as far as `audio_mb` reaches, else its own file."""
    files = audio_files(clips.set_index("clip_id").loc[list(ids), "path"].to_dict())
    held = embedded_audio(files, ids, cache.duration, folder / "audio" / "gallery", audio_mb * 1e6)
    return audio_links(files, folder) | {
        clip: f"data:audio/mpeg;base64,{text}" for clip, text in held.items()
    }


PANEL_ROWS, PANEL_FRAMES = 160, 320  # pixels of a panel; more would not be seen


def gallery_figures(cache: Cache, features: Sequence[str], gallery: Gallery, folder: Path) -> Block:
    """The same clips as figures for a paper, written into the report's folder."""
    of_class = {clip.label: clip.clip_id for clip in gallery.clips}
    figures = []
    if WAVEFORM in features:
        shown = {label: one[0] for label, one in _of_clips(cache, WAVEFORM, of_class).items()}
        figures.append(save_figure("waveforms", folder, clips=shown, seconds=_seconds(cache, WAVEFORM)))
    if "mel" in features:
        shown = {
            label: mean_pool(one, PANEL_FRAMES, axis=1)
            for label, one in _of_clips(cache, "mel", of_class).items()
        }
        hertz = cache["mel"].row_axis
        figures.append(
            save_figure("spectrograms", folder, clips=shown, seconds=_seconds(cache, "mel"), hertz=hertz)
        )
    first = gallery.clips[0]
    maps = [one for name in features if (one := _feature_map(cache, name, first.clip_id))]
    figures.append(save_figure("gallery", folder, features=maps, title=f"{first.clip_id} · {first.label}"))
    return Block(
        "The gallery as figures", "Each clip on a scale of its own here.", figures=figures, folded=True
    )


def _of_clips(cache: Cache, name: str, of_class: Mapping[str, str]) -> dict[str, np.ndarray]:
    """label -> the feature of its clip, where it can be read."""
    read = {
        clip: np.asarray(one, np.float32)
        for ids, values in read_batches(cache, name, list(of_class.values()))
        for clip, one in zip(ids, values, strict=True)
    }
    return {label: read[clip] for label, clip in of_class.items() if clip in read}


def _seconds(cache: Cache, feature: str) -> float:
    """How long a clip of the feature is; a brought one of one frame gets a second to be drawn in."""
    return float(cache[feature].frame_axis[-1]) or 1.0


def _feature_map(cache: Cache, name: str, clip: str) -> FeatureMap | None:
    values, stored = _of_clips(cache, name, {"": clip}).get(""), cache[name]
    if values is None:
        return None
    attributes = stored.attributes
    if len(values) > 1:  # pixels that the panel has no room for would only make files larger
        values = mean_pool(mean_pool(values, PANEL_ROWS, axis=0), PANEL_FRAMES, axis=1)
    rows = mean_pool(np.asarray(stored.row_axis, np.float32), PANEL_ROWS, axis=0)
    return FeatureMap(
        name, values, rows, attributes.get("row_unit", ""), stored.frame_axis, attributes.get("units", "")
    )
