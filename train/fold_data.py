"""The clips of one fold as batches: (B, D, H, W), from the GPU, from RAM, or streamed
from the cache.

One pass over the cache measures each clip's rows and finds clips that cannot be used;
the statistics of every fold come from these measurements. GPU, RAM and stream give the
same numbers. Two alternatives were slower: workers of DataLoader (4 to 20 ms a batch),
and resizing with many threads beside a busy network (48 ms instead of 2).
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray

from featurestack.commandline.terminal import progress
from featurestack.features_cache import UnreadableClips
from featurestack.features_cache.splits import Split
from featurestack.train.augment import Channels
from featurestack.train.network_input import (
    Floats,
    Numbers,
    Statistics,
    by_length,
    resize,
)
from featurestack.train.plan import Plan, Positions

CHUNK = 32  # clips read at once
# smallest deviation of a row or clip, as a share of the feature's: constant values
# become 0
FLOOR = 1e-3
TINY = 1e-12  # smallest deviation of a whole feature
# share of the free memory that resident features may take
SHARE_OF_GPU, SHARE_OF_RAM = 0.5, 0.6
AHEAD = 2  # batches that are read in advance
# a channel with fewer has no frequency axis: contrast has seven bands of unequal width
FEWEST_ROWS = 12
ROW_AXES = {"Hz": "frequency", "pitch class": "cyclic"}

# Unit of a feature's values -> their `per_decibel` and `exponent` (see `Channels`)
# before standardisation.
LOUDNESS = {"dB": (1.0, 0.0), "amplitude": (0.0, 1.0), "power": (0.0, 2.0)}
CEPSTRUM = "dB, cepstrum"  # only row 0, the sum over the bands, rises with loudness


@dataclass(frozen=True)
class ClipMoments:
    """Mean and mean square of each clip's rows, and the clips that cannot be used."""

    moments: list[Floats]  # (N, 2, rows) a channel
    unusable: dict[str, str]  # clip id -> reason

    def statistics(self, positions: Positions, norm: str) -> list[Statistics]:
        """Each channel's statistics over these clips."""
        statistics = []
        for moments in self.moments:
            mean, square = moments[positions].mean(axis=0)  # (rows,)
            whole = max(np.sqrt(max(square.mean() - mean.mean() ** 2, 0.0)), TINY)
            by_row = np.maximum(
                np.sqrt(np.maximum(square - mean**2, 0.0)), FLOOR * whole
            )
            centre, scale = {
                "row": (mean, by_row),
                "feature": (mean.mean(), whole),
                "clip": (0.0, FLOOR * whole),
                "none": (0.0, 1.0),
            }[norm]
            statistics.append(
                Statistics.restore({"norm": norm, "centre": centre, "scale": scale})
            )
        return statistics


def measure_clips(plan: Plan, positions: Positions) -> ClipMoments:
    """Read these clips once, measure their rows, and name the clips that cannot be
    read.

    If padding is dropped, the moments are those of each clip's own frames.
    """
    cache = plan.cache
    spec = plan.input
    clip_ids = cache.clips["clip_id"].to_numpy()
    moments = [np.zeros((len(clip_ids), 2, channel.rows)) for channel in spec.channels]
    unusable: dict[str, str] = {}
    for chunk in progress(chunked(positions), label="reading features", unit="batches"):
        for channel, of_clips in zip(spec.channels, moments):
            try:
                values = cache.read(channel.channel, chunk)
            except UnreadableClips as refusal:
                unusable |= {
                    clip: f"{channel.stored}: {why}"
                    for clip, why in refusal.reasons.items()
                }
                chunk = chunk[[clip not in refusal.reasons for clip in clip_ids[chunk]]]
                values = cache.read(channel.channel, chunk)
            values = values.astype(np.float32)  # float16 would overflow in the squares
            own_frames = spec.own_frames(channel, cache.filled[chunk])
            of_clips[chunk] = by_length(values, own_frames, row_moments)
    return ClipMoments(moments, unusable)


def row_moments(values: Numbers) -> Floats:
    """(B, 2, rows): mean and mean square of each row of (B, rows, frames)."""
    squares = np.einsum("brf,brf->br", values, values, dtype=np.float64)
    return (
        np.stack([values.sum(axis=2, dtype=np.float64), squares], axis=1)
        / values.shape[2]
    )


def describe_channels(
    plan: Plan, statistics: Sequence[Statistics], device: str = "cpu"
) -> Channels:
    """Properties of the channels, standardised with these statistics and resized, for
    augmentations.

    With NORM=clip the loudness numbers are 0: standardising by clip removes loudness
    (in cepstra, such as mfcc, only a part of it).
    """
    axes = []
    parts = []
    spec = plan.input
    for channel, own in zip(spec.channels, statistics, strict=True):
        feature = plan.cache[channel.stored]
        if spec.kind.augmented_as == "wave":
            axes.append("wave")
        elif channel.rows >= FEWEST_ROWS:
            axes.append(ROW_AXES.get(feature.row_unit, "none"))
        else:
            axes.append("none")
        loudness = torch.zeros(3, channel.rows)
        if own.norm != "clip":
            decibel, exponent = LOUDNESS.get(feature.units, (0.0, 0.0))
            centre = torch.from_numpy(own.centre)
            scale = torch.from_numpy(own.scale)
            loudness[0] = decibel / scale
            loudness[1] = exponent
            loudness[2] = -centre / scale
            first_row, _ = channel.row_range
            if feature.units == CEPSTRUM and first_row == 0:
                bands = feature.parameters.get("n_mels") or feature.parameters.get(
                    "n_bands", 0
                )
                loudness[0, 0] = np.sqrt(bands) / scale[0]
        # two frames, because torch 2.13 resizes a single one wrongly: it repeats the
        # first row
        parts.append(
            resize(loudness[..., None].repeat(1, 1, 2), (spec.grid[0], 2))[..., :1]
        )
    return Channels(
        tuple(axes), torch.stack(parts, dim=1)[:, None].to(device), spec.timed
    )


# Sources of batches: (B, D, H, W) float32 on the network's device, for clips given by
# position.


class Resident:
    """Clips in memory as a network takes them, on the GPU or in RAM; a batch is one
    gather.
    """

    def __init__(
        self,
        positions: Positions,
        parts: Iterable[torch.Tensor],
        where: str,
        device: str,
    ) -> None:
        """`parts` hold the clips at `positions`, in order; clips stay on `where`,
        batches go to `device`.
        """
        self.device = device
        self.index = pd.Index(positions)
        start = 0
        for part in parts:
            if not start:
                self.values = torch.empty(
                    (len(positions), *part.shape[1:]), dtype=part.dtype, device=where
                )
            self.values[start : start + len(part)] = part
            start += len(part)

    def batches(self, wanted: Sequence[Positions]) -> Iterator[torch.Tensor]:
        for positions in wanted:
            places = torch.from_numpy(self.index.get_indexer(positions)).to(
                self.values.device
            )
            yield (
                self.values.index_select(0, places)
                .to(self.device, non_blocking=True)
                .float()
            )


class StoredClips:
    """Clips in RAM as the cache stores them: less memory if the grid is larger than
    their maps.
    """

    def __init__(
        self, plan: Plan, positions: Positions, chunks: Iterable[Positions]
    ) -> None:
        """`chunks` are `positions` in parts."""
        self.index = pd.Index(positions)
        self.values: list[Numbers] = [
            np.empty((len(positions), channel.rows, channel.frames), channel.dtype)
            for channel in plan.channels
        ]
        for chunk in chunks:
            places = self.index.get_indexer(chunk)
            for values, part in zip(self.values, plan.values(chunk), strict=True):
                values[places] = part

    def read(self, positions: Positions) -> list[Numbers]:
        places = self.index.get_indexer(positions)
        return [values[places] for values in self.values]


@dataclass(frozen=True)
class Streamed:
    """Clips prepared batch by batch from stored values, in memory or in the cache's
    memory map.

    One thread prepares the next batches while the network works.
    """

    plan: Plan
    statistics: list[Statistics]
    device: str = "cpu"
    stored: StoredClips | None = None

    def batches(self, wanted: Sequence[Positions]) -> Iterator[torch.Tensor]:
        rest = iter(wanted)
        with ThreadPoolExecutor(
            1, initializer=torch.set_num_threads, initargs=(1,)
        ) as thread:
            waiting = deque(
                thread.submit(self.read, positions) for positions in islice(rest, AHEAD)
            )
            while waiting:
                waiting.extend(
                    thread.submit(self.read, positions) for positions in islice(rest, 1)
                )
                yield (
                    waiting.popleft()
                    .result()
                    .to(self.device, non_blocking=True)
                    .float()
                )

    def read(self, positions: Positions) -> torch.Tensor:
        """A batch on the CPU; pinned for a GPU, so that it is copied while the network
        works.
        """
        plan = self.plan
        stored = self.stored
        values = stored.read(positions) if stored else plan.values(positions)
        x = plan.input.prepare(values, self.statistics, plan.cache.filled[positions])
        return x.pin_memory() if self.device == "cuda" else x


def holds_stored(plan: Plan) -> bool:
    """Whether clips take less memory as the cache stores them than resized to the
    grid.
    """
    return plan.input.kind.resized and stored_bytes(plan) < 2 * math.prod(
        plan.input.shape
    )


def stored_bytes(plan: Plan) -> int:
    """Bytes of a clip in the cache, all channels together."""
    return sum(
        np.dtype(channel.dtype).itemsize * channel.rows * channel.frames
        for channel in plan.channels
    )


def choose_residence(plan: Plan, clips: int, device: str) -> str:
    """gpu if the clips fit there, else ram if they fit there, else stream."""
    prepared = 2 * clips * math.prod(plan.input.shape)
    if device == "cuda" and prepared < SHARE_OF_GPU * torch.cuda.mem_get_info()[0]:
        return "gpu"
    needed = clips * stored_bytes(plan) if holds_stored(plan) else prepared
    return (
        "ram" if needed < SHARE_OF_RAM * psutil.virtual_memory().available else "stream"
    )


@dataclass(frozen=True)
class FoldData:
    """The clips of one fold, ready for batches; positions are rows of the cache's clip
    table.
    """

    plan: Plan
    fold: int
    source: Resident | Streamed
    channels: Channels  # for the augmentations
    train: Positions
    val: Positions
    test: Positions
    statistics: Sequence[Statistics]

    def batches(
        self, wanted: Sequence[Positions]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Each batch's x (B, D, H, W) and y (B, K), its targets, on the network's
        device.
        """
        for positions, x in zip(wanted, self.source.batches(wanted)):
            targets = torch.from_numpy(self.plan.indicator(positions))
            yield x, targets.float().to(x.device)

    def class_weights(self) -> NDArray[np.float32]:
        """(K,) inverse to each class's number of training clips, 1 on average over the
        clips.

        With tags, the weight of positive clips: the number of negative ones divided by
        that of positive ones.
        """
        counts = self.plan.indicator(self.train).sum(axis=0)
        even = (
            len(self.train) - counts
            if self.plan.tags
            else len(self.train) / np.count_nonzero(counts)
        )
        return (even / np.maximum(counts, 1)).astype(np.float32)

    @torch.no_grad()
    def computed_once(self, statistics: torch.nn.Module) -> "FoldData":
        """The same clips as statistics (B, numbers, 1, 1), which no augmentation of the
        run changes.
        """
        every = np.concatenate([self.train, self.val, self.test])
        parts = [
            statistics(x)[..., None, None] for x in self.source.batches(chunked(every))
        ]
        device = self.source.device
        # a shift in time changes no statistic
        channels = self.channels._replace(timed=())
        return replace(
            self, source=Resident(every, parts, device, device), channels=channels
        )


def load_fold(
    plan: Plan, fold: int, split: Split, clips: ClipMoments, device: str
) -> FoldData:
    """The clips of `split`, kept where RESIDENT says, standardised by the training
    originals' statistics.

    RAM holds the clips as the network takes them or as the cache stores them, whichever
    is smaller.
    """
    statistics = clips.statistics(
        plan.cache.positions(split.statistics), plan.options.norm
    )
    train, val, test = (
        plan.cache.positions(ids) for ids in (split.train, split.val, split.test)
    )
    if plan.options.skip_test:
        test = test[:0]
    streamed = Streamed(plan, statistics, device)
    every = np.concatenate([train, val, test])
    place: str = plan.options.resident
    if place == "auto":
        place = choose_residence(plan, len(every), device)
    source: Resident | Streamed = streamed
    if place != "stream":
        chunks = progress(chunked(every), label="loading features", unit="batches")
        if place == "ram" and holds_stored(plan):
            source = replace(streamed, stored=StoredClips(plan, every, chunks))
        else:
            source = Resident(
                every,
                map(streamed.read, chunks),
                device if place == "gpu" else "cpu",
                device,
            )
    channels = describe_channels(plan, statistics, device)
    return FoldData(plan, fold, source, channels, train, val, test, statistics)


def chunked(positions: Positions) -> list[Positions]:
    """Parts of at most CHUNK clips; sizes differ by one at most."""
    return np.array_split(positions, -(-len(positions) // CHUNK))


def seeded(device: torch.device | str, *numbers: int) -> torch.Generator:
    """A generator on the device, seeded by all these numbers."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(seed >> np.uint64(1)))


def draw_batches(data: FoldData, epoch: int, processes: int = 1) -> list[Positions]:
    """The training clips, PASSES times, in this epoch's order, in batches whose sizes
    differ by one at most.

    Each process gets at least two clips of a batch, if there are enough: batch norm
    needs them. BALANCE=sample draws the same number of clips with replacement, every
    class equally often on average.
    """
    options = data.plan.options
    rng = np.random.default_rng([options.seed, data.fold, epoch])
    if options.balance == "sample":
        weight = data.class_weights()[data.plan.targets[data.train]].astype(np.float64)
        order = rng.choice(
            data.train, size=options.passes * len(data.train), p=weight / weight.sum()
        )
    else:
        order = np.concatenate(
            [rng.permutation(data.train) for _ in range(options.passes)]
        )
    return np.array_split(
        order,
        max(1, min(-(-len(order) // options.batch), len(order) // (2 * processes))),
    )
