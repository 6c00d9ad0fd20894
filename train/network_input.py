"""Make a network's input from the stored values of a run's channels.

`InputSpec` describes the input of one run: the plan makes it, run.json keeps it. What
depends on the kind of input is in `KINDS`.

Conventions. Stored values of a channel are (B, rows, frames). A network's input is (B,
D, H, W). `filled` (B,) is the share of the duration that each clip fills; the rest is
padding after its end. torch is imported only when values are prepared, so that a run is
planned without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from featurestack.base.registry import Registry
from featurestack.comparison.metrics import Floats
from featurestack.features_cache.feature_names import (
    FeatureName,
    parse_feature_name,
    parse_set,
)
from featurestack.features_cache.row_statistics import column_means, has_statistics
from featurestack.results.config import InputChannel, RunConfig
from featurestack.results.training_options import Needs, Training
from featurestack.train.options import NATIVE, parse_grid

if TYPE_CHECKING:
    from torch import Tensor

    from featurestack.features_cache.cache import Cache

LARGEST_INPUT = 60_000.0  # float16 ends at 65,504
# share of padding in the clips' time above which PADDING=auto drops padding
MUCH_PADDING = 0.2

Shape = tuple[int, int]  # rows, frames
AnyFloats = NDArray[np.floating]  # any precision


class ChannelSize(NamedTuple):
    """The size of an image's channel before resizing, at most that of the grid."""

    rows: int
    columns: int
    timed: bool  # whether its columns are frames of time


Planes = tuple[ChannelSize, ...]


def find_features(cache: Cache, text: str) -> tuple[FeatureName, ...]:
    """The channels of a set, named as in the cache; RequestError if one is missing."""
    asked = parse_set(text)
    cache.refuse_missing(asked)
    features = []
    for channel in asked:
        stored = parse_feature_name(cache[channel].stored)  # mel@n_mels=128 is mel
        cache.read(channel, np.arange(0))  # refuses rows that the feature lacks
        features.append(replace(stored, rows=channel.rows))
    return tuple(features)


def describe_channel(cache: Cache, channel: FeatureName) -> InputChannel:
    feature = cache[channel]
    return InputChannel(
        stored=feature.stored,
        parameters=feature.parameters,
        dtype=cast(Literal["float16", "float32"], feature.dtype),
        row_range=channel.rows or (0, feature.rows - 1),
        frames=feature.frames,
        frame_unit=feature.frame_unit,
        code_version=str(feature.code_version),
    )


# ---- kinds of input


@dataclass(frozen=True, kw_only=True)
class InputKind:
    """How models of one kind read channels.

    `uses` names what the kind has: steps of training (else an exact solution), grid
    (channels are resized to GRID), padding (it can be left out), balance (classes can
    be weighted). Options that need anything else are ignored.
    """

    name: str
    uses: tuple[Needs, ...]
    # a channel's (B, rows, frames) float32 as (B, width, *grid), by torch operations
    # that ONNX has
    prepare: Callable[[Tensor, InputChannel, Shape], Tensor]
    takes: str = "every feature"  # the channels that it accepts, in words
    accepts: Callable[[InputChannel], bool] = lambda channel: True
    # number of input planes from a channel
    width: Callable[[InputChannel], int] = lambda channel: 1
    # rows x frames without GRID; `native`: of the largest channel
    grid: str = ""
    standardised: bool = True  # and finally rounded to float16; else float32
    summarised: bool = False  # several columns enter as the numbers of `over_columns`
    reads_padding: bool = False  # for a clip's length; PADDING=auto then keeps padding
    augment: str = "none"  # the meaning of AUGMENT=auto

    @property
    def in_steps(self) -> bool:
        """Whether training takes steps; other models have an exact solution."""
        return "steps" in self.uses

    def chosen_grid(self, channels: Sequence[InputChannel], option: str) -> Shape:
        """The grid that GRID gives if the kind uses it, else the kind's own."""
        text = option if "grid" in self.uses else self.grid
        if text != NATIVE:
            return parse_grid(text)
        rows = max(channel.rows for channel in channels)
        frames = max(channel.frames for channel in channels)
        return rows, frames


KINDS: Registry[InputKind] = Registry("input kind")
KINDS["image"] = InputKind(
    name="image",
    uses=("steps", "balance", "grid", "padding"),
    prepare=lambda values, channel, grid: resize(values, grid)[:, None],
    takes="feature maps, no waveform and no vector (one frame)",
    # a vector would become stripes
    accepts=lambda channel: channel.name != "waveform" and channel.frames > 1,
    augment="shift,gain",
)
KINDS["wave"] = InputKind(
    name="wave",
    uses=("steps", "balance"),  # not padding: resizing would change the pitch
    prepare=lambda values, channel, grid: values[:, None],
    takes="only waveform",
    accepts=lambda channel: channel.name == "waveform",
    grid=NATIVE,
    augment="shift,gain,polarity,mixup=0.4",
)
KINDS["vector"] = InputKind(
    name="vector",
    uses=("steps", "balance", "padding"),
    # of a vector `over_columns` are its own numbers
    prepare=lambda values, channel, grid: over_columns(values, channel)[..., None],
    width=attrgetter("statistics"),
    grid="1x1",
    summarised=True,
    reads_padding=True,
)
# for networks that standardise the numbers themselves
KINDS["linear"] = replace(
    KINDS["vector"],
    name="linear",
    uses=("balance", "padding"),
    standardised=False,
)


def over_columns(values: Tensor, channel: InputChannel) -> Tensor:
    """(B, rows, frames) float32 to (B, statistics, 1): mean and deviation of each row
    over time.

    For a single column, or columns that are not time, the statistics are all values,
    with neighbouring columns of a large feature map averaged. Sums over time are in
    float64: in float32 a long row would lose its deviation.
    """
    import torch

    if not has_statistics(channel.frame_unit, channel.frames):
        weights = torch.from_numpy(column_means(channel.rows, channel.frames))
        columns = values @ weights
        return columns.flatten(1)[..., None]
    values = values.double()
    means = values.mean(2, keepdim=True)
    deviations = values.std(2, correction=0, keepdim=True)
    return torch.cat([means, deviations], dim=1).float()


def resize(values: Tensor, grid: Shape) -> Tensor:
    """(B, rows, frames) to (B, *grid), linearly; on a coarser grid with averaging."""
    import torch

    # few runtimes can average, so each axis is multiplied by a matrix
    if torch.onnx.is_in_onnx_export():
        rows, frames = grid
        _, stored_rows, stored_frames = values.shape
        by_row = resizing(stored_rows, rows).T
        by_frame = resizing(stored_frames, frames)
        return by_row @ values @ by_frame
    if values.shape[1:] == grid:
        return values
    resized = torch.nn.functional.interpolate(
        values[:, None], grid, mode="bilinear", antialias=True
    )
    return resized[:, 0]


def resizing(length: int, size: int) -> Tensor:
    """(length, size): triangular weights that resize `length` values to `size`."""
    import torch

    places = torch.arange(length, dtype=torch.float32) + 0.5
    step = (places[-1] + 0.5) / size
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) * step
    distances = (places[:, None] - centres).abs()
    weights = (1 - distances / step.clamp(min=1)).clamp(min=0)
    return weights / weights.sum(0)


# ---- one run's input


@dataclass(frozen=True)
class Statistics:
    """The standardisation (values - centre) / scale of a channel (rows, frames);
    `centre` and `scale` are (rows,), or (1,) for the whole feature.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, values: Tensor) -> Tensor:
        """(B, rows, frames) float32 standardised, as a new tensor."""
        import torch

        centre = torch.from_numpy(self.centre)[:, None]
        scale = torch.from_numpy(self.scale)[:, None]
        return (values - centre) / scale

    def state(self) -> dict[str, Any]:
        """Plain lists for a checkpoint; `Statistics.restore` reads them."""
        return {"centre": self.centre.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Statistics:
        centre = np.array(state["centre"], np.float32, ndmin=1)
        scale = np.array(state["scale"], np.float32, ndmin=1)
        return cls(centre, scale)


def filled_frames(channel: InputChannel, filled: Floats) -> NDArray[np.intp]:
    """(B,) frames that each clip fills, at least two; all if columns are not time."""
    frames = channel.frames
    if not channel.timed:
        return np.full(len(filled), frames)
    sounding = np.ceil(frames * filled).astype(np.intp)
    return np.clip(sounding, min(2, frames), frames)


@dataclass(frozen=True)
class InputSpec:
    """The input of one run's networks."""

    kind: InputKind
    channels: tuple[InputChannel, ...]
    grid: Shape
    drop_padding: bool

    @classmethod
    def choose(
        cls,
        kind: InputKind,
        channels: tuple[InputChannel, ...],
        training: Training,
        filled: Floats,
        reads_padding: bool,
    ) -> InputSpec:
        """The input that GRID and PADDING ask for; PADDING=auto keeps padding if the
        model `reads_padding`.

        filled  (N,) the share of the duration that each clip of the run fills
        """
        has_maps = any(channel.frames > 1 for channel in channels)
        has_padding = has_maps and filled.min() < 1
        droppable = has_padding and "padding" in kind.uses
        if training.padding == "auto":
            drop = not reads_padding and 1 - filled.mean() > MUCH_PADDING
        else:
            drop = training.padding == "drop"
        grid = kind.chosen_grid(channels, training.grid)
        return cls(kind, channels, grid, bool(droppable and drop))

    @classmethod
    def restore(cls, kind: InputKind, config: RunConfig) -> InputSpec:
        """The input of a trained run, from its run.json."""
        return cls(
            kind,
            config.channels,
            parse_grid(config.input_grid),
            drop_padding=config.options.padding == "drop",
        )

    @cached_property
    def widths(self) -> list[int]:
        """The number of input planes from each channel."""
        return list(map(self.kind.width, self.channels))

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W) of a clip before augmentation."""
        return sum(self.widths), *self.grid

    @cached_property
    def timed(self) -> tuple[bool, ...]:
        """Whether each channel's columns are frames of time."""
        return tuple(channel.timed for channel in self.channels)

    @cached_property
    def planes(self) -> Planes:
        """The size of each channel of an image before resizing."""
        height, width = self.grid
        return tuple(
            ChannelSize(
                min(channel.rows, height), min(channel.columns, width), channel.timed
            )
            for channel in self.channels
        )

    def own_frames(self, channel: InputChannel, filled: Floats) -> NDArray[np.intp]:
        """(B,) how many frames of each clip are read: all, or if padding is dropped and
        columns are time, those that the clip fills, at least two.
        """
        if not self.drop_padding:
            return np.full(len(filled), channel.frames)
        return filled_frames(channel, filled)

    def prepare(
        self,
        values: Sequence[AnyFloats],
        statistics: Sequence[Statistics],
        filled: Floats,
    ) -> Tensor:
        """Stored values of every channel as (B, D, H, W), float16 if standardised."""
        import torch

        def compute(
            channel: InputChannel, how: Statistics, batch: AnyFloats
        ) -> AnyFloats:
            exact = torch.from_numpy(batch.astype(np.float32))
            return self.prepare_channel(channel, how, exact).numpy()

        planes = []
        for channel, how, batch in zip(self.channels, statistics, values, strict=True):
            own_frames = self.own_frames(channel, filled)
            planes.append(by_length(batch, own_frames, partial(compute, channel, how)))
        return torch.from_numpy(np.concatenate(planes, axis=1))

    def prepare_channel(
        self, channel: InputChannel, statistics: Statistics, values: Tensor
    ) -> Tensor:
        """One channel's (B, rows, frames) float32 as (B, width, H, W)."""
        if not self.kind.standardised:
            return self.kind.prepare(values, channel, self.grid)
        standardised = statistics.apply(values)
        x = self.kind.prepare(standardised, channel, self.grid)
        return x.clamp(-LARGEST_INPUT, LARGEST_INPUT).half()


def by_length(
    values: AnyFloats,
    own_frames: NDArray[np.intp],
    compute: Callable[[AnyFloats], AnyFloats],
) -> AnyFloats:
    """Apply `compute` to clips of equal length together."""
    if (own_frames == values.shape[2]).all():
        return compute(values)
    parts = [
        compute(values[own_frames == frames, :, :frames])
        for frames in np.unique(own_frames)
    ]
    sorted_by_length = own_frames.argsort(kind="stable")
    return np.concatenate(parts)[sorted_by_length.argsort()]
