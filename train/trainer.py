"""One run, read from top to bottom: the steps of an epoch, the epochs of a fold, the folds of a run.

Shapes: B clips a batch, C channels, H x W the grid, K classes, M members of an ensemble. All random numbers
come from generators seeded by (seed, fold, epoch), so that a fold which was killed and continued ends with
the same bits. Nothing here parses options: that is train/run.py.
"""

import io
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from commandline.files import Lock, not_written, replace_file
from commandline.terminal import progress, tell, tell_once
from features_cache.splits import Split
from results import run_folder
from results.run_folder import RunFolder
from results.scores import epoch_scores
from train import Failed, agreement
from train.augment import preview, views
from train.checkpoint import CheckpointWriter, State, load, load_weights, not_finite, save
from train.compute import Compute, choose, is_shortage, machine, shortage, threads_of
from train.data import (
    ClipSums,
    FoldData,
    InputReader,
    chunked,
    draw_batches,
    load_fold,
    seeded,
    steps_per_epoch,
    sum_clips,
)
from train.models.ensemble import Ensemble
from train.optimisation import EarlyStopping, Schedule, WeightAverage, make_optimiser, smoothed, smoothed_loss
from train.options import RunOptions
from train.outcome import fold_lines
from train.plan import Plan, Positions, remarks

if TYPE_CHECKING:
    from train.trackers import Tracker

CHECK_STEPS = 20  # between looks at the loss: each one waits for a GPU
LARGEST_LOSS = 1e3  # nats; chance among 50 classes costs 3.9
PREVIEWED_CLIPS = 4  # in augmented.npz, of the first fold that is trained
VERDICTS = ".agreement.json"  # below RUNS: which ways to compute agree with plain fp32 here


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

    def exchange(self, sums: ClipSums, positions: Positions) -> ClipSums:
        """What each process has summed of its own clips, in all of them."""
        return sums


ALONE = Processes()


def curve_epochs(options: RunOptions) -> set[int]:
    """The epochs after which the test fold is scored: some CURVE, evenly spread, the last among them."""
    spread = {math.ceil(options.epochs * (one + 1) / options.curve) for one in range(options.curve)}
    return spread | {options.epochs}


@dataclass(frozen=True)
class Progress:
    """What is seen of a fold while it trains: the bar of the whole run, which says what remains; trackers."""

    bar: Any
    trackers: "Sequence[Tracker]" = ()

    def step(self, clips: int) -> None:
        self.bar.update(clips)

    def epoch(self, row: Mapping[str, float]) -> None:
        """`row` is that of history.csv, without what is empty there."""
        names = ("epoch", "train_loss", "val_loss", "test_accuracy")
        self.bar.set_postfix({name: row[name] for name in names if name in row}, refresh=False)
        for tracker in self.trackers:
            tracker.epoch(int(row["epoch"]), row)


# ---- a fold ---------------------------------------------------------------------------------------------


class Trainer:
    """One fold's network and all that changes while it trains."""

    def __init__(
        self,
        plan: Plan,
        data: FoldData,
        network: nn.Module,
        compute: Compute,
        forward: nn.Module | None = None,
        processes: Processes = ALONE,
    ) -> None:
        """`network` stands on its device; `forward` is what training steps call, if it is compiled."""
        options = plan.options
        self.network, self.data, self.options = network, data, options
        self.augmenter, self.compute, self.processes = plan.augmenter, compute, processes
        called = network if forward is None else forward  # a compiled module has no truth value
        self.forward = processes.average_gradients(called, compute.device)
        self.average = WeightAverage(network, options.ema)
        self.optimiser = make_optimiser(network, options)
        self.scaler = compute.scaler()
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
                unchecked = index // CHECK_STEPS * CHECK_STEPS
                for number, value in enumerate(torch.stack(losses[unchecked:]).tolist(), unchecked + 1):
                    if not math.isfinite(value) or value > LARGEST_LOSS:
                        raise Diverged(epoch, number, value)
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
            for view in views(x, self.augmenter, self.options.tta, self.data.channels.timed):
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


# ---- a run ----------------------------------------------------------------------------------------------


def train_run(plan: Plan, folds: Sequence[int], device: str, processes: Processes = ALONE) -> None:
    """Read every clip once, then train one fold after the other from wherever it stands to its end."""
    options, folds, first = plan.options, processes.agree(folds), processes.first
    drawn = None if plan.model.kind == "linear" else draw_network(plan, folds[0])
    if drawn is not None:  # before there is a folder: what cannot be trained leaves none
        refuse_unfit(plan, drawn, folds)
    try:
        plan.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(options.runs, error) from None
    mine = processes.share(plan.table.index.to_numpy())
    sums = processes.exchange(sum_clips(plan, mine, silent=not first), mine)
    splits = {fold: plan.split(fold, sums.unusable) for fold in folds}
    told = remarks(plan, splits, sums.unusable)  # or a RequestError, in every process
    for line in told if first else ():
        tell_once(line)
    if drawn is None:
        for fold, split in splits.items() if first else ():
            fit_linear(plan, fold, split)
        return
    clips = options.epochs * options.passes * sum(len(split.train) for split in splits.values())
    bar = progress(total=clips, label=plan.path.name, unit="clips", silent=not first)
    network: nn.Module | None = None
    for fold, split in splits.items():
        busy = f"fold {fold} of {plan.path} is being trained by another process"
        with Lock(plan.path / f"fold{fold}" / ".lock", busy=busy) if first else nullcontext():
            data = load_fold(plan, fold, split, sums, torch.device(device), silent=not first)
            drawn = draw_network(plan, fold) if network is not None else drawn
            if statistics := plan.fixed_statistics(drawn):
                data = data.computed_once(statistics)
            if network is None:  # placed, and perhaps compiled, once: later folds put their weights into it
                compute, checked = choose_compute(plan, drawn, data, device, processes)
                compute.prepare()
                network = compute.place(drawn)
                forward = compute.compile(network)
                if first:
                    begin_config(plan, network, compute, checked)
            else:
                network.load_state_dict(drawn.state_dict())
            train_fold(plan, Trainer(plan, data, network, compute, forward, processes), bar)
    bar.close()


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network with the weights that this fold starts from, on the CPU."""
    options, (channels, rows, frames) = plan.options, plan.input_shape
    generator = seeded(torch.Generator(), options.seed, fold)
    network = plan.model.build(channels, len(plan.classes), (rows, frames), generator)
    if options.weights:
        from train.models.weights import start_members

        start_members(network, plan.model, options.weights)
    return network


def refuse_unfit(plan: Plan, network: nn.Module, folds: Sequence[int]) -> None:
    """RequestError for THREADS, for weights that have seen tested clips, for clips that are too small."""
    threads_of(plan.options.threads)
    if plan.options.weights:
        from train.models.weights import refuse_tested_clips

        refuse_tested_clips(plan.options.weights, plan.dataset, plan.content["clips"], folds)
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, *plan.input_shape))
    except RuntimeError as error:
        raise plan.model.too_small(plan.input_shape[1:], error) from None
    network.train()


def choose_compute(
    plan: Plan, network: nn.Module, data: FoldData, device: str, processes: Processes
) -> tuple[Compute, dict[str, str]]:
    """How to compute, the same in all processes: as the run began, or measured; and how it was checked.

    Anything but plain fp32 must agree with it on real clips; if it does not in one process, all use what
    that one found sound.
    """
    proposed = None
    if (plan.path / "run.json").is_file():  # goes on as it began, with the same bits
        former = Compute.restore(RunFolder(plan.path).config)
        if torch.device(former.device).type == torch.device(device).type:
            proposed = former
        else:
            tell(f"this run began on {former.device} and continues on {device}: the last digits will differ")
    x, y = sample_batch(plan, data, processes.size)
    if proposed is None:
        steps = plan.options.epochs * len(plan.wanted_folds) * steps_per_epoch(len(data.train), plan.options)
        proposed = choose(plan.options, device, network, tuple(x.shape), steps)
    proposed = processes.agree(proposed).on(device)
    if proposed == Compute(device):
        return proposed, {}
    found = processes.gather(agreement.agreed(proposed, network, (x, y), plan.options.runs / VERDICTS))
    others = [pair for pair in found if pair[0].on(device) != proposed]
    compute, checked = (others or found)[0]
    return compute.on(device), checked


def sample_batch(plan: Plan, data: FoldData, processes: int) -> agreement.Batch:
    """Training clips as the network gets them: the largest batch of an epoch."""
    options = plan.options
    steps = steps_per_epoch(len(data.train), options, processes)
    size = math.ceil(options.passes * len(data.train) / steps / processes)
    chosen = data.train[np.linspace(0, len(data.train) - 1, size).astype(int)]
    (x,) = data.source.batches([chosen])
    y = nn.functional.one_hot(torch.from_numpy(data.targets[chosen]).to(x.device), data.classes)
    generator = seeded(torch.Generator(x.device), options.seed, data.fold)
    x, y = plan.augmenter(x, y.float(), data.channels, generator)
    return x, smoothed(y, options.smoothing)


def begin_config(plan: Plan, network: nn.Module, compute: Compute, checked: dict[str, str]) -> None:
    """Write run.json; if it is there already, from which epochs on the run computes otherwise than it began.

    Which of several equal devices a fold is trained on is no change.
    """
    state = compute.state()
    if not (plan.path / "run.json").is_file():
        parameters = sum(weight.numel() for weight in network.parameters())
        known = {"parameters": parameters, "checked": checked}
        run_folder.write_config(plan.path, plan.config() | machine(compute.device) | state | known)
        return
    run = RunFolder(plan.path)
    changed = {name: value for name, value in state.items() if run.config.get(name) != value}
    if compute.device.partition(":")[0] == str(run.config.get("device")).partition(":")[0]:
        changed.pop("device", None)
    if changed:
        done = {fold: len(run.history(fold)) for fold in run.folds if fold not in run.finished}
        before = {name: run.config.get(name) for name in changed}
        changes = [*run.config.get("changes", []), {"from": before, "to": changed, "epochs_done": done}]
        run_folder.write_config(run.path, run.config | state | {"changes": changes})


def train_fold(plan: Plan, trainer: Trainer, bar: Any) -> None:
    """A fold from wherever it stands to its predictions."""
    fold, first = trainer.data.fold, trainer.processes.first
    folder = RunFolder(plan.path).fold(fold)
    if (folder / "last.pt").is_file():
        trainer.load_state_dict(load(folder / "last.pt"), folder / "last.pt")
    clips = plan.options.passes * len(trainer.data.train)
    bar.total -= clips * trainer.epoch  # it counts what is left to do
    if first:
        run_folder.start_history(folder, trainer.rows)
    trackers, complete = open_trackers(plan, fold, trainer.epoch) if first else [], False
    try:
        trainer.fit(folder, Progress(bar, trackers))
        bar.total -= clips * (plan.options.epochs - trainer.epoch)  # early stopping
        if first:
            write_results(plan, trainer, folder)
            for line in fold_lines(RunFolder(plan.path), fold):
                tell(line)
        complete = True
    except Exception as error:
        if sentence := explanation(error, plan.options, trainer):
            raise Failed(f"fold {fold}: {sentence}") from error
        raise
    finally:
        for tracker in trackers:
            tracker.finish(complete)


def open_trackers(plan: Plan, fold: int, epochs_done: int) -> "list[Tracker]":
    """The trackers that TRACKER names, for one fold."""
    if not plan.options.tracker:
        return []
    from train.trackers import Fold, follow

    folder = Path(plan.options.tracker_dir) if plan.options.tracker_dir else plan.path / "trackers"
    return follow(plan.options.tracker, Fold(RunFolder(plan.path), fold, epochs_done), folder)


def explanation(error: Exception, options: RunOptions, trainer: Trainer) -> str:
    """What a failure that can be expected means to the user; empty for any other."""
    if isinstance(error, Diverged):
        kept = f"; the weights of epoch {error.epoch - 1} stay in last.pt" if error.epoch > 1 else ""
        if trainer.compute.precision == "fp32":
            return f"{error}{kept}. Try a lower LR (now {options.resolved_lr:g}) or CLIP=1."
        return f"{error}{kept}. It computed in {trainer.compute.precision}: train again with PRECISION=fp32."
    if is_shortage(error):
        return shortage(trainer.compute.device, options.batch)
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return "torch.compile does not work here: give COMPILE=off"
    if isinstance(error, OSError):
        return f"{error}; the same command continues from the last epoch saved"
    return ""


def write_results(plan: Plan, trainer: Trainer, folder: Path) -> None:
    """augmented.npz; predictions.csv by the last weights and, with validation, by those of the best epoch."""
    data = trainer.data
    shows = plan.model.kind != "vector" and not plan.fixed_statistics(trainer.network)
    if plan.augmenter.steps and shows and not any(plan.path.glob("fold*/augmented.npz")):
        clips = data.train[np.linspace(0, len(data.train) - 1, PREVIEWED_CLIPS).astype(int)]
        (x,) = data.source.batches([clips])
        generator = seeded(torch.Generator(x.device), plan.options.seed, data.fold)
        arrays = preview(x, plan.augmenter, data.channels, generator)
        arrays["clip_id"] = plan.cache.clips["clip_id"].iloc[clips].to_numpy(str)
        arrays["channel"] = np.array([str(channel) for channel in plan.channels], str)
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        replace_file(folder / "augmented.npz", content.getvalue())
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


def fit_linear(plan: Plan, fold: int, split: Split) -> None:
    """The fold's folder as of a network, from one exact solution: a single epoch.

    After a kill all is computed again, and the row that last.pt holds stays: it has the seconds.
    """
    from train.models.linear import LinearNet, fit

    if not (plan.path / "run.json").is_file():  # stays as it is when further folds join
        parameters = {"parameters": (plan.shape[0] + 1) * len(plan.classes)}
        run_folder.write_config(plan.path, plan.config() | machine("cpu") | parameters)
    start = time.perf_counter()
    folder, sides = plan.path / f"fold{fold}", ("train", *scored_sides(plan.options))
    clips = {side: plan.positions(getattr(split, side)) for side in sides}
    clips = {side: positions for side, positions in clips.items() if len(positions)}
    reader = InputReader(plan, [])
    x = {side: torch.cat(list(map(reader, chunked(positions)))) for side, positions in clips.items()}
    y = {side: plan.targets[positions] for side, positions in clips.items()}
    network = plan.model.build(1, len(plan.classes), (plan.shape[0], 1))
    assert isinstance(network, LinearNet)
    fit(network, x["train"].numpy(), y["train"], np.isin(split.train, split.statistics))
    row: dict[str, Any] = {"epoch": 1, "seconds": time.perf_counter() - start}
    with torch.no_grad():
        answers = {side: network(values).softmax(1).numpy() for side, values in x.items()}
    for side, probabilities in answers.items():
        row |= {f"{side}_{name}": value for name, value in epoch_scores(y[side], probabilities).items()}
    text = run_folder.history_row({name: row[name] for name in run_folder.HISTORY_COLUMNS if name in row})
    rows = load(folder / "last.pt")["rows"] if (folder / "last.pt").is_file() else [text]
    folder.mkdir(parents=True, exist_ok=True)
    state = {"fold": fold, "epoch": 1, "rows": rows, "network": network.state_dict()}
    save(folder / "last.pt", {**state, "statistics": [], "finished": True})
    run_folder.start_history(folder, rows)
    tested = {("last", side): answers[side][None] for side in answers if side != "train"}
    write_fold_predictions(plan, folder, clips, tested)
