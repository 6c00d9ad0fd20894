"""The training loop of one fold, from top to bottom: optimiser, average, one epoch, scoring, the course.

Nothing here knows of folders' names, feature names or the command line. All chance comes from generators
seeded by (seed, fold, epoch), so that a course which was killed and continued ends with the same bits.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train import runs
from train.augment import Augmenter
from train.checkpoint import Keeper, State, load, put_weights
from train.compute import Compute
from train.data import Positions, Source
from train.distributed import World
from train.follow import Follower
from train.options import RunOptions, with_optimiser_defaults
from train.schedule import Schedule, Watch
from train.scores import epoch_scores
from train.views import views

CHECK_STEPS = 20  # between looks at the loss: each one waits for a GPU
DIVERGED = 1e3  # nats; chance among 50 classes costs 3.9
AVERAGE_RAMP = 10  # the average forgets its first steps: its share kept is at most (1 + n) / (10 + n)


class Diverged(Exception):
    """The loss is no number any more, or absurd. `epoch` and `step` count from 1."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss:.3g} at step {step} of epoch {epoch}")
        self.epoch = epoch


@dataclass(frozen=True)
class Lesson:
    """What one fold trains on and is asked; positions are rows of the clip table."""

    fold: int
    source: Source
    targets: NDArray[np.int64]  # (N,) class numbers by position
    classes: int
    axes: tuple[str, ...]  # of each channel's rows, for the augmentations
    train: Positions
    val: Positions
    test: Positions

    def class_weights(self) -> NDArray[np.float32]:
        """(classes,) inverse to how often a class is trained on, 1 on average over the clips."""
        counts = np.bincount(self.targets[self.train], minlength=self.classes)
        even = len(self.train) / np.count_nonzero(counts)
        return (even / np.maximum(counts, 1)).astype(np.float32)


class Watcher(Protocol):
    """Hears of every step; train.follow.Follower is one."""

    def step(self, clips: int) -> None: ...


class Average:
    """Moving average of a network's weights and batch statistics; the network itself where KEPT is 0."""

    def __init__(self, network: nn.Module, kept: float) -> None:
        self.plain, self.kept, self.updates = network, kept, 0
        self.network = copy.deepcopy(network) if kept else network

    @torch.no_grad()
    def update(self) -> None:
        if not self.kept:
            return
        kept = min(self.kept, (1 + self.updates) / (AVERAGE_RAMP + self.updates))
        self.updates += 1
        theirs = self.plain.state_dict()
        for name, mine in self.network.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1 - kept)
            else:
                mine.copy_(theirs[name])


class Course:
    """One fold's training: what is carried from step to step, and how it is saved and taken up again."""

    def __init__(
        self,
        lesson: Lesson,
        network: nn.Module,
        forward: nn.Module,
        options: RunOptions,
        arithmetic: Compute,
        augmenter: Augmenter,
        world: World,
    ) -> None:
        self.lesson, self.options, self.arithmetic, self.augmenter = lesson, options, arithmetic, augmenter
        self.world = world
        self.network = network
        self.forward = world.join(forward, arithmetic.device)
        self.average = Average(network, options.ema)
        self.optimiser = make_optimiser(network, options)
        self.scaler = arithmetic.scaler()
        steps = epoch_steps(len(lesson.train), options)
        peak = with_optimiser_defaults(options).lr
        assert peak is not None
        self.schedule = Schedule(
            options.schedule, peak, steps * options.epochs, round(steps * options.warmup)
        )
        self.watch = Watch(options.select, options.patience, lowers=options.schedule == "plateau")
        self.steps = steps  # of an epoch
        self.epoch = 0  # epochs done
        self.rows: list[str] = []  # their lines of history.csv

    def state(self) -> State:
        """What last.pt keeps while the fold is unfinished, as copies on the CPU."""
        progress: State = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "watch": self.watch.state(),
            "average_updates": self.average.updates,
        }
        if self.options.ema:
            progress["plain"] = self.network.state_dict()
        return {**self.weights(), "progress": progress}

    def weights(self) -> State:
        """What a finished last.pt and best.pt keep."""
        return {"epoch": self.epoch, "rows": self.rows, "network": self.average.network.state_dict()}

    def restore(self, state: State, origin: Path) -> None:
        put_weights(self.average.network, state["network"], origin)
        self.epoch, self.rows = state["epoch"], state["rows"]
        if progress := state.get("progress"):
            if self.options.ema:
                put_weights(self.network, progress["plain"], origin)
            self.optimiser.load_state_dict(progress["optimiser"])
            self.scaler.load_state_dict(progress["scaler"])
            self.watch.restore(progress["watch"])
            self.average.updates = progress["average_updates"]


def make_optimiser(network: nn.Module, options: RunOptions) -> torch.optim.Optimizer:
    """AdamW or Nesterov SGD; weight decay on matrices and kernels, not on norms and biases."""
    weights = [one for one in network.parameters() if one.requires_grad]
    decay = with_optimiser_defaults(options).decay
    groups: list[dict[str, Any]] = [
        {"params": [one for one in weights if one.ndim > 1], "weight_decay": decay},
        {"params": [one for one in weights if one.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = weights[0].device.type in ("cpu", "cuda")  # one pass over the weights: 5 ms a step instead of 25
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=1.0, fused=fused)
    nesterov = options.momentum > 0
    return torch.optim.SGD(groups, lr=1.0, momentum=options.momentum, nesterov=nesterov, fused=fused)


def batches(lesson: Lesson, options: RunOptions, epoch: int) -> list[Positions]:
    """The training clips in this epoch's order, in batches that differ by one clip at most: none is tiny.

    BALANCE=sample draws as many clips with replacement, every class as often as the others.
    """
    chance = np.random.default_rng([options.seed, lesson.fold, epoch])
    clips = lesson.train
    if options.balance == "sample":
        weight = lesson.class_weights()[lesson.targets[clips]].astype(np.float64)
        order = chance.choice(clips, size=options.passes * len(clips), p=weight / weight.sum())
    else:
        order = np.concatenate([chance.permutation(clips) for _ in range(options.passes)])
    return np.array_split(order, epoch_steps(len(clips), options))


def epoch_steps(clips: int, options: RunOptions) -> int:
    """Batches of an epoch; none has a single clip, which batch norm could not take."""
    seen = options.passes * clips
    return max(1, min(-(-seen // options.batch), seen // 2))


def train_epoch(course: Course, follower: Watcher) -> dict[str, float]:
    """One pass over the training clips; its part of the epoch's row. Raises Diverged."""
    lesson, options, arithmetic = course.lesson, course.options, course.arithmetic
    device = torch.device(arithmetic.device)
    epoch = course.epoch + 1
    mine = [course.world.share(batch) for batch in batches(lesson, options, epoch)]
    generator = seeded(torch.Generator(device), options.seed, lesson.fold, epoch, course.world.rank)
    torch.manual_seed(generator.initial_seed())  # dropout draws from torch's own generator and takes no other
    targets = torch.from_numpy(lesson.targets).to(device)
    weight = torch.from_numpy(lesson.class_weights()).to(device) if options.balance == "loss" else None
    losses: list[torch.Tensor] = []
    hits: list[torch.Tensor] = []
    course.forward.train()
    join: Any = getattr(course.network, "join", None)  # of an ensemble's answers
    start = time.perf_counter()
    for index, x in enumerate(lesson.source.batches(mine)):  # x (B, C, H, W)
        positions = torch.from_numpy(mine[index]).to(device)
        y = nn.functional.one_hot(targets[positions], lesson.classes).float()  # (B, K)
        x, y = course.augmenter(x, y, lesson.axes, generator)
        smooth = y.lerp(torch.full_like(y, 1 / lesson.classes), options.smoothing)
        rate = course.schedule.rate(course.epoch * course.steps + index, course.watch.lowered)
        for group in course.optimiser.param_groups:
            group["lr"] = rate
        with arithmetic.autocast():
            logits = course.forward(x.contiguous(memory_format=arithmetic.layout)).float()
        members = logits.view(len(x), -1, lesson.classes)  # (B, M, K): an ensemble's members each answer
        each = smooth[:, None].expand_as(members)
        loss = nn.functional.cross_entropy(members.flatten(0, 1), each.flatten(0, 1), weight)
        course.optimiser.zero_grad()
        course.scaler.scale(loss).backward()
        if options.clip:
            course.scaler.unscale_(course.optimiser)
            nn.utils.clip_grad_norm_(course.network.parameters(), options.clip)
        course.scaler.step(course.optimiser)
        course.scaler.update()
        course.average.update()
        losses.append(loss.detach())
        joined = join(logits.detach()) if logits.ndim == 3 else logits
        hits.append((joined.argmax(1) == y.argmax(1)).float().mean())
        if (index + 1) % CHECK_STEPS == 0 or index + 1 == len(mine):
            _refuse_divergence(losses, epoch)
        follower.step(len(x))
    return {
        "epoch": epoch,
        "lr": rate,
        "seconds": time.perf_counter() - start,
        "train_loss": course.world.mean(torch.stack(losses).mean()),
        "train_accuracy": course.world.mean(torch.stack(hits).mean()),
    }


def seeded(generator: torch.Generator, *numbers: int) -> torch.Generator:
    """The generator, seeded by all of the numbers together."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return generator.manual_seed(int(seed >> np.uint64(1)))


def _refuse_divergence(losses: Sequence[torch.Tensor], epoch: int) -> None:
    recent = torch.stack(list(losses[-CHECK_STEPS:])).tolist()
    for back, loss in enumerate(recent):
        if not math.isfinite(loss) or loss > DIVERGED:
            raise Diverged(epoch, len(losses) - len(recent) + back + 1, loss)


@torch.no_grad()
def predict(course: Course, positions: Positions, *, exact: bool = False) -> NDArray[np.float32]:
    """(N, K) probabilities of the averaged weights, each clip's views averaged.

    `exact`: in plain fp32 whatever the training used, so that any machine gives them again.
    """
    lesson, options, arithmetic = course.lesson, course.options, course.arithmetic
    network = course.average.network.eval()
    parts = []
    wanted = np.array_split(positions, -(-len(positions) // options.batch))
    for x in lesson.source.batches(wanted):
        each = []
        for view in views(x, course.augmenter, options.tta):
            with arithmetic.exact() if exact else arithmetic.autocast():
                logits = network(view.contiguous(memory_format=arithmetic.layout)).float()
            each.append(logits.softmax(1))
        parts.append(torch.stack(each).mean(0).cpu())
    return torch.cat(parts).numpy()


def curve_epochs(options: RunOptions) -> set[int]:
    """The epochs after which the test fold is scored: some CURVE, evenly spread, the last among them."""
    spread = {math.ceil(options.epochs * (one + 1) / options.curve) for one in range(options.curve)}
    return spread | {options.epochs}


def train(course: Course, folder: Path, statistics: State, follower: Follower) -> None:
    """Train from where the course stands to its end. `statistics` are kept in every checkpoint.

    An epoch ends with best.pt, last.pt and its row, written in this order: whatever a kill leaves half done
    is done again, with the same result.
    """
    options, scored = course.options, curve_epochs(course.options)
    with Keeper(active=course.world.first) as keeper:
        while course.epoch < options.epochs and not course.watch.exhausted:
            row = train_epoch(course, follower)
            course.epoch += 1
            best = course.world.first and _look_at_validation(course, row)
            course.watch.restore(course.world.agree(course.watch.state()))
            ends = course.epoch == options.epochs or course.watch.exhausted
            if course.world.first and not options.blind and (ends or course.epoch in scored):
                row |= _scores(course, "test", exact=ends)  # as predictions.csv will have it
            course.rows.append(runs.history_row(row))
            best_files = [(folder / "best.pt", course.weights() | statistics)] if best else []
            last = (course.weights() if ends else course.state()) | statistics
            keeper.keep([*best_files, (folder / "last.pt", last)], folder, course.rows[-1])
            follower.epoch(row)


def resume(course: Course, folder: Path) -> None:
    """Take up what last.pt holds, where there is one, and make history.csv hold just its rows."""
    file = folder / "last.pt"
    if file.is_file():
        course.restore(load(file), file)
    if course.world.first:
        runs.start_history(folder, course.rows)


def _look_at_validation(course: Course, row: dict[str, float]) -> bool:
    """Add the validation scores to the row; whether they are the best so far."""
    if not len(course.lesson.val):
        return False
    row |= _scores(course, "val")
    return course.watch.see(course.epoch, row[course.options.select])


def _scores(course: Course, part: str, exact: bool = False) -> dict[str, float]:
    positions: Positions = getattr(course.lesson, part)
    values = epoch_scores(course.lesson.targets[positions], predict(course, positions, exact=exact))
    return {f"{part}_{name}": value for name, value in values.items()}
