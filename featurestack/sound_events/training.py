"""Training of the model of frames: a step takes crops of pieces."""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.sound_events.annotations import read_dataset_events
from featurestack.sound_events.backgrounds import Background
from featurestack.sound_events.frames import are_exclusive, place
from featurestack.sound_events.models import FrameModel
from featurestack.sound_events.scored_frames import STORED, ScoredFrames, write_frames
from featurestack.train.compute import Compute
from featurestack.train.fold_data import FoldData, chunked
from featurestack.train.plan import Plan, Positions
from featurestack.train.trainer import Trainer

if TYPE_CHECKING:
    from featurestack.train.trainer import Bar

CROP = 128  # frames
CROPS = 16  # in a step
LEAST_STEPS = 10  # in an epoch: a few recordings are seen several times
# targets of crops (b, CROP, K), and whether each frame is used (b, CROP)
FrameTargets = tuple[torch.Tensor, torch.Tensor]


class Targets:
    """The frames of a dataset's pieces, and what occurs in them.

    own   (N, T) bool: frames that are trained on and tested; the others lie in another
          piece too, or in no recording
    each  (N, T, K) bool
    """

    def __init__(self, plan: Plan) -> None:
        axis = plan.cache[plan.channels[0].stored].frame_axis
        self.offsets = axis[: plan.input.grid[1]]
        self.by_piece = max(1, len(self.offsets) // CROP)  # crops
        self.clips = plan.cache.clips
        self.names = tuple(plan.names)
        self.events = read_dataset_events(plan.cache)
        self.exclusive = are_exclusive(self.events)
        placed = place(plan.table, self.offsets, self.names)
        rows = plan.table.index.to_numpy()[placed.order]
        self.own = np.zeros((len(self.clips), len(self.offsets)), bool)
        self.each = np.zeros((*self.own.shape, len(self.names)), bool)
        piece, frame = np.nonzero(placed.own)
        places = rows[piece], frame
        self.each[places] = placed.frames.targets(self.events)
        self.own[places] = True

    def scored(self, clips: Positions, answers: NDArray[np.float32]) -> ScoredFrames:
        """The frames of these pieces as a run stores them; answers (n, T, K)."""
        placed = place(self.clips.iloc[clips], self.offsets, self.names)
        stored = answers[placed.order][placed.own].astype(STORED)
        probabilities = stored.astype(np.float32)
        return ScoredFrames(placed.frames, probabilities, self.events)


class FrameTrainer(Trainer):
    """Training of a network of frames."""

    network: FrameModel
    captured = False  # its targets are no single tensor

    answered: tuple[Any, ...] = (None,)  # clips and the answers to their frames

    def __init__(self, data: FoldData, network: nn.Module, compute: Compute) -> None:
        super().__init__(data, network, compute)
        self.targets = Targets(data.plan)
        self.network.exclusive.fill_(self.targets.exclusive)

    @cached_property
    def background(self) -> Background | None:
        """The sounds that the model's option names."""
        plan = self.data.plan
        folder = str(plan.model.given.get("background", ""))
        return Background.read(folder, plan) if folder else None

    @classmethod
    def choose_compute(cls, network: nn.Module, data: FoldData, device: str) -> Compute:
        """Plain fp32: the network is too small to gain by other ways."""
        given = data.plan.training.threads
        return Compute(device, threads=1 if given == "auto" else int(given))

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
    ) -> Iterator[tuple[torch.Tensor, Any]]:
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
        self, batch: Positions, x: torch.Tensor, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, FrameTargets]]:
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

    def loss(self, logits: torch.Tensor, targets: FrameTargets) -> torch.Tensor:
        return self.network.loss(logits, *targets, self.training.smoothing)

    def observe(self, targets: Any, logits: torch.Tensor) -> torch.Tensor:
        return logits.new_empty(0)

    def train_scores(self, observed: Sequence[torch.Tensor]) -> dict[str, float]:
        """None: an epoch draws parts of recordings."""
        return {}

    def frame_answers(self, clips: Positions) -> NDArray[np.float32]:
        """(n, T, K) probabilities of frames, kept for `write_answers`."""
        network = self.network.eval()
        answers = np.zeros((len(clips), *self.targets.each.shape[1:]), np.float32)
        chunks = chunked(np.arange(len(clips)))
        with torch.inference_mode(), self.compute.exact():
            batches = self.data.source.batches([clips[chunk] for chunk in chunks])
            for chunk, x in zip(chunks, batches):
                answers[chunk] = network.probabilities(network(x)).cpu().numpy()
        answers[~self.targets.own[clips]] = 0
        self.answered = clips, answers
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
        """Write the frames of the test pieces, without them of the validation's."""
        clips = self.data.test if len(self.data.test) else self.data.val
        if not len(clips):
            return
        if self.answered[0] is not clips:
            self.frame_answers(clips)
        write_frames(folder, self.targets.scored(*self.answered))
