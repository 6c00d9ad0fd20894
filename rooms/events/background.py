"""Sounds of another place under annotated events: `train BACKGROUND_AUDIO=folder`.

A model that was trained in one place meets other sounds in the next. Unannotated
recordings of the new place are cut into pieces (`make events AUDIO=folder` without
TABLES) and cached like others; training adds them to crops of the annotated
recordings, in power, so that no audio is needed.
"""

from collections.abc import Sequence

import numpy as np
import torch

from featurestack.commandline.errors import RequestError
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache, dataset_name
from featurestack.features_cache.cache import open_cache
from featurestack.results.config import StoredChannel
from featurestack.train.network_input import Statistics

POWERS = ("mel", "gammatone")  # features in decibels of power, which add up as power
MOST_PIECES = 500  # evenly spread over all; they are kept in memory
CLEAN = 0.5  # share of crops without background
LOUDEST, QUIETEST = 0.0, 30.0  # dB from the background to the events of a crop
SILENCE = 1e-10  # power below which librosa's decibels end


class Background:
    """Pieces of another place in power, and how they are added to crops."""

    def __init__(self, folder: str, cache: Cache, channels: Sequence[StoredChannel]):
        """The background in `folder`, for the annotated recordings in `cache`."""
        other = background_cache(folder, cache, channels)
        clips = np.arange(len(other.clips))
        every = np.ceil(len(clips) / MOST_PIECES)
        chosen = clips[:: int(every)]
        values = other.batch([channel.channel for channel in channels], chosen)
        frames = min(part.shape[2] for part in values)
        parts = [part[:, :, :frames].astype(np.float32) for part in values]
        self.rows = [part.shape[1] for part in parts]
        decibels = torch.from_numpy(np.concatenate(parts, axis=1))
        self.power = 10 ** (decibels / 10)  # (n, D, frames)

    def add(
        self,
        x: torch.Tensor,
        events: torch.Tensor,
        statistics: Sequence[Statistics],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """The crops x (b, D, 1, T) with backgrounds under some of them.

        events  (b, T) bool: frames with an event, whose mean power the level refers to
        """
        device = x.device
        mixed = torch.rand(len(x), generator=generator, device=device) >= CLEAN
        places = torch.nonzero(mixed)[:, 0]
        if not len(places):
            return x
        columns = [  # NORM=feature has one number for all rows
            (np.broadcast_to(own.centre, rows), np.broadcast_to(own.scale, rows))
            for own, rows in zip(statistics, self.rows)
        ]
        centre, scale = (  # (D, 1)
            torch.from_numpy(np.concatenate(parts)[:, None]).to(device)
            for parts in zip(*columns)
        )
        power = 10 ** ((x[places, :, 0] * scale + centre) / 10)
        below = self.draw(len(places), power.shape[2], generator).to(device)
        inside = events[places].float()
        of_frame = power.sum(dim=1)
        level = (of_frame * inside).sum(1) / inside.sum(1).clamp(min=1)
        level = torch.where(inside.any(1), level, of_frame.amax(1))
        ratio = torch.rand(len(places), generator=generator, device=device)
        ratio = LOUDEST + (QUIETEST - LOUDEST) * ratio
        gain = level / below.sum(1).mean(1).clamp(min=SILENCE) / 10 ** (ratio / 10)
        together = power + gain[:, None, None] * below
        decibels = 10 * torch.log10(together.clamp(min=SILENCE))
        x = x.clone()
        x[places, :, 0] = (decibels - centre) / scale
        return x

    def draw(
        self, number: int, frames: int, generator: torch.Generator
    ) -> torch.Tensor:
        """(number, D, frames) of pieces; a piece that is too short is repeated."""
        pieces, _, length = self.power.shape
        chance = torch.rand(2, number, generator=generator, device=generator.device)
        piece, begin = chance.cpu()
        piece = (piece * pieces).long()
        begin = (begin * max(1, length - frames + 1)).long()
        within = (begin[:, None] + torch.arange(frames)) % length
        return self.power[piece[:, None], :, within].transpose(1, 2)


def background_cache(
    folder: str, cache: Cache, channels: Sequence[StoredChannel]
) -> Cache:
    """The cache of unannotated recordings, of the same rate and features."""
    wrong = [own.name for own in channels if own.channel.name not in POWERS]
    if wrong:
        raise RequestError(
            f"BACKGROUND_AUDIO: {', '.join(wrong)} cannot be mixed in the cache;"
            f" {' and '.join(POWERS)} can, which are decibels of power"
        )
    name = dataset_name(folder)
    table = cache.data / name / f"{name}.csv"
    stored = " ".join(dict.fromkeys(own.stored for own in channels))
    rate = cache.sample_rate
    places = [f"DATA={cache.data}"]
    cut = make_command("events", f"AUDIO={folder}", *places)
    given = [f"DATASET={table}", f"FEATURES={stored}", f"SAMPLE_RATE={rate}"]
    remedy = f"{cut}, then {make_command('features', *given, *places)}"
    try:
        other = open_cache(name, cache.data)
        for own in channels:
            feature = other[own.stored]
            if feature.parameters != cache[own.stored].parameters:
                raise RequestError(f"{own.stored} has other parameters there")
    except RequestError as reason:
        raise RequestError(f"BACKGROUND_AUDIO={folder}: {reason}: {remedy}") from None
    if other.sample_rate != rate:
        raise RequestError(
            f"BACKGROUND_AUDIO={folder} was computed at {other.sample_rate} Hz, the"
            f" dataset at {rate} Hz: {remedy}"
        )
    return other
