"""Sounds of another place under annotated events: `MODEL=frames@background=folder`.

A model that was trained in one place meets other sounds in the next. Unannotated
recordings of the new place are cut into pieces, and their features are added to crops
of the annotated recordings, in power.
"""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch

from featurestack.pipeline import audio
from featurestack.predict.model import stored_values, variant_of
from featurestack.sound_events.dataset import (
    background_recordings,
    cut_blocks,
    cut_pieces,
    measure_recordings,
)
from featurestack.train.network_input import Statistics
from featurestack.train.plan import Plan

MOST_PIECES = 500  # evenly spread over all; they are kept in memory
CLEAN = 0.5  # share of crops without background
LOUDEST, QUIETEST = 0.0, 30.0  # dB from the background to the events of a crop
SILENCE = 1e-10  # power below which librosa's decibels end


class Background:
    """Pieces of another place in power, and how they are added to crops.

    power  (n, D, frames); rows  those of each channel
    """

    def __init__(self, power: torch.Tensor, rows: Sequence[int]) -> None:
        self.power, self.rows = power, rows

    @classmethod
    def read(cls, folder: str, plan: Plan) -> Self:
        """The recordings in `folder`, cut and computed as those of the plan's cache."""
        cache, channels = plan.cache, plan.channels
        rate, channel = cache.sample_rate, cache.audio_channel
        samples = round(cache.duration * rate)
        files = background_recordings(folder, cache, channels)
        seconds = measure_recordings(files, channel).seconds
        pieces = cut_pieces(cut_blocks(seconds), cache.duration)
        pieces = pieces.iloc[:: math.ceil(len(pieces) / MOST_PIECES)]
        variants = [(variant_of(own, rate), own) for own in channels]
        parts = []
        for name, own in pieces.groupby("file", sort=False):
            recording = audio.Recording(files[str(name)], channel)
            for span in zip(own["start"], own["end"]):
                y = recording.window(span, rate)
                values = stored_values(y, rate, samples, variants)
                frames = min(part.shape[1] for part in values)
                parts.append(np.concatenate([part[:, :frames] for part in values]))
        decibels = torch.from_numpy(np.stack(parts).astype(np.float32))
        return cls(10 ** (decibels / 10), [own.rows for own in channels])

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
