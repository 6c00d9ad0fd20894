"""The network of frames, the sounds of another place under its recordings, and its
training: a step takes crops of pieces.

The network answers rows (B, D, 1, T), standardised, with logits (B, T, K + 1). The last
output is the background, if labels exclude each other; else it is not used.

`MODEL=frames@background=folder`: unannotated recordings of another place are cut into
pieces, and their features are added to crops of the annotated ones, in power.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from featurestack.extras.recordings.annotations import read_marks
from featurestack.extras.recordings.dataset import (
    background_recordings,
    cut_blocks,
    cut_pieces,
    measure_recordings,
    place,
)
from featurestack.extras.recordings.frames import are_exclusive
from featurestack.extras.recordings.scores import STORED, ScoredFrames, write_frames
from featurestack.pipeline import audio
from featurestack.predict.model import stored_values, variant_of
from featurestack.results.config import Compute
from featurestack.train.compute import plain_fp32
from featurestack.train.fold_data import FoldData, chunked
from featurestack.train.network_input import Statistics
from featurestack.train.optimisation import SMOOTHING
from featurestack.train.plan import Plan, Positions
from featurestack.train.trainer import Trainer

if TYPE_CHECKING:
    from featurestack.train.trainer import Bar

KERNEL = 5
DILATIONS = (1, 2, 4, 8)  # 61 frames together: 0.7 s at 44,100 Hz
CROP = 128  # frames
CROPS = 16  # in a step
LEAST_STEPS = 10  # in an epoch: a few recordings are seen several times
MOST_PIECES = 500  # of another place, evenly spread over all; they are kept in memory
CLEAN = 0.5  # share of crops without background
LOUDEST, QUIETEST = 0.0, 30.0  # dB from the background to the events of a crop
SILENCE = 1e-10  # power below which librosa's decibels end
# targets of crops (b, CROP, K), and whether each frame is used (b, CROP)
FrameTargets = tuple[Tensor, Tensor]


# ---- the network


class FrameModel(nn.Module):
    """Dilated convolutions with batch norm, ReLU and residual connections; the weights
    say if labels exclude each other.
    """

    exclusive: Tensor

    def __init__(self, rows: int, classes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("exclusive", torch.tensor(True))
        blocks: list[nn.Module] = []
        for dilation in DILATIONS:
            inputs = width if blocks else rows
            convolution = nn.Conv1d(
                inputs, width, KERNEL, padding="same", dilation=dilation, bias=False
            )
            blocks.append(nn.Sequential(convolution, nn.BatchNorm1d(width), nn.ReLU()))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, classes + 1)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.blocks
        x = first(x.squeeze(2))  # (B, width, T)
        for block in rest:
            x = x + block(x)
        return self.head(x.transpose(1, 2))

    def loss(
        self, logits: Tensor, targets: Tensor, used: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """The mean loss of the used frames.

        logits   (B, T, K + 1); targets (B, T, K), 0 or 1; used (B, T) bool
        """
        logits, targets = logits[used], targets[used]
        if self.exclusive:
            background = (targets.sum(1, keepdim=True) == 0).to(targets.dtype)
            numbers = torch.cat([targets, background], dim=1).argmax(1)
            return functional.cross_entropy(logits, numbers, label_smoothing=smoothing)
        uniform = torch.full_like(targets, 1 / targets.shape[1])
        smooth = targets.lerp(uniform, smoothing)
        return functional.binary_cross_entropy_with_logits(logits[:, :-1], smooth)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, T, K) of logits (B, T, K + 1)."""
        if self.exclusive:
            every = logits.softmax(2)
            return every[..., :-1]
        return logits[..., :-1].sigmoid()


# ---- sounds of another place


class Background:
    """Pieces of another place in power, and how they are added to crops.

    power  (n, D, frames); rows  the number of each channel's
    """

    def __init__(self, power: Tensor, rows: Sequence[int]) -> None:
        self.power, self.rows = power, rows

    @classmethod
    def read(cls, folder: str, plan: Plan) -> Self:
        """The recordings in `folder`, cut and computed like the plan's cache."""
        cache, channels = plan.cache, plan.input.channels
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
        x: Tensor,
        events: Tensor,
        statistics: Sequence[Statistics],
        generator: torch.Generator,
    ) -> Tensor:
        """The crops x (b, D, 1, T) with backgrounds under some of them.

        events  (b, T) bool: frames with an event, whose mean power the level refers to
        """
        device = x.device
        mixed = torch.rand(len(x), generator=generator, device=device) >= CLEAN
        places = torch.nonzero(mixed)[:, 0]
        if not len(places):
            return x
        centre = self.by_row([own.centre for own in statistics]).to(device)
        scale = self.by_row([own.scale for own in statistics]).to(device)
        decibels = x[places, :, 0] * scale + centre
        power = 10 ** (decibels / 10)
        background = self.draw(len(places), power.shape[2], generator).to(device)
        # the mean power of frames with an event; without one, the loudest frame's
        of_frame = power.sum(dim=1)
        inside = events[places].float()
        of_events = (of_frame * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
        level = torch.where(inside.any(dim=1), of_events, of_frame.amax(dim=1))
        of_background = background.sum(dim=1).mean(dim=1).clamp(min=SILENCE)
        chance = torch.rand(len(places), generator=generator, device=device)
        below = LOUDEST + (QUIETEST - LOUDEST) * chance  # dB
        gain = level / of_background / 10 ** (below / 10)
        together = power + gain[:, None, None] * background
        decibels = 10 * torch.log10(together.clamp(min=SILENCE))
        x = x.clone()
        x[places, :, 0] = (decibels - centre) / scale
        return x

    def by_row(self, values: Sequence[NDArray[np.floating]]) -> Tensor:
        """(D, 1) of each channel's values; NORM=feature has one for all its rows."""
        every = [np.broadcast_to(own, rows) for own, rows in zip(values, self.rows)]
        return torch.from_numpy(np.concatenate(every)[:, None])

    def draw(self, number: int, frames: int, generator: torch.Generator) -> Tensor:
        """(number, D, frames) of pieces; a piece that is too short is repeated."""
        pieces, _, length = self.power.shape
        chance = torch.rand(2, number, generator=generator, device=generator.device)
        piece, begin = chance.cpu()
        piece = (piece * pieces).long()
        begin = (begin * max(1, length - frames + 1)).long()
        within = (begin[:, None] + torch.arange(frames)) % length
        return self.power[piece[:, None], :, within].transpose(1, 2)


# ---- training


class Targets:
    """The frames of a dataset's pieces, and what occurs in them.

    own   (N, T) bool: frames that are trained on and tested; the others lie in another
          piece too, or in no recording
    each  (N, T, K) bool
    """

    def __init__(self, plan: Plan) -> None:
        axis = plan.cache[plan.input.channels[0].stored].frame_axis
        self.offsets = axis[: plan.input.grid[1]]
        self.by_piece = max(1, len(self.offsets) // CROP)  # crops
        self.clips = plan.cache.clips
        self.names = tuple(plan.names)
        self.events = read_marks(plan.cache)
        self.exclusive = are_exclusive(self.events)
        order, own, frames = place(plan.table, self.offsets, self.names)
        rows = plan.table.index.to_numpy()[order]
        self.own = np.zeros((len(self.clips), len(self.offsets)), bool)
        self.each = np.zeros((*self.own.shape, len(self.names)), bool)
        piece, frame = np.nonzero(own)
        places = rows[piece], frame
        self.each[places] = frames.targets(self.events)
        self.own[places] = True

    def scored(self, clips: Positions, answers: NDArray[np.float32]) -> ScoredFrames:
        """The frames of these pieces as a run stores them; answers (n, T, K)."""
        order, own, frames = place(self.clips.iloc[clips], self.offsets, self.names)
        stored = answers[order][own].astype(STORED)
        return ScoredFrames(frames, stored.astype(np.float32), self.events)


class FrameTrainer(Trainer):
    """Training of a network of frames."""

    network: FrameModel
    captured = False  # its targets are not a single tensor
    scores_steps = False  # an epoch draws parts of recordings

    def __init__(self, data: FoldData, network: nn.Module, compute: Compute) -> None:
        super().__init__(data, network, compute)
        self.targets = Targets(data.plan)
        self.network.exclusive.fill_(self.targets.exclusive)
        folder = str(data.plan.model.given.get("background", ""))
        self.background = Background.read(folder, data.plan) if folder else None

    @classmethod
    def choose_compute(cls, network: nn.Module, data: FoldData, device: str) -> Compute:
        """Plain fp32: the network is too small to gain from other settings."""
        given = data.plan.training.threads
        return Compute(device=device, threads=1 if given == "auto" else given)

    def steps(self, batches: Sequence[Positions]) -> int:
        return self.passes(batches) * sum(map(self.crops_of, batches))

    def passes(self, batches: Sequence[Positions]) -> int:
        """The passes of an epoch through its batches."""
        return math.ceil(LEAST_STEPS / sum(map(self.crops_of, batches)))

    def crops_of(self, batch: Positions) -> int:
        """The number of steps that a batch of pieces gives."""
        return math.ceil(len(batch) * self.targets.by_piece / CROPS)

    def examples(
        self, batches: Sequence[Positions], generator: torch.Generator, bar: "Bar"
    ) -> Iterator[tuple[Tensor, Any]]:
        for _ in range(self.passes(batches)):
            for batch, (x, _) in zip(batches, self.data.batches(batches)):
                for crop, targets in self.crops(batch, x, generator):
                    if self.background:
                        events = targets[0].any(dim=2)
                        crop = self.background.add(
                            crop, events, self.data.statistics, generator
                        )
                    yield crop, targets
        bar.update(sum(map(len, batches)))

    def crops(
        self, batch: Positions, x: Tensor, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, FrameTargets]]:
        """The crops (b, D, 1, CROP) of a batch with a used frame, in random order."""
        frames = x.shape[3]
        length = min(CROP, frames)
        number = len(batch) * self.targets.by_piece
        device = x.device
        order = torch.randperm(number, generator=generator, device=device) % len(batch)
        begin = torch.randint(
            0, frames - length + 1, (number,), generator=generator, device=device
        )
        targets = torch.from_numpy(self.targets.each[batch]).to(device)
        used = torch.from_numpy(self.targets.own[batch]).to(device)
        within = torch.arange(length, device=device)
        for piece, first in zip(order.split(CROPS), begin.split(CROPS)):
            place = first[:, None] + within  # (b, CROP)
            rows = piece[:, None]
            if not used[rows, place].any():
                continue
            # advanced indices of both ends give (b, CROP, D, 1)
            crop = x[rows, :, :, place].permute(0, 2, 3, 1)
            yield crop, (targets[rows, place].float(), used[rows, place])

    def loss(self, logits: Tensor, targets: FrameTargets) -> Tensor:
        return self.network.loss(logits, *targets, SMOOTHING)

    def frame_answers(self, clips: Positions) -> NDArray[np.float32]:
        """(n, T, K) probabilities of frames."""
        network = self.network.eval()
        answers = np.zeros((len(clips), *self.targets.each.shape[1:]), np.float32)
        chunks = chunked(np.arange(len(clips)))
        with torch.inference_mode(), plain_fp32():
            batches = self.data.inputs([clips[chunk] for chunk in chunks])
            for chunk, x in zip(chunks, batches):
                answers[chunk] = network.probabilities(network(x)).cpu().numpy()
        answers[~self.targets.own[clips]] = 0
        return answers

    def predict(self, clips: Positions, *, exact: bool = False) -> NDArray[np.float32]:
        """(N, K) the highest probability of each piece's frames."""
        return self.frame_answers(clips).max(axis=1)

    # ---- what a run keeps

    def score(self, side: str, exact: bool = False) -> dict[str, float]:
        clips = getattr(self.data, side)
        scores = self.targets.scored(clips, self.frame_answers(clips)).epoch_scores()
        return {f"{side}_{name}": value for name, value in scores.items()}

    def write_answers(self, folder: Path) -> None:
        """Write the frames of the test pieces, or without any, the validation's."""
        clips = self.data.test if len(self.data.test) else self.data.val
        if len(clips):
            answers = self.frame_answers(clips)
            write_frames(folder, self.targets.scored(clips, answers))
