"""What the selected features are like: one pass over the clips, from which any fold's statistics follow.

The pass keeps the sums of each clip's rows, so that the mean and deviation of any set of clips need no second
reading, and finds clips that cannot be used. Values are as stored, before any resizing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commandline import progress
from features_cache import Cache, Channel, UnreadableClips

if TYPE_CHECKING:
    from train.trainer import Processes

Floats = NDArray[np.float64]

CHUNK = 32  # clips read at once
FLOOR = 1e-3  # smallest deviation of a row, in deviations of the whole feature: a constant row becomes 0
TINY = 1e-12  # deviation of a feature that is constant as a whole


def _single(values: Any) -> NDArray[np.float32]:
    return np.atleast_1d(np.asarray(values, np.float32))


@dataclass(frozen=True)
class Statistics:
    """How one channel's values (rows, frames) become (values - centre) / scale.

    centre and scale are (rows,), or (1,) for the whole feature. With `clip` each clip has its own mean and
    deviation, and scale is the floor under that deviation.
    """

    norm: str
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, rows, frames) standardised, as a new array."""
        if self.norm == "none":
            return values
        if self.norm == "clip":
            centre = values.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
            spread = values.std(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
            return (values - centre) / np.maximum(spread, self.scale)
        return (values - self.centre[:, None]) / self.scale[:, None]

    def state(self) -> dict[str, Any]:
        """Plain lists for a checkpoint; `Statistics.restore` reads them."""
        return {"norm": self.norm, "centre": self.centre.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Statistics":
        return cls(state["norm"], _single(state["centre"]), _single(state["scale"]))


@dataclass(frozen=True)
class ClipSums:
    """Sums over the frames of each clip of the table, (N, rows) a channel; clips that cannot be used."""

    sums: list[Floats]
    squares: list[Floats]
    frames: list[int]
    unusable: dict[str, str]  # clip id -> reason

    def statistics(self, positions: NDArray[np.intp], norm: str) -> list[Statistics]:
        """Of these clips together, for each channel."""
        return [
            _statistics(norm, sums[positions].mean(axis=0) / frames, squares[positions].mean(axis=0) / frames)
            for sums, squares, frames in zip(self.sums, self.squares, self.frames)
        ]


def _statistics(norm: str, mean: Floats, square: Floats) -> Statistics:
    """From each row's mean and mean square, (rows,)."""
    centre = mean.mean()
    whole = max(np.sqrt(max(square.mean() - centre**2, 0.0)), TINY)
    if norm == "row":
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        return Statistics(norm, _single(mean), _single(np.maximum(spread, FLOOR * whole)))
    if norm == "clip":
        return Statistics(norm, _single(0.0), _single(FLOOR * whole))
    return Statistics(norm, _single(centre), _single(whole))


def sum_clips(cache: Cache, channels: Sequence[Channel], positions: NDArray[np.intp]) -> ClipSums:
    """Read these clips once; what is absent, damaged or not finite is named with its reason."""
    clip_ids = cache.clips["clip_id"].to_numpy()
    shapes = [cache.read(channel, np.arange(0)).shape[1:] for channel in channels]
    sums, squares = ([np.zeros((len(clip_ids), rows)) for rows, _ in shapes] for _ in range(2))
    unusable: dict[str, str] = {}
    chunks = np.array_split(positions, -(-len(positions) // CHUNK))
    for chunk in progress(chunks, label="reading features", unit="batches"):
        for index, channel in enumerate(channels):
            values, chunk = _read(cache, channel, chunk, unusable)
            if not len(chunk):
                break
            values = values.astype(np.float32)  # float16 would overflow in the squares
            finite = np.isfinite(values).all(axis=(1, 2))
            reason = f"{channel.stored} holds NaN or infinity"
            unusable |= dict.fromkeys(clip_ids[chunk[~finite]].tolist(), reason)
            chunk, values = chunk[finite], values[finite]
            sums[index][chunk] = values.sum(axis=2, dtype=np.float64)
            squares[index][chunk] = np.einsum("brf,brf->br", values, values, dtype=np.float64)
    return ClipSums(sums, squares, [frames for _, frames in shapes], unusable)


def sum_clips_together(
    cache: Cache, channels: Sequence[Channel], positions: NDArray[np.intp], processes: "Processes"
) -> ClipSums:
    """`sum_clips`, of which each process reads its share and tells the others."""
    mine = processes.share(positions)
    whole = sum_clips(cache, channels, mine)
    sums, squares = ([table[mine] for table in tables] for tables in (whole.sums, whole.squares))
    for rows, their_sums, their_squares, unusable in processes.gather((mine, sums, squares, whole.unusable)):
        for table, part in zip(whole.sums + whole.squares, their_sums + their_squares):
            table[rows] = part
        whole.unusable.update(unusable)
    return whole


def _read(
    cache: Cache, channel: Channel, positions: NDArray[np.intp], unusable: dict[str, str]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The values of those clips that can be read, and their positions; the others are noted as unusable."""
    try:
        return cache.read(channel, positions), positions
    except UnreadableClips as refusal:
        reasons = {one: f"{channel.stored}: {reason}" for one, reason in refusal.reasons.items()}
        unusable |= reasons
        kept = positions[~cache.clips["clip_id"].iloc[positions].isin(list(reasons)).to_numpy()]
        return cache.read(channel, kept), kept
