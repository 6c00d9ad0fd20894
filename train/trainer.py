"""One run, read from top to bottom: the steps of an epoch, the epochs of a fold, the folds of a run.

Shapes: B clips a batch, C channels, H x W the grid, K classes, M members of an ensemble. All random numbers
come from generators seeded by (seed, fold, epoch), so that a fold which was killed and continued ends with
the same bits. Nothing here parses options or prints results: that is train/run.py.
"""

import copy
import functools
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from commandline import RequestError, tell
from features_cache.storage import Lock
from features_cache.table import Split
from train import compute, runs
from train.augment import Augmenter, trained_shape, views, write_preview
from train.checkpoint import CheckpointWriter, State, load, load_weights, not_finite
from train.compute import Compute
from train.data import ClipSums, ComputedOnce, FoldData, Positions, load_fold
from train.models.texture import TextureNet, TextureStatistics
from train.options import RunOptions
from train.plan import Plan, machine
from train.progress import Estimate, FoldProgress, open_trackers
from train.runs import RunFolder
from train.scores import epoch_scores

CHECK_STEPS = 20  # between looks at the loss: each one waits for a GPU
LARGEST_LOSS = 1e3  # nats; chance among 50 classes costs 3.9
AVERAGE_RAMP = 10  # the average forgets its first steps: its share kept is at most (1 + n) / (10 + n)
FORWARD_COST = 1 / 3  # of a training step, that scoring the same clips costs
PREVIEWED_CLIPS = 4  # in augmented.npz, of the first fold that is trained


class Failed(Exception):
    """The work ran and something in it failed: exit status 1 with this sentence."""


class Diverged(Exception):
    """The loss is not a number any more, or absurd. `epoch` and `step` count from 1."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss:.3g} at step {step} of epoch {epoch}")
        self.epoch, self.step, self.loss = epoch, step, loss


class Processes:
    """The processes that train one model together: this one alone. train/distributed.py has several."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    def share(self, batch: NDArray[np.intp]) -> NDArray[np.intp]:
        """This process's part of a batch; sizes differ by one at most."""
        return np.array_split(batch, self.size)[self.rank]

    def agree(self, decision: Any) -> Any:
        """What the first process says, in all of them."""
        return decision

    def gather(self, value: Any) -> list[Any]:
        """What each process says, by rank, in all of them."""
        return [value]

    def mean(self, value: torch.Tensor) -> float:
        """The mean over the processes of a number that each has."""
        return float(value)

    def average_gradients(self, network: nn.Module, device: str) -> nn.Module:
        """The network whose backward pass averages gradients over the processes."""
        return network


ALONE = Processes()


def under_torchrun() -> bool:
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


# ---- the parts of training ------------------------------------------------------------------------------


def seeded(generator: torch.Generator, *numbers: int) -> torch.Generator:
    """The generator, seeded by all of the numbers together."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return generator.manual_seed(int(seed >> np.uint64(1)))


def steps_per_epoch(clips: int, options: RunOptions, processes: int = 1) -> int:
    """In none has a process a single clip, which batch norm could not take."""
    seen = options.passes * clips
    return max(1, min(-(-seen // options.batch), seen // (2 * processes)))


def draw_batches(data: FoldData, options: RunOptions, epoch: int, processes: int = 1) -> list[Positions]:
    """The training clips in this epoch's order, in batches that differ by one clip at most: none is tiny.

    BALANCE=sample draws as many clips with replacement, every class as often as the others.
    """
    rng = np.random.default_rng([options.seed, data.fold, epoch])
    if options.balance == "sample":
        weight = data.class_weights()[data.targets[data.train]].astype(np.float64)
        order = rng.choice(data.train, size=options.passes * len(data.train), p=weight / weight.sum())
    else:
        order = np.concatenate([rng.permutation(data.train) for _ in range(options.passes)])
    return np.array_split(order, steps_per_epoch(len(data.train), options, processes))


def smoothed(y: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Targets (B, K) of which the classes share `smoothing` evenly (Szegedy et al. 2016)."""
    return y.lerp(torch.full_like(y, 1 / y.shape[1]), smoothing)


def smoothed_loss(
    members: torch.Tensor, y: torch.Tensor, smoothing: float, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy of each member's logits (B, M, K) against targets y (B, K), smoothed.

    With class weights (K,) a clip counts as its own class weighs, or as its mixed ones: weighing each term of
    the sum instead, as torch does, would pull a certain clip towards the rare classes that smoothing adds.
    """
    logits = members.flatten(0, 1)
    targets = smoothed(y, smoothing)[:, None].expand_as(members).flatten(0, 1)
    if weight is None:
        return nn.functional.cross_entropy(logits, targets)
    each = nn.functional.cross_entropy(logits, targets, reduction="none").view(members.shape[:2])
    return ((y @ weight)[:, None] * each).mean()


def make_optimiser(network: nn.Module, options: RunOptions) -> torch.optim.Optimizer:
    """AdamW or Nesterov SGD; weight decay on matrices and kernels, not on norms and biases."""
    weights = [one for one in network.parameters() if one.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [one for one in weights if one.ndim > 1], "weight_decay": options.resolved_decay},
        {"params": [one for one in weights if one.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = weights[0].device.type in ("cpu", "cuda")  # one pass over the weights: 5 ms a step instead of 25
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=1.0, fused=fused)
    nesterov = options.momentum > 0
    return torch.optim.SGD(groups, lr=1.0, momentum=options.momentum, nesterov=nesterov, fused=fused)


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


def _onecycle(share: float) -> float:
    """PyTorch's defaults, after Smith and Topin 2018: up for three tenths, then down to almost nothing."""
    return _cosine(1 / 25, 1, share / 0.3) if share < 0.3 else _cosine(1, 1 / 250_000, (share - 0.3) / 0.7)


# Share of the training done, 0 to 1 -> share of LR. The plateau's steps down come from EarlyStopping.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "onecycle": _onecycle,
    "cosine": lambda share: _cosine(1, 0, share),
    "step": lambda share: 0.1 ** sum(share >= milestone for milestone in (0.5, 0.75)),  # as ResNet on CIFAR
    "plateau": lambda share: 1.0,
    "constant": lambda share: 1.0,
}


@dataclass(frozen=True)
class Schedule:
    """The learning rate at each step of a fold, a function of the step alone; `reductions` of a plateau."""

    name: str
    peak: float
    steps: int
    warmup_steps: int

    def rate(self, step: int, reductions: int = 0) -> float:
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(1, self.steps - 1 - self.warmup_steps)
        return self.peak * SCHEDULES[self.name](share) * 0.1**reductions


@dataclass
class EarlyStopping:
    """Follows one validation score: which epoch was best, when a plateau lowers the rate, when to stop."""

    select: str
    patience: int  # 0: never stop
    on_plateau: bool  # lower the rate in a third of the patience, of 15 epochs where none is given
    best: float = math.nan
    best_epoch: int = 0
    since: int = 0  # epochs without a better score
    lowered: int = 0

    def update(self, epoch: int, score: float) -> bool:
        """Whether this epoch is the best so far; the earlier of equals stands."""
        better = score < self.best if self.select == "val_loss" else score > self.best
        if math.isnan(self.best) or better:
            self.best, self.best_epoch, self.since = score, epoch, 0
            return True
        self.since += 1
        if self.on_plateau and self.since % max(1, (self.patience or 15) // 3) == 0:
            self.lowered += 1
        return False

    @property
    def stop(self) -> bool:
        return 0 < self.patience <= self.since

    def state_dict(self) -> State:
        return {name: getattr(self, name) for name in ("best", "best_epoch", "since", "lowered")}

    def load_state_dict(self, state: State) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class WeightAverage:
    """Moving average of a network's weights and batch statistics; the network itself where `kept` is 0."""

    def __init__(self, network: nn.Module, kept: float) -> None:
        self.trained, self.kept, self.updates = network, kept, 0
        self.network = copy.deepcopy(network) if kept else network

    @torch.no_grad()
    def update(self) -> None:
        if not self.kept:
            return
        kept = min(self.kept, (1 + self.updates) / (AVERAGE_RAMP + self.updates))
        self.updates += 1
        trained = self.trained.state_dict()
        for name, average in self.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(trained[name], 1 - kept)
            else:
                average.copy_(trained[name])


def curve_epochs(options: RunOptions) -> set[int]:
    """The epochs after which the test fold is scored: some CURVE, evenly spread, the last among them."""
    spread = {math.ceil(options.epochs * (one + 1) / options.curve) for one in range(options.curve)}
    return spread | {options.epochs}


class Progress(Protocol):
    """Is told of every step and epoch; train.progress.FoldProgress is one."""

    def step(self, clips: int) -> None: ...
    def epoch(self, row: dict[str, float]) -> None: ...


# ---- a fold ---------------------------------------------------------------------------------------------


class Trainer:
    """One fold's network and all that changes while it trains."""

    def __init__(
        self,
        network: nn.Module,
        data: FoldData,
        options: RunOptions,
        augmenter: Augmenter,
        arithmetic: Compute,
        processes: Processes = ALONE,
        compiled: nn.Module | None = None,
    ) -> None:
        """`network` stands on its device; `compiled` is the same for training steps where it is compiled."""
        self.network, self.data, self.options = network, data, options
        self.augmenter, self.compute, self.processes = augmenter, arithmetic, processes
        self.forward = processes.average_gradients(
            network if compiled is None else compiled, arithmetic.device
        )
        self.average = WeightAverage(network, options.ema)
        self.optimiser = make_optimiser(network, options)
        self.scaler = arithmetic.scaler()
        self.steps = steps_per_epoch(len(data.train), options, processes.size)
        self.schedule = Schedule(
            options.schedule,
            options.resolved_lr,
            self.steps * options.epochs,
            round(self.steps * options.warmup),
        )
        self.early_stopping = EarlyStopping(options.select, options.patience, options.schedule == "plateau")
        self.epoch = 0  # epochs done
        self.rows: list[str] = []  # their lines of history.csv
        self.finished = False

    def fit(self, folder: Path, progress: Progress) -> None:
        """Train from wherever the fold stands to its end.

        An epoch ends with best.pt, last.pt and its row, written in this order: whatever a kill leaves half
        done is done again, with the same result.
        """
        options, scored = self.options, curve_epochs(self.options)
        with CheckpointWriter(active=self.processes.first) as writer:
            while not self.finished:
                row = self.train_epoch(progress)
                self.epoch += 1
                best = False
                if self.processes.first and len(self.data.val):
                    row |= self.score("val")
                    best = self.early_stopping.update(self.epoch, row[options.select])
                self.early_stopping.load_state_dict(self.processes.agree(self.early_stopping.state_dict()))
                self.finished = self.epoch == options.epochs or self.early_stopping.stop
                if self.processes.first and not options.skip_test and (self.finished or self.epoch in scored):
                    row |= self.score("test", exact=self.finished)  # as predictions.csv will have it
                self.rows.append(runs.history_row(row))
                states = [(folder / "last.pt", self.state_dict())]
                if best:
                    states.insert(0, (folder / "best.pt", self.weights()))
                writer.write(states, folder, self.rows[-1])
                progress.epoch(row)

    def train_epoch(self, progress: Progress) -> dict[str, float]:
        """Every training clip once, or PASSES times; the first part of the epoch's row. Raises Diverged."""
        data, options, epoch = self.data, self.options, self.epoch + 1
        device = torch.device(self.compute.device)
        together = draw_batches(data, options, epoch, self.processes.size)
        batches = [self.processes.share(batch) for batch in together]
        generator = seeded(torch.Generator(device), options.seed, data.fold, epoch, self.processes.rank)
        torch.manual_seed(generator.initial_seed())  # dropout draws from torch's own generator
        targets = torch.from_numpy(data.targets).to(device)
        weight = torch.from_numpy(data.class_weights()).to(device) if options.balance == "loss" else None
        join: Any = getattr(self.network, "join", None)  # an ensemble's: its members' logits as one answer
        losses, hits = [], []
        self.forward.train()
        start = time.perf_counter()
        for index, x in enumerate(data.source.batches(batches)):  # (B, C, H, W)
            y = nn.functional.one_hot(targets[torch.from_numpy(batches[index]).to(device)], data.classes)
            x, y = self.augmenter(x, y.float(), data.channels, generator)  # y (B, K), mixed where clips are
            rate = self.schedule.rate(self.epoch * self.steps + index, self.early_stopping.lowered)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with self.compute.autocast():
                logits = self.forward(x.contiguous(memory_format=self.compute.layout)).float()
            members = logits.view(len(x), -1, data.classes)  # (B, M, K): each member has a loss of its own
            loss = smoothed_loss(members, y, options.smoothing, weight)
            self.optimiser.zero_grad()
            self.scaler.scale(loss).backward()
            if options.clip:
                self.scaler.unscale_(self.optimiser)
                nn.utils.clip_grad_norm_(self.network.parameters(), options.clip)
            self.scaler.step(self.optimiser)
            self.scaler.update()
            self.average.update()
            losses.append(loss.detach())
            answer = join(logits.detach()) if logits.ndim == 3 else logits  # (B, K)
            hits.append((answer.argmax(1) == y.argmax(1)).float().mean())
            if (index + 1) % CHECK_STEPS == 0 or index + 1 == len(batches):
                _refuse_divergence(losses, epoch)
            progress.step(len(x))
        if not_finite(self.average.network.state_dict()):  # by the last step: no loss has shown it yet
            raise Diverged(epoch, len(batches), math.nan)
        return {
            "epoch": epoch,
            "lr": rate,
            "seconds": time.perf_counter() - start,
            "train_loss": self.processes.mean(torch.stack(losses).mean()),
            "train_accuracy": self.processes.mean(torch.stack(hits).mean()),
        }

    @torch.no_grad()
    def predict(self, clips: Positions, *, exact: bool = False) -> NDArray[np.float32]:
        """(N, K) probabilities of the averaged weights, each clip's views averaged.

        `exact`: in plain fp32 whatever the training used, so that any machine gives them again.
        """
        network = self.average.network.eval()
        batches = np.array_split(clips, -(-len(clips) // self.options.batch))
        probabilities = []
        for x in self.data.source.batches(batches):
            each = []
            for view in views(x, self.augmenter, self.options.tta):
                with self.compute.exact() if exact else self.compute.autocast():
                    logits = network(view.contiguous(memory_format=self.compute.layout)).float()
                each.append(logits.softmax(1))
            probabilities.append(torch.stack(each).mean(0).cpu())
        return torch.cat(probabilities).numpy()

    def score(self, side: str, exact: bool = False) -> dict[str, float]:
        """A row's scores of the clips in `val` or `test`."""
        clips: Positions = getattr(self.data, side)
        scores = epoch_scores(self.data.targets[clips], self.predict(clips, exact=exact))
        return {f"{side}_{name}": value for name, value in scores.items()}

    def weights(self) -> State:
        """What best.pt and a finished last.pt keep."""
        return {
            "epoch": self.epoch,
            "rows": self.rows,
            "network": self.average.network.state_dict(),
            "statistics": [one.state() for one in self.data.statistics],
        }

    def state_dict(self) -> State:
        """What last.pt keeps: the weights, and all else that training needs while it is not finished."""
        if self.finished:
            return {**self.weights(), "finished": True}
        progress: State = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "watch": self.early_stopping.state_dict(),
            "average_updates": self.average.updates,
        }
        if self.options.ema:
            progress["plain"] = self.network.state_dict()
        return {**self.weights(), "finished": False, "progress": progress}

    def load_state_dict(self, state: State, origin: Path) -> None:
        """Go on from last.pt; RequestError where it is of another model."""
        load_weights(self.average.network, state["network"], origin)
        self.epoch, self.rows = state["epoch"], state["rows"]
        self.finished = "progress" not in state
        if not self.finished:
            progress = state["progress"]
            if self.options.ema:
                load_weights(self.network, progress["plain"], origin)
            self.optimiser.load_state_dict(progress["optimiser"])
            self.scaler.load_state_dict(progress["scaler"])
            self.early_stopping.load_state_dict(progress["watch"])
            self.average.updates = progress["average_updates"]


def _refuse_divergence(losses: Sequence[torch.Tensor], epoch: int) -> None:
    recent = torch.stack(list(losses[-CHECK_STEPS:])).tolist()
    for back, loss in enumerate(recent):
        if not math.isfinite(loss) or loss > LARGEST_LOSS:
            raise Diverged(epoch, len(losses) - len(recent) + back + 1, loss)


# ---- a run ----------------------------------------------------------------------------------------------


def train_run(
    plan: Plan,
    splits: dict[int, Split],
    sums: ClipSums,
    device: str,
    processes: Processes = ALONE,
    outcome: Callable[[int], Any] = lambda fold: None,
) -> None:
    """Train the folds of `splits` one after the other, each from wherever it stands to its predictions.

    `outcome` is called with each fold when its predictions are written; trackers get what it returns.
    """
    options, folder = plan.options, RunFolder(plan.path)
    sides = list(splits.values())
    each = (steps_per_epoch(len(split.train), options, processes.size) for split in sides)
    steps = options.epochs * sum(each)
    tested = sum(len(curve_epochs(options)) * len(one.test) + options.epochs * len(one.val) for one in sides)
    scoring = FORWARD_COST * options.tta * tested / options.batch  # in steps
    estimate = Estimate(steps, scoring, options, list(splits))
    network: nn.Module | None = None
    for fold in splits:
        with _lock(plan, fold, processes):
            data = load_fold(plan, fold, splits[fold], sums, torch.device(device))
            drawn = draw_network(plan, fold)
            if statistics := fixed_statistics(plan, drawn):
                data = data.computed_once(statistics)
            if network is None:  # placed, and perhaps compiled, once: later folds put their weights into it
                arithmetic, checked = _choose_compute(plan, drawn, data, device, estimate.steps, processes)
                arithmetic.prepare()
                network = arithmetic.place(drawn)
                compiled = arithmetic.compile(network)
                if processes.first and not (plan.path / "run.json").is_file():
                    checked["parameters"] = sum(weight.numel() for weight in network.parameters())
                    config = plan.config() | machine(device) | arithmetic.state() | checked
                    runs.write_config(plan.path, config)
                elif processes.first:
                    note_change(folder, arithmetic.state())
            else:
                network.load_state_dict(drawn.state_dict())
            trainer = Trainer(network, data, options, plan.augmenter, arithmetic, processes, compiled)
            file = folder.fold(fold) / "last.pt"
            if file.is_file():
                trainer.load_state_dict(load(file), file)
            if processes.first:
                runs.start_history(folder.fold(fold), trainer.rows)
            clips = options.passes * len(data.train)
            progress = FoldProgress(
                f"{plan.path.name} fold {fold}",
                clips * options.epochs,
                clips * trainer.epoch,
                estimate,
                open_trackers(plan, fold, trainer.epoch) if processes.first else [],
            )
            found = None
            try:
                trainer.fit(folder.fold(fold), progress)
                if processes.first:
                    _write_results(plan, trainer, folder.fold(fold))
                    found = outcome(fold)
            except Exception as error:
                if isinstance(error, Diverged) and arithmetic.precision != "fp32" and processes.first:
                    diverged = {"diverged": {"fold": fold, "epoch": error.epoch}}
                    runs.write_config(plan.path, RunFolder(plan.path).config | diverged)
                if sentence := _explanation(error, plan, fold, trainer):
                    raise Failed(sentence) from error
                raise
            finally:
                progress.close(found)


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network with the weights that this fold starts from, on the CPU."""
    options = plan.options
    generator = seeded(torch.Generator(), options.seed, fold)
    shape = trained_shape(plan.augmenter, plan.grid)
    network = plan.model.build(plan.inputs, len(plan.classes), shape, generator, plan.changed_strides)
    if options.weights:
        from train.models.weights import start_members

        start_members(network, plan.model, options.weights)
    return network


def _choose_compute(
    plan: Plan, network: nn.Module, data: FoldData, device: str, steps: int, processes: Processes
) -> tuple[Compute, dict[str, Any]]:
    """How to compute, the same in all processes: as the run began, or measured; and how it was checked.

    Anything but plain fp32 must agree with it on real clips; where it does not in one process, all use what
    that one found sound.
    """
    proposed = None
    if (plan.path / "run.json").is_file():  # goes on as it began, with the same bits
        former = Compute.restore(RunFolder(plan.path).config)
        if torch.device(former.device).type == torch.device(device).type:
            proposed = former
        else:
            tell(f"this run began on {former.device} and continues on {device}: the last digits will differ")
    if proposed is None:
        try:
            proposed = compute.choose(plan.options, device, network, batch_shape(plan, network), steps)
        except (RuntimeError, MemoryError) as error:
            if not compute.is_shortage(error):
                raise
            sentence = _shortage(network.to(device), Compute(device), batch_shape(plan, network))
            raise Failed(sentence) from error
    proposed = processes.agree(proposed).on(device)
    if proposed == Compute(device):
        return proposed, {}
    from train import agreement

    batches = functools.partial(sample_batches, plan, data, processes)
    found = processes.gather(agreement.trusted(proposed, network, batches))
    other = [one for one in found if one[0].on(device) != proposed]
    arithmetic, checked = (other or found)[0]
    return arithmetic.on(device), checked


def sample_batches(
    plan: Plan, data: FoldData, processes: Processes
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Training clips as the network gets them: the largest and the smallest batch of an epoch."""
    options, found = plan.options, []
    steps = steps_per_epoch(len(data.train), options, processes.size)
    clips = options.passes * len(data.train) / steps / processes.size
    generator: torch.Generator | None = None
    for size in sorted({math.ceil(clips), max(1, math.floor(clips))}, reverse=True):
        chosen = data.train[np.linspace(0, len(data.train) - 1, size).astype(int)]
        (x,) = data.source.batches([chosen])
        generator = generator or seeded(torch.Generator(x.device), options.seed, data.fold)
        y = nn.functional.one_hot(torch.from_numpy(data.targets[chosen]).to(x.device), data.classes)
        x, y = plan.augmenter(x, y.float(), data.channels, generator)
        found.append((x, smoothed(y, options.smoothing)))
    return found


def note_change(run: RunFolder, state: dict[str, Any]) -> None:
    """Keep in run.json from which epochs on a run computes otherwise than it began."""
    known = run.config
    changed = {name: value for name, value in state.items() if known.get(name) != value}
    if changed:
        done = {fold: len(run.history(fold)) for fold in run.folds if fold not in run.finished}
        note = {"from": {name: known.get(name) for name in changed}, "to": changed, "epochs_done": done}
        runs.write_config(run.path, known | state | {"changes": [*known.get("changes", []), note]})


def fixed_statistics(plan: Plan, network: nn.Module) -> TextureStatistics | None:
    """What the network computes first, where that is the same for every view of a clip: once is enough."""
    fixed = plan.augmenter.only_shifts and isinstance(network, TextureNet)
    return network.texture if fixed else None  # type: ignore[return-value]


def batch_shape(plan: Plan, network: nn.Module) -> tuple[int, ...]:
    """(B, C, H, W) of what the network is trained on."""
    if statistics := fixed_statistics(plan, network):
        return plan.options.batch, plan.inputs * statistics.size, 1, 1
    return plan.options.batch, plan.inputs, *trained_shape(plan.augmenter, plan.grid)


@contextmanager
def _lock(plan: Plan, fold: int, processes: Processes) -> Iterator[None]:
    """Hold the fold while it trains; RequestError where another run trains it."""
    lock = Lock(plan.path / f"fold{fold}" / ".lock")
    try:
        if processes.first and not lock.take():
            raise RequestError(f"fold {fold} of {plan.path} is being trained by another process")
        yield
    finally:
        lock.release()


def _explanation(error: Exception, plan: Plan, fold: int, trainer: Trainer) -> str:
    """What a failure that can be expected means to the user; empty for any other."""
    if isinstance(error, Diverged):
        kept = "no epoch was finished"
        if error.epoch > 1:
            kept = f"the weights of epoch {error.epoch - 1} stay in fold{fold}/last.pt"
        advice = f"ry a lower LR than {plan.options.resolved_lr:g}, or CLIP=1"
        if trainer.compute.precision == "fp32":
            return f"fold {fold}: {error}; {kept}. T{advice}"
        return (
            f"fold {fold}: {error}; {kept}. Repeat the command with PRECISION=fp32 instead of "
            f"{trainer.compute.precision}, it continues from there; if that happens again, t{advice}"
        )
    if compute.is_shortage(error):
        return _shortage(trainer.network, trainer.compute, batch_shape(plan, trainer.network))
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return "torch.compile does not work here: give COMPILE=off"
    if isinstance(error, OSError):
        return f"fold {fold}: {error}; the same command continues from the last epoch saved"
    return ""


def _shortage(network: nn.Module, arithmetic: Compute, shape: tuple[int, ...]) -> str:
    batch = compute.fitting_batch(network, arithmetic, shape)
    fits = f"BATCH={batch} would fit" if batch else "not even one clip fits: give a smaller GRID or MODEL"
    return f"out of memory on {arithmetic.device} with BATCH={shape[0]}; {fits}"


def _write_results(plan: Plan, trainer: Trainer, folder: Path) -> None:
    """augmented.npz; predictions.csv by the last weights and, with validation, by those of the best epoch."""
    data = trainer.data
    if (
        plan.augmenter.steps
        and plan.model.kind != "vector"
        and not isinstance(data.source, ComputedOnce)
        and not any(plan.path.glob("fold*/augmented.npz"))
    ):
        clips = data.train[np.linspace(0, len(data.train) - 1, PREVIEWED_CLIPS).astype(int)]
        (x,) = data.source.batches([clips])
        write_preview(
            folder / "augmented.npz",
            x,
            plan.augmenter,
            data.channels,
            clip_ids=plan.cache.clips["clip_id"].iloc[clips].tolist(),
            names=[str(channel) for channel in plan.channels],
            generator=seeded(torch.Generator(x.device), plan.options.seed, data.fold),
        )
    clips_of = {side: getattr(data, side) for side in scored_sides(plan.options)}
    clips_of = {side: clips for side, clips in clips_of.items() if len(clips)}
    answers = {("last", side): trainer.predict(clips, exact=True) for side, clips in clips_of.items()}
    if len(data.val):
        load_weights(trainer.average.network, load(folder / "best.pt")["network"], folder / "best.pt")
        answers |= {("best", side): trainer.predict(clips, exact=True) for side, clips in clips_of.items()}
    write_test_predictions(plan, folder, clips_of, answers)


def scored_sides(options: RunOptions) -> tuple[str, ...]:
    """Of a split, those that predictions.csv has."""
    return ("val",) if options.skip_test else ("val", "test")


def write_test_predictions(
    plan: Plan,
    folder: Path,
    clips_of: dict[str, Positions],
    answers: dict[tuple[str, str], NDArray[np.float32]],
) -> None:
    """`answers`: probabilities (N, K) by (selection, side), in the order of the side's clips."""
    tables = []
    for selection, side in answers:
        own = plan.cache.clips.iloc[clips_of[side]][["clip_id", "group"]]
        target = np.array(plan.names, object)[plan.targets[clips_of[side]]]
        tables.append(own.assign(split=side, selection=selection, target=target))
    runs.write_predictions(folder, pd.concat(tables), np.concatenate(list(answers.values())), plan.names)
