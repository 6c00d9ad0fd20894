"""Clips as a report shows them: feature maps from the cache, small images, audio for the players.

A damaged clip is left out, never fatal. MP3 because every browser plays it; 16 kHz mono at about 22 kbit/s
is enough to recognise a clip. Audio that was compressed once is kept in the report's folder and used again.
"""

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import matplotlib
import numpy as np
import pandas as pd
import soundfile
import soxr
from matplotlib.image import imsave
from numpy.typing import NDArray

from analysis.figures.drawing import SPECTRUM, VISIBLE
from commandline.files import replace_file
from commandline.registry import RequestError
from commandline.terminal import progress
from features_cache import Cache, UnreadableClips, parse_set
from features_cache.table import originals

BATCH_CLIPS = 16  # clips: the largest feature of five seconds is then 14 MB a batch


def readable_cache(folder: Path | None) -> tuple[Cache | None, list[str], list[str]]:
    """The cache, the features whose files can be opened, and a sentence for everything that cannot."""
    if folder is None:
        return None, [], []
    try:
        cache = Cache(folder)
        cache.clips, cache.duration, cache.features  # noqa: B018 - read here, so that damage shows here
    except RequestError as error:
        return None, [], [str(error)]
    usable, problems = [], []
    for name in cache.features:
        try:
            cache[name].done()
        except RequestError as error:
            problems.append(str(error))
        else:
            usable.append(name)
    return cache, usable, problems


def original_clips(cache: Cache) -> pd.DataFrame:
    """The clip table without altered copies."""
    return originals(cache.clips)


def read_batches(
    cache: Cache, feature: str, ids: Sequence[str], size: int = BATCH_CLIPS
) -> Iterator[tuple[list[str], NDArray[np.floating]]]:
    """(ids, values (B, rows, frames)) of those clips that can be read, in the order given."""
    done = cache[feature].done(np.asarray(ids, str))
    readable = [clip for clip, whole in zip(ids, done, strict=True) if whole]
    for start in range(0, len(readable), size):
        part = readable[start : start + size]
        try:
            yield part, cache.read(feature, np.asarray(part, str))
        except UnreadableClips as damaged:
            part = [clip for clip in part if clip not in damaged.reasons]
            if part:
                yield part, cache.read(feature, np.asarray(part, str))


def read_clip(cache: Cache, feature: str, clip_id: str) -> NDArray[np.float32] | None:
    """(rows, frames) of one clip; None if it cannot be read."""
    for _, values in read_batches(cache, feature, [clip_id]):
        return np.asarray(values[0], np.float32)
    return None


def has_rows(cache: Cache, feature: str) -> bool:
    """Whether a feature has several rows, so that it is shown as an image and not as a line."""
    return cache[feature].rows > 1


def sample_by_class(table: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """At most `most` clips, as many of each class as the others as far as it has them, in table order."""
    if len(table) <= most:
        return table
    shuffled = table.iloc[rng.permutation(len(table))]
    turn = shuffled.groupby("label").cumcount()
    return table.loc[turn.sort_values(kind="stable").index[:most]].sort_index()


THUMBNAIL_ROWS, THUMBNAIL_COLUMNS = 56, 144  # pixels; a card of the page is some 150 wide
WEBP_QUALITY = 42  # blocks begin to show below 30
FEATURES_SHOWN = 3
THUMBNAIL_BYTES = 700_000  # of base64: a page of thirty runs, fifty classes and thirty features has 6 MB


def features_to_show(cache: Cache, usable: Sequence[str], sets: Sequence[str]) -> list[str]:
    """The features that the runs were trained on, the first set's first, then any with several rows.

    An ensemble names several sets, separated by commas.
    """
    channels = [channel for text in sets for part in text.split(",") for channel in parse_set(part)]
    wanted = [channel.stored for channel in channels]
    known = [name for name in dict.fromkeys([*wanted, "mel", *usable]) if name in usable]
    images = [name for name in known if has_rows(cache, name)]
    return images[: min(FEATURES_SHOWN, max(1, len(set(wanted) & set(images))))]


def thumbnails(cache: Cache, features: Sequence[str], clips: Sequence[str]) -> dict[str, dict[int, str]]:
    """clip -> {number of the feature: WebP as base64}, in the order of `clips` up to THUMBNAIL_BYTES."""
    images: dict[str, dict[int, str]] = {}
    left = THUMBNAIL_BYTES
    for start in range(0, len(clips), BATCH_CLIPS):
        part = clips[start : start + BATCH_CLIPS]
        for number, feature in enumerate(features):
            for ids, values in read_batches(cache, feature, part):
                for clip, value in zip(ids, values, strict=True):
                    text = small_image(np.asarray(value, np.float32), (THUMBNAIL_ROWS, THUMBNAIL_COLUMNS))
                    left -= len(text)
                    images.setdefault(clip, {})[number] = text
        if left < 0:
            break
    return images


def small_image(
    values: NDArray[np.float32], size: tuple[int, int], bounds: tuple[float, float] | None = None
) -> str:
    """(rows, frames), low rows at the bottom, as a WebP in base64 of at most `size` (rows, columns).

    `bounds` are the darkest and the lightest value; without them the image has a scale of its own.
    """
    small = mean_pool(mean_pool(values, size[0], axis=0), size[1], axis=1)[::-1]
    low, high = bounds or np.percentile(small, VISIBLE)
    shade = np.clip((small - low) / max(high - low, 1e-9), 0, 1)
    pixels = matplotlib.colormaps[SPECTRUM](shade, bytes=True)
    content = BytesIO()
    imsave(content, pixels, format="webp", pil_kwargs={"quality": WEBP_QUALITY, "method": 1})
    return base64.b64encode(content.getvalue()).decode()


def mean_pool(values: NDArray[np.float32], most: int, axis: int) -> NDArray[np.float32]:
    """The mean over `most` nearly equal stretches of an axis; unchanged if it is no longer than that."""
    length = values.shape[axis]
    if length <= most:
        return values
    starts = np.arange(most) * length // most
    sizes = np.diff(np.append(starts, length))
    sizes = sizes.astype(np.float32)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    return np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)


MP3_RATE = 16000  # Hz
MP3_COMPRESSION = 0.9  # libsndfile's scale from 0, best, to 1; a clip of five seconds is then some 15 kB
LONGEST_SECONDS = 10.0  # of a clip, if the dataset does not say how long its clips are


def embedded_audio(
    paths: Mapping[str, Path], clips: Sequence[str], seconds: float, folder: Path, most: float
) -> dict[str, str]:
    """clip -> MP3 as base64, in the order of `clips` until `most` bytes are full.

    A clip that cannot be decoded is left out. Files of clips that are no longer wanted are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, str] = {}
    files: set[Path] = set()
    present = [clip for clip in clips if clip in paths] if most > 0 else []
    for clip in progress(present, total=len(present), label="audio", unit="clip"):
        file = compressed_file(paths[clip], seconds, folder)
        if file is None:
            continue
        files.add(file)
        text = base64.b64encode(file.read_bytes()).decode()
        most -= len(text)
        if most < 0:
            break
        texts[clip] = text
    for file in set(folder.glob("*.mp3")) - files:
        file.unlink()
    return texts


def compressed_file(path: Path, seconds: float, folder: Path) -> Path | None:
    """The file of the clip as MP3, made if it is not there; None if the clip cannot be decoded."""
    status = path.stat()
    name = hashlib.sha256(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{seconds}".encode()).hexdigest()
    file = folder / f"{name[:20]}.mp3"
    if not file.is_file():
        try:
            content = as_mp3(path, seconds)
        except (soundfile.LibsndfileError, ValueError):
            return None
        replace_file(file, content, durable=False)
    return file


def as_mp3(path: Path, seconds: float) -> bytes:
    """The first `seconds` of a file, LONGEST_SECONDS if 0, as mono MP3. May raise LibsndfileError."""
    with soundfile.SoundFile(path) as source:
        frames = int((seconds or LONGEST_SECONDS) * source.samplerate)
        samples = source.read(frames, dtype="float32", always_2d=True).mean(axis=1)
        rate = source.samplerate
    resampled = soxr.resample(np.nan_to_num(samples), rate, MP3_RATE)
    content = BytesIO()
    soundfile.write(
        content,
        np.clip(resampled, -1, 1),
        MP3_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=MP3_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return content.getvalue()


def audio_files(paths: Mapping[str, str]) -> dict[str, Path]:
    """Those of clip -> path that are files on this machine."""
    return {clip: Path(path) for clip, path in paths.items() if path and Path(path).is_file()}


def audio_links(files: Mapping[str, Path], page_folder: Path) -> dict[str, str]:
    """clip -> address of its own file, relative to the page where possible."""
    links = {}
    for clip, file in files.items():
        try:
            links[clip] = quote(Path(os.path.relpath(file, page_folder)).as_posix())
        except ValueError:  # another drive
            links[clip] = file.resolve().as_uri()
    return links


MEGABYTE = 1e6


@dataclass(frozen=True)
class Media:
    """What the error browser shows of clips, by their number; `links` are addresses of clips' own files."""

    features: list[str] = field(default_factory=list)
    images: list[tuple[int, dict[int, str]]] = field(default_factory=list)  # by feature number: WebP
    audio: list[tuple[int, str]] = field(default_factory=list)  # MP3
    links: dict[str, str] = field(default_factory=dict)
    players: dict[str, str] = field(default_factory=dict)  # clip id -> address, in the page if it is embedded
    cached: bool = False
    embedded: int = 0  # clips that a run got wrong whose audio the page holds


def media_of(
    cache: Cache | None,
    features: Sequence[str],
    difficulty: pd.DataFrame,
    first: Sequence[str],
    folder: Path,
    most_mb: float,
) -> Media:
    """Images of the clips in these features, hardest first, and audio of those that any run got wrong.

    difficulty  of `clip_difficulty`
    first       clips whose audio comes before all others
    """
    if cache is None:
        return Media()
    ids, wrong = difficulty.index, difficulty.index[difficulty["wrong"] > 0]
    table = original_clips(cache).set_index("clip_id")
    known = [clip for clip in ids if clip in table.index]
    number = {clip: place for place, clip in enumerate(ids)}
    files = audio_files(table.loc[known, "path"].to_dict())
    wanted = list(dict.fromkeys([*first, *wrong]))
    audio = embedded_audio(files, wanted, cache.duration, folder / "audio", most_mb * MEGABYTE)
    links = {clip: link for clip, link in audio_links(files, folder).items() if clip not in audio}
    embedded = {clip: f"data:audio/mpeg;base64,{text}" for clip, text in audio.items()}
    return Media(
        features=list(features),
        images=[(number[clip], images) for clip, images in thumbnails(cache, features, known).items()],
        audio=[(number[clip], text) for clip, text in audio.items()],
        links=links,
        players=links | embedded,
        cached=True,
        embedded=len(audio.keys() & set(wrong)),
    )
