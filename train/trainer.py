"""One run: `train_run`, near the end, calls `train_fold`, which calls `Trainer.fit` and that `train_epoch`.

Shapes: B clips a batch, C channels, H x W the grid, K classes, M members of an ensemble. All random numbers
come from generators seeded by (seed, fold, epoch), so that a fold which was killed and continued ends with
the same bits. Options come parsed, in the plan.
"""

import io
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from commandline.errors import Failed
from commandline.terminal import progress, tell, tell_once
from results import run_folder
from results.run_folder import RunFolder
from results.scores import epoch_scores
from storage.files import Lock, replace_file
from train import agreement, extras
from train.augment import preview, views
from train.checkpoint import State, load, load_weights, not_finite, snapshot, write_epoch
from train.compute import Compute, is_shortage, machine, threads_of
from train.data import FoldData, chunked, draw_batches, load_fold, measure_clips, seeded
from train.models import linear
from train.models.ensemble import Ensemble
from train.optimisation import (
    EarlyStopping,
    WeightAverage,
    learning_rate,
    make_optimiser,
    smoothed_loss,
)
from train.options import RunOptions
from train.plan import Plan, Positions, remarks
from train.summary import score_lines

if TYPE_CHECKING:
    from tqdm import tqdm

    from train.extras.trackers import Tracker

    Bar: TypeAlias = tqdm[Any]

Value = TypeVar("Value")
CHECK_STEPS = 20  # between two checks of the loss: each waits for the GPU
LARGEST_LOSS = 1e3  # nats; chance among 50 classes costs 3.9
PREVIEWED_CLIPS = 4  # in augmented.npz, of the first fold that is trained
TRAIN_SCORES = ("train_loss", "train_accuracy")
BAR_SCORES = ("epoch", "train_loss", "val_loss", "test_accuracy")  # beside the bar
VERDICTS = ".agreement.json"  # below RUNS: which ways to compute agree with plain fp32 here


@dataclass(frozen=True)
class Processes:
    """This process among those that train one model.

    Here the usual case of one; train/extras/torchrun.py subclasses it for several.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    def share(self, batch: NDArray[np.intp]) -> NDArray[np.intp]:
        """This process's part of a batch; sizes differ by one at most."""
        return np.array_split(batch, self.size)[self.rank]

    def gather(self, value: Value) -> list[Value]:
        """Every process's `value`, by rank; all processes get the list."""
        return [value]

    def agree(self, decision: Value) -> Value:
        """The first process's `decision`, handed to all."""
        return self.gather(decision)[0]

    def average_gradients(self, network: nn.Module) -> nn.Module:
        """The network whose backward pass averages gradients over the processes."""
        return network


ALONE = Processes()


def curve_epochs(options: RunOptions) -> set[int]:
    """The epochs that the test fold is scored after, evenly spread, besides the last."""
    return {math.ceil(options.epochs * part / options.curve) for part in range(1, options.curve + 1)}


# ---- a fold ---------------------------------------------------------------------------------------------


class Trainer:
    """One fold's network and all that changes while it trains."""

    def __init__(
        self,
        data: FoldData,
        network: nn.Module,
        compute: Compute,
        forward: nn.Module | None = None,
        processes: Processes = ALONE,
    ) -> None:
        """`network` stands on its device; `forward` is what training steps call, if it is another module."""
        self.plan = data.plan
        self.options = options = data.plan.options
        self.augmenter = data.plan.augmenter
        self.network, self.data, self.compute, self.processes = network, data, compute, processes
        # not `forward or network`: a compiled module cannot be tested for truth
        self.forward = network if forward is None else forward
        self.average = WeightAverage(network, options.ema)
        self.optimiser = make_optimiser(network, options)
        # keeps small gradients above zero
        self.scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "fp16")
        self.linear_net = network if isinstance(network, linear.LinearNet) else None
        self.epochs = options.epochs if self.linear_net is None else 1
        self.early_stopping = EarlyStopping(options.select, options.patience, options.schedule == "plateau")
        self.epoch = 0  # epochs done
        self.rows: list[str] = []  # their lines of history.csv

    @property
    def finished(self) -> bool:
        return self.epoch == self.epochs or self.early_stopping.stop

    def fit(self, folder: Path, bar: "Bar", trackers: "Sequence[Tracker]" = ()) -> None:
        """Train from wherever the fold stands to its end.

        An epoch ends with best.pt, last.pt and its row, written in this order: whatever a kill leaves half
        done is done again, with the same result.
        """
        scored = curve_epochs(self.options)
        first = self.processes.first
        with ThreadPoolExecutor(1) as writer:  # writes while the next epoch trains
            written = writer.submit(lambda: None)
            while not self.finished:
                row = self.train_epoch(bar)
                self.epoch += 1
                best = False
                if first and len(self.data.val):
                    row |= self.score("val")
                    if self.linear_net is None:
                        best = self.early_stopping.update(row[self.options.select])
                # only the first process scored: the others take over its early stopping
                self.early_stopping = self.processes.agree(self.early_stopping)
                if first and len(self.data.test) and (self.finished or self.epoch in scored):
                    row |= self.score("test", exact=self.finished)  # in fp32, as predictions.csv
                self.rows.append(run_folder.history_row(row))
                if first:
                    states = {"best.pt": self.weights()} if best else {}
                    states = snapshot(states | {"last.pt": self.state_dict()})
                    written.result()
                    written = writer.submit(write_epoch, folder, states, self.rows[-1])
                bar.set_postfix({name: row[name] for name in BAR_SCORES if name in row}, refresh=False)
                for tracker in trackers:
                    tracker.epoch(self.epoch, row)
        written.result()

    def solve(self, network: linear.LinearNet, bar: "Bar") -> dict[str, float]:
        """Solve a linear model exactly instead of epochs; returns its row's first columns."""
        data = self.data
        start = time.perf_counter()
        x = torch.cat(list(data.source.batches(chunked(data.train)))).flatten(1).cpu().numpy()
        is_original = self.plan.cache.clips["copy_of"].to_numpy()[data.train] == ""
        linear.fit(network, x, self.plan.targets[data.train], is_original)
        seconds = time.perf_counter() - start
        bar.update(len(x))
        scores = {name: score for name, score in self.score("train").items() if name in TRAIN_SCORES}
        return {"epoch": 1, "seconds": seconds, **scores}

    def train_epoch(self, bar: "Bar") -> dict[str, float]:
        """Train on each clip PASSES times; returns the epoch row's first columns.

        Raises Failed if the loss diverges.
        """
        if self.linear_net is not None:
            return self.solve(self.linear_net, bar)
        data = self.data
        options = self.options
        epoch = self.epoch + 1
        device = self.compute.device
        own_batches = list(map(self.processes.share, draw_batches(data, epoch, self.processes.size)))
        generator = seeded(device, options.seed, data.fold, epoch, self.processes.rank)
        torch.manual_seed(generator.initial_seed())  # dropout draws from torch's own generator
        weight = torch.from_numpy(data.class_weights()).to(device) if options.balance == "loss" else None
        losses = []
        hits = []
        self.forward.train()
        start = time.perf_counter()
        for index, (x, y) in enumerate(data.batches(own_batches)):  # (B, C, H, W), (B, K)
            x, y = self.augmenter(x, y, data.channels, generator)
            step = self.epoch * len(own_batches) + index
            rate = learning_rate(options, len(own_batches), step, self.early_stopping.lowered)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with self.compute.autocast():
                logits = self.forward(x.contiguous(memory_format=self.compute.layout)).float()
            members = logits.view(len(x), -1, y.shape[1])  # (B, M, K): each member has a loss of its own
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
            if (index + 1) % CHECK_STEPS == 0 or index + 1 == len(own_batches):
                largest = torch.stack(losses[-CHECK_STEPS:]).max().item()
                if not largest <= LARGEST_LOSS:  # nor is NaN
                    raise self.diverged(largest)
            bar.update(len(x))
        # the last step may have broken the weights: no loss was computed after it
        if not_finite(self.average.network.state_dict()):
            raise self.diverged(math.nan)
        return {
            "epoch": epoch,
            "lr": rate,
            "seconds": time.perf_counter() - start,
            **{
                name: float(np.mean(self.processes.gather(torch.stack(values).mean().item())))
                for name, values in zip(TRAIN_SCORES, (losses, hits))
            },
        }

    def diverged(self, loss: float) -> Failed:
        """The error for a loss that is too large or not finite."""
        advice = f"try a lower LR (now {self.options.resolved_lr:g}) or CLIP=1"
        if self.compute.precision != "fp32":
            advice = f"it computed in {self.compute.precision}, train again with PRECISION=fp32"
        where = f"fold {self.data.fold}, epoch {self.epoch + 1}"
        return Failed(f"{where}: the loss became {loss:.3g}; {advice}")

    def predict(self, clips: Positions, *, exact: bool = False) -> NDArray[np.float32]:
        """(A, N, K) probabilities of the averaged weights, each clip's views averaged.

        A is 1, of an ensemble 1 + M: its own answer, then each member's. `exact`: in plain fp32 whatever the
        training used, so that any machine gives them again.
        """
        network = self.average.network.eval()
        batches = np.array_split(clips, math.ceil(len(clips) / self.options.batch))
        answers = []
        for x in self.data.source.batches(batches):
            shown = views(x, self.augmenter, self.options.tta, self.data.channels.timed)
            answers.append(self.compute.answers(network, shown, exact=exact))
        return torch.cat(answers, dim=1).numpy()

    def score(self, side: str, exact: bool = False) -> dict[str, float]:
        """A row's scores of the clips in `train`, `val` or `test`."""
        clips = getattr(self.data, side)
        scores = epoch_scores(self.plan.targets[clips], self.predict(clips, exact=exact)[0])
        return {f"{side}_{name}": value for name, value in scores.items()}

    def weights(self) -> State:
        """What best.pt keeps, and last.pt once the fold is finished."""
        return {
            "fold": self.data.fold,
            "epoch": self.epoch,
            "rows": self.rows,
            "network": self.average.network.state_dict(),
            "statistics": [channel.state() for channel in self.data.statistics],
        }

    def state_dict(self) -> State:
        """What last.pt keeps: the weights, and all else that training needs while it is not finished."""
        if self.finished:
            return self.weights()
        unfinished: State = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "early_stopping": dict(vars(self.early_stopping)),
            "average_updates": self.average.updates,
        }
        if self.options.ema:
            unfinished["plain"] = self.network.state_dict()
        return self.weights() | {"progress": unfinished}

    def resume(self, file: Path) -> None:
        """Go on from last.pt; RequestError if it is of another model."""
        state = load(file)
        load_weights(self.average.network, state["network"], file)
        self.epoch = state["epoch"]
        self.rows = state["rows"]
        if "progress" not in state:
            self.epochs = self.epoch  # it was finished, perhaps by early stopping
            return
        unfinished = state["progress"]
        if self.options.ema:
            load_weights(self.network, unfinished["plain"], file)
        self.optimiser.load_state_dict(unfinished["optimiser"])
        self.scaler.load_state_dict(unfinished["scaler"])
        vars(self.early_stopping).update(unfinished["early_stopping"])
        self.average.updates = unfinished["average_updates"]


# ---- a run ----------------------------------------------------------------------------------------------


def train_run(plan: Plan, folds: Sequence[int], device: str, processes: Processes = ALONE) -> None:
    """Read every clip once, then train one fold after the other from wherever it stands to its end."""
    options = plan.options
    folds = processes.agree(folds)
    first = processes.first
    # a refused run leaves no folder
    threads_of(options.threads)
    if options.weights:
        from train.weights import refuse_tested_clips

        refuse_tested_clips(plan, folds)
    try:
        network = draw_network(plan, folds[0])
        with torch.inference_mode():
            network.eval()(torch.zeros(1, *plan.input_shape))
    except RuntimeError as error:
        raise plan.model.unfit(plan.input_shape[1:], error) from None
    plan.path.mkdir(parents=True, exist_ok=True)
    mine = processes.share(plan.table.index.to_numpy())
    clips = measure_clips(plan, mine, silent=not first)
    own = [moments[mine] for moments in clips.moments]
    for positions, parts, unusable in processes.gather((mine, own, clips.unusable)):
        clips.unusable.update(unusable)
        for moments, part in zip(clips.moments, parts):
            moments[positions] = part
    splits = {fold: plan.split(fold, clips.unusable) for fold in folds}
    lines = remarks(plan, splits, clips.unusable)  # or a RequestError, in every process
    if first:
        for line in lines:
            tell_once(line)
    epochs = 1 if plan.model.kind == "linear" else options.epochs
    total = epochs * options.passes * sum(len(split.train) for split in splits.values())
    bar = progress(total=total, label=plan.path.name, unit="clips", silent=not first)
    forward = None
    for fold, split in splits.items():
        busy = f"fold {fold} of {plan.path} is being trained by another process"
        with Lock(plan.path / f"fold{fold}" / ".lock", busy=busy) if first else nullcontext():
            try:
                data = load_fold(plan, fold, split, clips, device, silent=not first)
                front_end = getattr(network, "shift_invariant", None)
                if front_end and plan.augmenter.only_shifts:  # the same for every view of a clip
                    data = data.computed_once(front_end)
                # placed and compiled for the first fold; later folds load their first weights into it
                if forward is None:
                    compute = choose_compute(network, data, device, processes)
                    compute.prepare()
                    network = compute.place(network)
                    forward = processes.average_gradients(compute.compile(network))
                else:
                    network.load_state_dict(draw_network(plan, fold).state_dict())
                train_fold(Trainer(data, network, compute, forward, processes), bar)
            except Exception as error:  # a shortage or a compiler's failure has no class of its own
                if sentence := explanation(error, options, device):
                    raise Failed(f"fold {fold}: {sentence}") from error
                raise
    bar.close()


def draw_network(plan: Plan, fold: int) -> nn.Module:
    """The plan's network with the weights that this fold starts from, on the CPU."""
    options = plan.options
    channels, rows, frames = plan.input_shape
    generator = seeded("cpu", options.seed, fold)
    network = plan.model.build(channels, len(plan.classes), (rows, frames), generator)
    if options.weights:
        from train.weights import start_from

        start_from(network, plan.model, options.weights)
    return network


def choose_compute(network: nn.Module, data: FoldData, device: str, processes: Processes) -> Compute:
    """How to compute, equal in all processes: as the run has begun, else measured. It stands in run.json.

    Anything but plain fp32 must agree with it on real clips; if one process finds that it does not, all
    use that process's choice. If the run has begun and now computes differently, `changes` in run.json says
    what changed, and after how many epochs of each fold.
    """
    plan = data.plan
    run = RunFolder(plan.path)
    begun = None
    if (run.path / "run.json").is_file():
        begun = Compute(**{field.name: run.config[field.name] for field in fields(Compute)})
    batches = draw_batches(data, 1, processes.size)
    ((x, y),) = data.batches([processes.share(batches[0])])
    x, y = plan.augmenter(x, y, data.channels, seeded(x.device, plan.options.seed, data.fold))
    if begun and begun.device == device:  # with the same bits
        proposed = begun
    else:
        if begun:
            tell(f"this run began on {begun.device} and continues on {device}: the last digits will differ")
        steps = plan.options.epochs * len(plan.wanted_folds) * len(batches)
        proposed = agreement.fastest(plan.options, device, network, (x, y), steps)
    proposed = processes.agree(proposed)
    verdicts = processes.gather(agreement.agreed(proposed, network, (x, y), plan.options.runs / VERDICTS))
    refusals = [verdict for verdict in verdicts if verdict[0] != proposed]
    compute, checked = (refusals or verdicts)[0]
    if compute == begun or not processes.first:
        return compute
    state = asdict(compute)
    if begun is None:
        known_now = {"parameters": sum(weight.numel() for weight in network.parameters()), "checked": checked}
        run_folder.write_config(run.path, plan.config() | machine(device) | state | known_now)
    else:
        done = {fold: len(run.history(fold)) for fold in run.folds if fold not in run.finished}
        change = {"from": asdict(begun), "to": state, "epochs_done": done}
        changes = [*run.config.get("changes", []), change]
        run_folder.write_config(run.path, run.config | state | {"changes": changes})
    return compute


def train_fold(trainer: Trainer, bar: "Bar") -> None:
    """Begin or continue one fold, and write its predictions."""
    plan = trainer.plan
    fold = trainer.data.fold
    first = trainer.processes.first
    epochs = trainer.epochs
    run = RunFolder(plan.path)
    folder = run.fold(fold)
    if (folder / "last.pt").is_file():
        trainer.resume(folder / "last.pt")
    clips = plan.options.passes * len(trainer.data.train)
    bar.total -= clips * trainer.epoch  # it counts what is left to do
    if first:
        run_folder.start_history(folder, trainer.rows)
    trackers = []
    if first and plan.options.tracker:
        module = extras.load("trackers")
        place = Path(plan.options.tracker_dir or plan.path / "trackers")
        trackers = module.follow(plan.options.tracker, module.Fold(run, fold, trainer.epoch), place)
    complete = False
    try:
        trainer.fit(folder, bar, trackers)
        bar.total -= clips * (epochs - trainer.epoch)  # epochs that early stopping saved
        if first:
            write_results(trainer, folder)
            for line in score_lines(run, [fold]):
                tell(f"{plan.path.name} fold {fold}: {line}")
        complete = True
    finally:
        for tracker in trackers:
            tracker.finish(complete)


def explanation(error: Exception, options: RunOptions, device: str) -> str:
    """For the user: what an expected failure means; empty for any other."""
    if is_shortage(error):
        batch = options.batch
        smaller = f"try BATCH={max(2, batch // 2)}, or a smaller GRID or MODEL"
        return f"out of memory on {device} with BATCH={batch}: {smaller}"
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return "torch.compile does not work here: give COMPILE=off"
    if isinstance(error, OSError):
        return f"{error}; the same command continues from the last epoch saved"
    return ""


def write_results(trainer: Trainer, folder: Path) -> None:
    """Write augmented.npz; then each member's table, and predictions.csv last.

    A table has the predictions by the last weights and, with validation, by those of the best epoch.
    """
    data = trainer.data
    plan = trainer.plan
    if plan.augmenter.steps and not any(plan.path.glob("fold*/augmented.npz")):
        previewed = data.train[np.linspace(0, len(data.train) - 1, PREVIEWED_CLIPS).astype(int)]
        (x,) = data.source.batches([previewed])
        if x.shape[2:] != (1, 1):  # vectors alone have no time
            arrays = preview(x, plan.augmenter, data.channels, seeded(x.device, plan.options.seed, data.fold))
            arrays["clip_id"] = plan.cache.clips["clip_id"].iloc[previewed].to_numpy(str)
            arrays["channel"] = np.array([str(channel) for channel in plan.channels], str)
            content = io.BytesIO()
            np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
            replace_file(folder / "augmented.npz", content.getvalue())
    tables = []
    answers = []
    for selection in ["last", "best"] if (folder / "best.pt").is_file() else ["last"]:
        if selection == "best":
            load_weights(trainer.average.network, load(folder / "best.pt")["network"], folder / "best.pt")
        for side, clips in (("val", data.val), ("test", data.test)):
            if len(clips):
                tables.append(plan.scored(clips, split=side, selection=selection))
                answers.append(trainer.predict(clips, exact=True))
    together, *alone = np.concatenate(answers, axis=1)
    # predictions.csv last: it says that the fold is finished
    for member, probabilities in [*zip(plan.model.member_names, alone, strict=True), ("", together)]:
        run_folder.write_predictions(folder, pd.concat(tables), probabilities, plan.names, member)
