"""The clips of one fold in batches (B, D, H, W), from the GPU, from RAM, or streamed
from the cache.

One pass over the cache measures each clip's rows and finds clips that cannot be used;
the statistics of every fold come from these measurements. All three sources give the
same numbers. Two alternatives were slower: DataLoader workers (4 to 20 ms a batch), and
resizing with many threads next to a busy network (48 ms instead of 2).
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from featurestack.base.errors import UnreadableClips
from featurestack.base.terminal import progress
from featurestack.comparison.metrics import Floats, class_weights
from featurestack.features_cache.cache import Cache
from featurestack.results.config import InputChannel
from featurestack.results.splits import Split
from featurestack.train.augment import ChannelProperties
from featurestack.train.network_input import AnyFloats, Statistics, by_length, resize
from featurestack.train.plan import Plan, Positions

CHUNK = 32  # clips read at once
# smallest deviation of a row, as a share of the feature's, so that constants become 0
FLOOR = 1e-3
SMALLEST_DEVIATION = 1e-12  # smallest deviation of a whole feature
MOMENT_ROWS = 1_024  # rows whose moments are averaged at once; a vector may have 20,000
# share of the free memory that resident features may take
SHARE_OF_GPU, SHARE_OF_RAM = 0.5, 0.6
# bytes that they take of an exact model, which reads them twice
KEPT_FOR_EXACT = 100_000_000
AHEAD = 2  # batches that are read in advance
# with fewer rows a channel has no frequency axis: contrast has seven unequal bands
FEWEST_ROWS = 12
ROW_AXES = {"Hz": "frequency", "pitch class": "cyclic"}

# Unit of a feature's values -> their `per_decibel` and `exponent` (see `Channels`)
# before standardisation.
LOUDNESS = {"dB": (1.0, 0.0), "amplitude": (0.0, 1.0), "power": (0.0, 2.0)}
CEPSTRUM = "dB, cepstrum"  # only row 0, the sum over the bands, rises with loudness


# For each channel the mean and mean square of each clip's rows, (N, 2, rows); for one
# frame its values (N, rows) as they are stored.
Moments = Sequence[NDArray[np.floating]]


def statistics_of(
    measured: Moments, positions: Positions, norm: str
) -> list[Statistics]:
    statistics = []
    for moments in measured:
        parts = []
        for first in range(0, moments.shape[-1], MOMENT_ROWS):
            part = moments[positions, ..., first : first + MOMENT_ROWS].astype(
                np.float64
            )
            if moments.ndim == 2:
                part = np.stack([part, part**2], axis=1)
            parts.append(part.mean(axis=0))
        mean, square = np.concatenate(parts, axis=1)  # (rows,) each
        variance = max(square.mean() - mean.mean() ** 2, 0.0)
        deviation = max(np.sqrt(variance), SMALLEST_DEVIATION)
        row_variances = np.maximum(square - mean**2, 0.0)
        row_deviations = np.maximum(np.sqrt(row_variances), FLOOR * deviation)
        by_norm = {
            "row": (mean, row_deviations),
            "feature": (mean.mean(), deviation),
            "none": (0.0, 1.0),
        }
        centre, scale = by_norm[norm]
        statistics.append(Statistics.restore({"centre": centre, "scale": scale}))
    return statistics


def measure_clips(plan: Plan) -> tuple[Moments, dict[str, str]]:
    """The moments of the plan's clips, measured in one pass, and the clips that cannot
    be read: clip id -> reason.
    """
    cache = plan.cache
    spec = plan.input
    clips = len(cache.clips)
    moments: list[NDArray[np.floating]] = [
        np.zeros((clips, channel.rows), cache[channel.channel].dtype)
        if channel.frames == 1
        else np.zeros((clips, 2, channel.rows))
        for channel in spec.channels
    ]
    unusable: dict[str, str] = {}
    chunks = chunked(plan.table.index.to_numpy())
    for chunk in progress(chunks, label="reading features", unit="batches"):
        for channel, of_clips in zip(spec.channels, moments):
            chunk, values = read_usable(cache, channel, chunk, unusable)
            if channel.frames == 1:
                of_clips[chunk] = values[:, :, 0]
                continue
            values = values.astype(np.float32)  # float16 would overflow in the squares
            own_frames = spec.own_frames(channel, cache.filled[chunk])
            of_clips[chunk] = by_length(values, own_frames, row_moments)
    return moments, unusable


def read_usable(
    cache: Cache, channel: InputChannel, clips: Positions, unusable: dict[str, str]
) -> tuple[Positions, AnyFloats]:
    """The clips that can be read, and their values; the others go to `unusable`."""
    try:
        return clips, cache.read(channel.channel, clips)
    except UnreadableClips as refusal:
        for clip, reason in refusal.reasons.items():
            unusable[clip] = f"{channel.stored}: {reason}"
        ids = cache.clips["clip_id"].to_numpy()[clips]
        readable = clips[~np.isin(ids, list(refusal.reasons))]
        return readable, cache.read(channel.channel, readable)


def row_moments(values: AnyFloats) -> Floats:
    """(B, 2, rows): mean and mean square of each row of (B, rows, frames)."""
    sums = values.sum(axis=2, dtype=np.float64)
    squares = np.einsum("brf,brf->br", values, values, dtype=np.float64)
    return np.stack([sums, squares], axis=1) / values.shape[2]


def describe_channels(
    plan: Plan, statistics: Sequence[Statistics], device: str = "cpu"
) -> ChannelProperties:
    """Describe the standardised and resized channels for augmentations."""
    spec = plan.input
    height, _ = spec.grid
    axes = []
    loudness = []
    for channel, standard in zip(spec.channels, statistics, strict=True):
        feature = plan.cache[channel.stored]
        axis = ROW_AXES.get(feature.row_unit, "none")
        if spec.kind.name == "wave":
            axis = "wave"
        elif channel.rows < FEWEST_ROWS:
            axis = "none"
        axes.append(axis)
        numbers = torch.zeros(3, channel.rows)  # per_decibel, exponent, zero
        decibel, exponent = LOUDNESS.get(feature.units, (0.0, 0.0))
        scale = torch.from_numpy(standard.scale)
        numbers[0] = decibel / scale
        numbers[1] = exponent
        numbers[2] = -torch.from_numpy(standard.centre) / scale
        first_row, _ = channel.row_range
        if feature.units == CEPSTRUM and first_row == 0:
            parameters = feature.parameters
            bands = parameters.get("n_mels") or parameters.get("n_bands", 0)
            numbers[0, 0] = np.sqrt(bands) / scale[0]
        # two frames, because torch 2.13 resizes a single one wrongly: it repeats the
        # first row
        frames = numbers[..., None].repeat(1, 1, 2)
        resized = resize(frames, (height, 2))
        loudness.append(resized[..., :1])
    stacked = torch.stack(loudness, dim=1)[:, None]  # (3, 1, C, H, 1)
    return ChannelProperties(tuple(axes), stacked.to(device), spec.timed)


# Batches are (B, D, H, W) float32 on the network's device, of clips given by position.


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """The tensor on the device. It is pinned first: a copy from other memory would wait
    for the work of the GPU.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True, eq=False)
class FoldData:
    """The clips of one fold; positions are rows of the cache's clip table.

    They come from memory if they are `kept` there; otherwise a thread prepares them
    from the cache's memory map.
    """

    plan: Plan
    fold: int
    device: str  # of the network
    train: Positions
    val: Positions
    test: Positions
    statistics: Sequence[Statistics]
    channels: ChannelProperties  # for the augmentations
    values: Tensor | None = None  # of the clips that are kept

    @cached_property
    def every(self) -> "pd.Index[int]":
        """The positions of all its clips, in the order in which they are kept."""
        return pd.Index(np.concatenate([self.train, self.val, self.test]))

    def read(self, positions: Positions) -> Tensor:
        """A batch on the CPU; pinned for a GPU, so that copying takes no time."""
        cache, spec = self.plan.cache, self.plan.input
        values = [cache.read(channel.channel, positions) for channel in spec.channels]
        x = spec.prepare(values, self.statistics, cache.filled[positions])
        return x.pin_memory() if self.device == "cuda" else x

    def kept(self, parts: Iterable[Tensor], where: str) -> "FoldData":
        """The fold with all its clips, given by `parts`, in the memory of `where`, so
        that a batch is one gather.
        """
        start, values = 0, None
        for part in parts:
            if values is None:
                shape = len(self.every), *part.shape[1:]
                values = torch.empty(shape, dtype=part.dtype, device=where)
            values[start : start + len(part)] = part
            start += len(part)
        return replace(self, values=values)

    def inputs(self, batches: Sequence[Positions]) -> Iterator[Tensor]:
        """Each batch's x (B, D, H, W) on the network's device."""
        if self.values is not None:
            for positions in batches:
                places = torch.from_numpy(self.every.get_indexer(positions))
                x = self.values.index_select(0, sent(places, self.values.device))
                yield sent(x, self.device).float()
            return
        with ThreadPoolExecutor(
            1, initializer=torch.set_num_threads, initargs=(1,)
        ) as thread:
            jobs = (thread.submit(self.read, positions) for positions in batches)
            waiting = deque(islice(jobs, AHEAD))
            while waiting:
                waiting.extend(islice(jobs, 1))
                x = waiting.popleft().result()
                yield x.to(self.device, non_blocking=True).float()

    def batches(self, batches: Sequence[Positions]) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch's x and targets (B, K)."""
        for positions, x in zip(batches, self.inputs(batches)):
            targets = torch.from_numpy(self.plan.indicator(positions))
            yield x, sent(targets.float(), x.device)

    def generator(self, epoch: int) -> torch.Generator:
        """The generator of an epoch's augmentation and dropout."""
        return seeded(self.device, self.plan.training.seed, self.fold, epoch)

    def class_weights(self) -> NDArray[np.float32] | None:
        """(K,) weights for BALANCE=loss: inverse to the number of a class's training
        clips, 1 on average; with several labels the ratio of negative to positive ones.
        """
        if self.plan.training.balance != "loss":
            return None
        counts = self.plan.indicator(self.train).sum(axis=0)
        if self.plan.task.multilabel:
            weights = (len(self.train) - counts) / np.maximum(counts, 1)
        else:
            weights = class_weights(counts)
        return weights.astype(np.float32)

    @torch.no_grad()
    def computed_once(self, statistics: torch.nn.Module) -> "FoldData":
        """The fold with its clips as statistics (B, numbers, 1, 1), which are computed
        once because no augmentation changes them.
        """
        # one part at a time: a list would hold all statistics a second time, in between
        # the buffers of their computation, which the heap then could not give back
        batches = self.inputs(chunked(self.every.to_numpy()))
        parts = (statistics(x)[..., None, None] for x in batches)
        # a shift in time changes no statistic
        channels = self.channels._replace(timed=())
        return replace(self.kept(parts, self.device), channels=channels)


def load_fold(
    plan: Plan,
    fold: int,
    split: Split,
    moments: Moments,
    device: str,
    *,
    streamed: bool = False,
) -> FoldData:
    """The clips of `split`, standardised by its training originals.

    They are read from the cache for every batch if `streamed`, or if they would take
    too much memory.
    """
    measured = plan.cache.positions(split.statistics)
    statistics = statistics_of(moments, measured, plan.training.norm)
    sides = split.train, split.val, split.test
    train, val, test = map(plan.cache.positions, sides)
    channels = describe_channels(plan, statistics, device)
    data = FoldData(plan, fold, device, train, val, test, statistics, channels)
    number = 2 if plan.input.kind.standardised else 4  # bytes
    size = number * len(data.every) * math.prod(plan.input.shape)
    most = SHARE_OF_RAM * psutil.virtual_memory().available
    if not plan.model.kind.in_steps:
        most = min(most, KEPT_FOR_EXACT)
    place = ""
    if not streamed and size < most:
        place = "cpu"
    if not streamed and device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        place = device if size < SHARE_OF_GPU * free else place
    if not place:
        return data
    chunks = chunked(data.every.to_numpy())
    bar = progress(chunks, label="loading features", unit="batches")
    return data.kept(map(data.read, bar), place)


def chunked(positions: Positions) -> list[Positions]:
    """Parts of at most CHUNK clips, whose sizes differ by at most one."""
    return np.array_split(positions, math.ceil(len(positions) / CHUNK))


def seeded(device: torch.device | str, *numbers: int) -> torch.Generator:
    """A generator on the device, seeded by all these numbers."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    positive = int(seed >> np.uint64(1))
    return torch.Generator(device).manual_seed(positive)


def draw_batches(data: FoldData, epoch: int) -> list[Positions]:
    """The training clips in this epoch's order, in batches whose sizes differ by at
    most one; each has at least two clips, as batch norm requires.
    """
    training = data.plan.training
    rng = np.random.default_rng([training.seed, data.fold, epoch])
    order = rng.permutation(data.train)
    of_full_size = math.ceil(len(order) / training.batch)
    batches = min(of_full_size, len(order) // 2)
    return np.array_split(order, max(1, batches))
