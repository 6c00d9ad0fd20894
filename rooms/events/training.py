"""Training of models of frames: a step takes crops of pieces."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.commandline.errors import RequestError
from featurestack.rooms.events.background import Background
from featurestack.rooms.events.events_file import read_dataset_events
from featurestack.rooms.events.frames import are_exclusive
from featurestack.rooms.events.models import FrameModel, LinearFrames, with_context
from featurestack.rooms.events.task import place
from featurestack.rooms.events.tested import STORED, ScoredFrames, write_frames
from featurestack.train import run_json
from featurestack.train.compute import Compute
from featurestack.train.fold_data import FoldData, chunked
from featurestack.train.plan import Plan, Positions
from featurestack.train.trainer import Trainer

if TYPE_CHECKING:
    from featurestack.train.trainer import Bar

CROP = 128  # frames
CROPS = 16  # in a step
LEAST_STEPS = 10  # in an epoch: a few recordings are seen several times
# Frames that a linear model is fitted on: neighbours are alike, and time and memory
# grow with their number.
MOST_FITTED = 10_000
# targets of crops (b, CROP, K), and whether each frame is used (b, CROP)
FrameTargets = tuple[torch.Tensor, torch.Tensor]


class Targets:
    """The frames of a dataset's pieces, and what occurs in them.

    own   (N, T) bool: frames that are trained on and tested; the others lie in another
          piece too, in no recording, or in an event of IGNORE
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
        ignored = replace(placed.frames, classes=("",))
        self.own[places] = ~ignored.targets(self.events)[:, 0]

    def scored(self, clips: Positions, answers: NDArray[np.float32]) -> ScoredFrames:
        """The frames of these pieces as a run stores them; answers (n, T, K)."""
        placed = place(self.clips.iloc[clips], self.offsets, self.names)
        stored = answers[placed.order][placed.own].astype(STORED)
        probabilities = stored.astype(np.float32)
        return ScoredFrames(placed.frames, probabilities, self.events)


class FrameTrainer(Trainer):
    """Training of a network of frames; `LinearFrames` is solved in one epoch."""

    network: FrameModel

    def __init__(
        self,
        data: FoldData,
        network: nn.Module,
        compute: Compute,
        forward: nn.Module | None = None,
    ) -> None:
        super().__init__(data, network, compute, forward)
        self.targets = Targets(data.plan)
        self.network.exclusive.fill_(self.targets.exclusive)
        if self.targets.own[data.train].sum() < CROP:
            raise self.ignored()
        plan, place = data.plan, data.plan.training.background_audio
        self.background: Background | None = None
        if place:
            self.background = Background(place, plan.cache, plan.channels)
        self.answered: tuple[Any, ...] = (None,)

    @classmethod
    def prepare(
        cls, network: nn.Module, data: FoldData, device: str
    ) -> tuple[Compute, nn.Module]:
        """Plain fp32: the network is too small to gain by other ways."""
        given = data.plan.training.threads
        threads = 1 if given == "auto" else int(given)
        compute = Compute(device, threads=threads)
        parameters = sum(weight.numel() for weight in network.parameters())
        run_json.record(data.plan, compute, {}, parameters)
        compute.prepare()
        return compute, compute.place(network)

    def train_epoch(self, bar: "Bar") -> dict[str, float]:
        if isinstance(self.network, LinearFrames):
            return self.solve(bar)
        return super().train_epoch(bar)

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
        drawn = 0
        for _ in range(self.passes(batches)):
            for batch, (x, _) in zip(batches, self.data.batches(batches)):
                for crop, targets in self.crops(batch, x, generator):
                    drawn += 1
                    if self.background:
                        events = targets[0].any(dim=2)
                        crop = self.background.add(
                            crop, events, self.data.statistics, generator
                        )
                    yield crop, targets
        if not drawn:
            raise self.ignored()
        bar.update(sum(map(len, batches)))

    def ignored(self) -> RequestError:
        """The error if there is no frame to train on."""
        return RequestError(
            f"fold {self.data.fold}: nearly every frame of its training recordings lies"
            " in an event of IGNORE: give more recordings, or ignore fewer labels"
        )

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

    def solve(self, bar: "Bar") -> dict[str, float]:
        """The exact solution, from frames spread evenly over the training pieces."""
        start = time.perf_counter()
        train = self.data.train
        every = max(1, math.ceil(self.targets.own[train].sum() / MOST_FITTED))
        rows, targets = [], []
        chunks = chunked(train)
        seen = 0
        for batch, x in zip(chunks, self.data.source.batches(chunks)):
            own = self.targets.own[batch]
            place = np.flatnonzero(own)
            chosen = place[(seen + np.arange(len(place))) % every == 0]
            seen += len(place)
            frames = with_context(x.squeeze(2).cpu()).flatten(0, 1)
            rows.append(frames[torch.from_numpy(chosen)].numpy())
            targets.append(self.targets.each[batch].reshape(own.size, -1)[chosen])
        assert isinstance(self.network, LinearFrames)
        self.network.fit(np.concatenate(rows), np.concatenate(targets))
        self.refuse_broken_weights()
        bar.update(len(train))
        return {"epoch": 1, "seconds": time.perf_counter() - start}

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
        """(1, N, K) the highest probability of each piece's frames."""
        return self.frame_answers(clips).max(axis=1)[None]

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
