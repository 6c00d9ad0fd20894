"""One run, read from top to bottom: the steps of an epoch, the epochs of a fold, the folds of a run.

Shapes: B clips a batch, C channels, H x W the grid, K classes, M members of an ensemble. All random numbers
come from generators seeded by (seed, fold, epoch), so that a fold which was killed and continued ends with
the same bits. Nothing here parses options or prints results: that is train/run.py.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from commandline.files import Lock
from commandline.terminal import tell_once
from results import run_folder
from results.run_folder import RunFolder
from results.scores import epoch_scores
from train.agreement import choose_compute
from train.augment import Augmenter, views, write_preview
from train.checkpoint import CheckpointWriter, State, load, load_weights, not_finite
from train.compute import Compute, Failed, is_shortage, machine, shortage
from train.data import (
    FoldData,
    Positions,
    draw_batches,
    load_fold,
    seeded,
    steps_per_epoch,
    sum_clips,
)
from train.models.registry import Ensemble
from train.optimisation import EarlyStopping, Schedule, WeightAverage, make_optimiser, smoothed_loss
from train.options import RunOptions
from train.plan import Plan, remarks
from train.progress import Estimate, FoldProgress, open_trackers

CHECK_STEPS = 20  # between looks at the loss: each one waits for a GPU
LARGEST_LOSS = 1e3  # nats; chance among 50 classes costs 3.9
FORWARD_COST = 1 / 3  # of a training step, that scoring the same clips costs
PREVIEWED_CLIPS = 4  # in augmented.npz, of the first fold that is trained


class Diverged(Exception):
    """The loss is not a number any more, or absurd. `epoch` and `step` count from 1."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss:.3g} at step {step} of epoch {epoch}")
        self.epoch, self.step, self.loss = epoch, step, loss


class Processes:
    """The processes that train one model together: this one alone. train/extras/torchrun.py has several."""

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
                self.rows.append(run_folder.history_row(row))
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
            answer = self.network.join(logits.detach()) if isinstance(self.network, Ensemble) else logits
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
        """(A, N, K) probabilities of the averaged weights, each clip's views averaged.

        The network's answer comes first; after it, of an ensemble, each member's own. `exact`: in plain fp32
        whatever the training used, so that any machine gives them again.
        """
        network = self.average.network.eval()
        batches = np.array_split(clips, -(-len(clips) // self.options.batch))
        probabilities = []
        for x in self.data.source.batches(batches):
            each = []
            for view in views(x, self.augmenter, self.options.tta):
                view = view.contiguous(memory_format=self.compute.layout)
                with self.compute.exact() if exact else self.compute.autocast():
                    if isinstance(network, Ensemble):
                        alone = network.alone(view)
                        logits = torch.stack([network.join(alone), *alone.unbind(1)])
                    else:
                        logits = network(view).float()[None]
                each.append(logits.softmax(2))
            probabilities.append(torch.stack(each).mean(0).cpu())
        return torch.cat(probabilities, dim=1).numpy()

    def score(self, side: str, exact: bool = False) -> dict[str, float]:
        """A row's scores of the clips in `val` or `test`."""
        clips: Positions = getattr(self.data, side)
        scores = epoch_scores(self.data.targets[clips], self.predict(clips, exact=exact)[0])
        return {f"{side}_{name}": value for name, value in scores.items()}

    def weights(self) -> State:
        """What best.pt and a finished last.pt keep."""
        return {
            "fold": self.data.fold,
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
    folds: Sequence[int],
    outcome: Callable[[Plan, int], Any],
    tell_time: bool,
    device: str,
    processes: Processes = ALONE,
) -> None:
    """Read every clip once and train the folds one after the other, each from wherever it stands to its end.

    `outcome` is called with each fold when its predictions are written; trackers get what it returns.
    With `tell_time` an estimate of the whole run is printed after its first steps.
    """
    options, folds = plan.options, processes.agree(folds)
    mine = processes.share(plan.table.index.to_numpy())
    silent = not processes.first
    sums = sum_clips(plan, mine, silent=silent)
    if processes.size > 1:
        from train.extras.torchrun import exchange_sums

        sums = exchange_sums(sums, mine, processes.gather)
    splits = {fold: plan.split(fold, sums.unusable) for fold in folds}
    told = remarks(plan, splits, sums.unusable)  # or a RequestError, in every process
    for line in told if processes.first else ():
        tell_once(line)
    if plan.model.kind == "linear":
        from train.models import linear

        if processes.first:
            linear.fit_folds(plan, splits)
        return
    sides = list(splits.values())
    steps = options.epochs * sum(steps_per_epoch(len(one.train), options, processes.size) for one in sides)
    tested = sum(len(curve_epochs(options)) * len(one.test) + options.epochs * len(one.val) for one in sides)
    scoring = FORWARD_COST * options.tta * tested / options.batch  # in steps
    estimate = Estimate(steps, scoring, options, list(splits), silent=not (tell_time and processes.first))
    network: nn.Module | None = None
    for fold, split in splits.items():
        busy = f"fold {fold} of {plan.path} is being trained by another process"
        with Lock(plan.path / f"fold{fold}" / ".lock", busy=busy) if processes.first else nullcontext():
            data = load_fold(plan, fold, split, sums, torch.device(device), silent=silent)
            drawn = draw_network(plan, fold)
            if statistics := plan.fixed_statistics(drawn):
                data = data.computed_once(statistics)
            if network is None:  # placed, and perhaps compiled, once: later folds put their weights into it
                arithmetic, checked = choose_compute(plan, drawn, data, device, steps, processes)
                arithmetic.prepare()
                network = arithmetic.place(drawn)
                compiled = arithmetic.compile(network)
                if processes.first:
                    _write_begin(plan, network, arithmetic, checked)
            else:
                network.load_state_dict(drawn.state_dict())
            trainer = Trainer(network, data, options, plan.augmenter, arithmetic, processes, compiled)
            train_fold(plan, trainer, estimate, outcome)


def train_fold(plan: Plan, trainer: Trainer, estimate: Estimate, outcome: Callable[[Plan, int], Any]) -> None:
    """A fold from wherever it stands to its predictions."""
    fold, first = trainer.data.fold, trainer.processes.first
    folder = RunFolder(plan.path).fold(fold)
    if (folder / "last.pt").is_file():
        trainer.load_state_dict(load(folder / "last.pt"), folder / "last.pt")
    if first:
        run_folder.start_history(folder, trainer.rows)
    clips = plan.options.passes * len(trainer.data.train)
    trackers = open_trackers(plan, fold, trainer.epoch) if first else []
    label, epochs = f"{plan.path.name} fold {fold}", plan.options.epochs
    progress = FoldProgress(
        label, clips * epochs, clips * trainer.epoch, estimate, trackers, silent=not first
    )
    found = None
    try:
        trainer.fit(folder, progress)
        if first:
            _write_results(plan, trainer, folder)
            found = outcome(plan, fold)
    except Exception as error:
        if isinstance(error, Diverged) and trainer.compute.precision != "fp32" and first:
            diverged = {"diverged": {"fold": fold, "epoch": error.epoch}}
            run_folder.write_config(plan.path, RunFolder(plan.path).config | diverged)
        if sentence := _explanation(error, plan, trainer):
            raise Failed(sentence) from error
        raise
    finally:
        progress.close(found)


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network with the weights that this fold starts from, on the CPU."""
    options, (channels, rows, frames) = plan.options, plan.input_shape
    generator = seeded(torch.Generator(), options.seed, fold)
    network = plan.model.build(channels, len(plan.classes), (rows, frames), generator, plan.changed_strides)
    if options.weights:
        from train.models.weights import start_members

        start_members(network, plan.model, options.weights)
    return network


def _write_begin(plan: Plan, network: nn.Module, arithmetic: Compute, checked: dict[str, Any]) -> None:
    """run.json, where it is not there yet; else how the run computes from here on."""
    if (plan.path / "run.json").is_file():
        note_change(RunFolder(plan.path), arithmetic.state())
    else:
        parameters = {"parameters": sum(weight.numel() for weight in network.parameters())}
        config = plan.config() | machine(arithmetic.device) | arithmetic.state() | checked | parameters
        run_folder.write_config(plan.path, config)


def note_change(run: RunFolder, state: dict[str, Any]) -> None:
    """Keep in run.json from which epochs on a run computes otherwise than it began.

    Which of several equal devices a fold is trained on is no change.
    """
    known = run.config
    changed = {name: value for name, value in state.items() if known.get(name) != value}
    if len({str(one.get("device")).partition(":")[0] for one in (known, state)}) == 1:
        changed.pop("device", None)
    if changed:
        done = {fold: len(run.history(fold)) for fold in run.folds if fold not in run.finished}
        note = {"from": {name: known.get(name) for name in changed}, "to": changed, "epochs_done": done}
        run_folder.write_config(run.path, known | state | {"changes": [*known.get("changes", []), note]})


def _explanation(error: Exception, plan: Plan, trainer: Trainer) -> str:
    """What a failure that can be expected means to the user; empty for any other."""
    fold = trainer.data.fold
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
    if is_shortage(error):
        return shortage(trainer.network, trainer.compute, plan.batch_shape(trainer.network))
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return "torch.compile does not work here: give COMPILE=off"
    if isinstance(error, OSError):
        return f"fold {fold}: {error}; the same command continues from the last epoch saved"
    return ""


def _write_results(plan: Plan, trainer: Trainer, folder: Path) -> None:
    """augmented.npz; predictions.csv by the last weights and, with validation, by those of the best epoch."""
    data = trainer.data
    if (
        plan.augmenter.steps
        and plan.model.kind != "vector"
        and not plan.fixed_statistics(trainer.network)
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
    write_fold_predictions(plan, folder, clips_of, answers)


def scored_sides(options: RunOptions) -> tuple[str, ...]:
    """Of a split, those that predictions.csv has."""
    return ("val",) if options.skip_test else ("val", "test")


def write_fold_predictions(
    plan: Plan,
    folder: Path,
    clips_of: dict[str, Positions],
    answers: dict[tuple[str, str], NDArray[np.float32]],
) -> None:
    """`answers`: probabilities (A, N, K) by (selection, side), in the order of the side's clips.

    The first (N, K) is the model's; of an ensemble each member's own follows.
    """
    tables = []
    for selection, side in answers:
        own = plan.cache.clips.iloc[clips_of[side]][["clip_id", "group"]]
        target = np.array(plan.names, object)[plan.targets[clips_of[side]]]
        tables.append(own.assign(split=side, selection=selection, target=target))
    together, *alone = np.concatenate(list(answers.values()), axis=1)
    for member, probabilities in [*zip(plan.model.member_names, alone, strict=True), ("", together)]:
        run_folder.write_predictions(folder, pd.concat(tables), probabilities, plan.names, member)
