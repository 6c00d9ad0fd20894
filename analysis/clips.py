"""Clips as a report shows them: feature maps from the cache, small images, audio for
the players.

Damaged feature maps are left out. Embedded audio is mono MP3 at 16 kHz and about 22
kbit/s, enough to recognise a clip. The MP3 files are kept in the report's folder,
because compressing takes about 25 ms per clip.
"""

import base64
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
import soxr
from matplotlib.image import imsave
from numpy.typing import NDArray

from featurestack.analysis.figures.drawing import SPECTRUM, VISIBLE
from featurestack.commandline.errors import (
    OutdatedFeature,
    RequestError,
    UnreadableClips,
)
from featurestack.commandline.terminal import progress
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import parse_set
from featurestack.features_cache.table import spans
from featurestack.results.config import digest
from featurestack.storage.files import is_file
from featurestack.storage.own_files import OwnFiles

# clips read at a time; if they last 5 s, their largest feature takes 14 MB
BATCH_CLIPS = 16


def readable_cache(folder: Path | None) -> tuple[Cache | None, list[str], list[str]]:
    """The cache if its index is readable, its usable features, and its problems."""
    if folder is None:
        return None, [], []
    try:
        cache = Cache(folder)
        # read here, so that damage shows here
        cache.clips, cache.duration, cache.features  # noqa: B018
    except RequestError as error:
        return None, [], [str(error)]
    usable = []
    outdated = []
    problems = []
    for name in cache.features:
        try:
            cache[name].done()
        except OutdatedFeature:
            outdated.append(name)
        except RequestError as error:
            problems.append(str(error))
        else:
            usable.append(name)
    if outdated:
        names = ", ".join(outdated)
        problems.append(
            f"{names}: another rate, duration or channel than the clips have:"
            f" {cache.origin.remedy(' '.join(outdated))}"
        )
    return cache, usable, problems


def read_batches(
    cache: Cache, feature: str, ids: Sequence[str]
) -> Iterator[tuple[list[str], NDArray[np.floating]]]:
    """Yield (ids, values (B, rows, frames)) of the clips that can be read."""
    done = set(cache.clips["clip_id"][cache[feature].done()])
    readable = [clip for clip in ids if clip in done]
    for start in range(0, len(readable), BATCH_CLIPS):
        part = readable[start : start + BATCH_CLIPS]
        try:
            values = cache.read(feature, part)
        except UnreadableClips as damaged:
            part = [clip for clip in part if clip not in damaged.reasons]
            values = cache.read(feature, part)
        if part:
            yield part, values


# largest height and width in pixels; a card of the page is about 150 pixels wide
THUMBNAIL = 56, 144
WEBP_QUALITY = 42  # blocks begin to show below 30
FEATURES_SHOWN = 3
# about 1.2 kB each: a page of thirty runs, fifty classes and thirty features has 6 MB
IMAGES = 500


def features_to_show(
    cache: Cache, usable: Sequence[str], sets: Sequence[str]
) -> list[str]:
    """Up to FEATURES_SHOWN features with several rows and frames from the runs' `sets`,
    the first set's first.

    If there are none, mel or another usable map is shown. Commas separate the sets
    of an ensemble, but also the parameters in `mel@n_fft=512,hop_length=128`.
    """
    wanted = []
    for text in sets:
        for part in re.split(r",(?!\w+=)", text):
            wanted += [channel.stored for channel in parse_set(part)]
    images = []
    for name in dict.fromkeys([*wanted, "mel", *usable]):
        if name in usable and min(cache[name].rows, cache[name].frames) > 1:
            images.append(name)
    wanted_images = len(set(wanted) & set(images))
    most = min(FEATURES_SHOWN, max(1, wanted_images))
    return images[:most]


def thumbnails(
    cache: Cache, features: Sequence[str], clips: Sequence[str]
) -> dict[str, dict[int, str]]:
    """clip -> {place in `features`: WebP as base64}, up to IMAGES images, each with its
    own colour scale.
    """
    first = clips[: IMAGES // max(len(features), 1)]
    images: dict[str, dict[int, str]] = {}
    for number, feature in enumerate(features):
        for ids, values in read_batches(cache, feature, first):
            for clip, value in zip(ids, values):
                images.setdefault(clip, {})[number] = as_image(value, THUMBNAIL)
    return images


def as_image(values: NDArray[np.floating], most: tuple[int, int]) -> str:
    """WebP as base64 of `values` (rows, frames), averaged down to `most` pixels, with a
    colour scale of its own.
    """
    small = shrink(values, most)
    low, high = np.percentile(small, VISIBLE)
    content = BytesIO()
    imsave(
        content,
        small,
        vmin=low,
        vmax=high,
        cmap=SPECTRUM,
        origin="lower",
        format="webp",
        pil_kwargs={"quality": WEBP_QUALITY, "method": 1},
    )
    return base64.b64encode(content.getvalue()).decode()


def shrink(values: NDArray[np.floating], most: tuple[int, int]) -> NDArray[np.float32]:
    """`values` (rows, frames) averaged down to `most` rows and frames."""
    values = np.asarray(values, np.float32)
    for axis, (length, kept) in enumerate(zip(values.shape, most)):
        if length > kept:
            starts = np.arange(kept) * length // kept
            sizes = np.diff(starts, append=length).astype(np.float32)
            if axis == 0:
                sizes = sizes[:, None]
            sums = np.add.reduceat(values, starts, axis=axis)
            values = sums / sizes
    return values


MP3_RATE = 16000  # Hz
# libsndfile's scale, from 0 (best) to 1; a clip of five seconds has about 15 kB
MP3_COMPRESSION = 0.9
# longest audio of a clip if the dataset does not give a duration
LONGEST_SECONDS = 10.0
# characters of embedded audio in a page; other clips are linked
MOST_EMBEDDED = 1_000_000


@dataclass(frozen=True)
class Audio:
    """Audio by clip id: `embedded` MP3 as base64, or `links` to files."""

    embedded: dict[str, str]
    links: dict[str, str]

    @property
    def players(self) -> dict[str, str]:
        """clip id -> address of its audio, a data URL if it is embedded."""
        return self.links | {
            clip: f"data:audio/mpeg;base64,{text}"
            for clip, text in self.embedded.items()
        }


def compressed(path: Path, start: float, seconds: float, channel: int) -> bytes:
    """`seconds` of an audio file from the second `start` on, as mono MP3: a channel,
    or their mean (0).
    """
    from featurestack.storage.decoder_messages import decoder_messages

    with decoder_messages.kept(), soundfile.SoundFile(path) as source:
        rate = source.samplerate
        source.seek(round(start * rate))
        samples = source.read(int(seconds * rate), dtype="float32", always_2d=True)
    mono = samples[:, channel - 1] if channel else samples.mean(axis=1)
    mono = np.nan_to_num(mono)
    content = BytesIO()
    soundfile.write(
        content,
        np.clip(soxr.resample(mono, rate, MP3_RATE), -1, 1),
        MP3_RATE,
        "MPEG_LAYER_III",
        format="MP3",
        compression_level=MP3_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return content.getvalue()


def clip_audio(
    cache: Cache,
    clips: Sequence[str],
    wanted: Sequence[str],
    own: OwnFiles,
    most: int = MOST_EMBEDDED,
) -> Audio:
    """Audio of `clips` for the page of `own` files; clips whose audio file does not
    exist are left out.

    The `wanted` clips are embedded in their order, up to `most` characters. The other
    clips, and those that cannot be decoded, are linked.
    """
    table = cache.clips
    paths = table.set_index("clip_id")["path"].reindex(clips, fill_value="")
    sources = {str(clip): Path(path) for clip, path in paths.items() if is_file(path)}
    places = dict(zip(table["clip_id"], spans(table)))
    embedded = {}
    left = most
    for clip in progress(
        [clip for clip in wanted if clip in sources], label="audio", unit="clip"
    ):
        if left <= 0:
            break
        with suppress(soundfile.LibsndfileError, ValueError):
            status = sources[clip].stat()
            start, end = places[clip]
            known = [str(sources[clip]), status.st_size, status.st_mtime_ns]
            part = [start, end, cache.duration, cache.audio_channel]
            made = f"audio/{digest([*known, *part])}.mp3"
            if not (own.folder / made).is_file():
                seconds = end - start or cache.duration or LONGEST_SECONDS
                sound = compressed(sources[clip], start, seconds, cache.audio_channel)
                own.write({made: sound}, durable=False)
            own.keep([made])
            text = base64.b64encode((own.folder / made).read_bytes()).decode()
            left -= len(text)
            if left >= 0:
                embedded[clip] = text
    links = {}
    for clip, file in sources.items():
        if clip not in embedded:
            start, end = places[clip]
            window = f"#t={start:.6g},{end:.6g}" if end else ""
            links[clip] = quote(os.path.relpath(file, own.folder)) + window
    return Audio(embedded, links)
