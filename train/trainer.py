"""Train one fold: `Trainer.fit`.

Shapes: B clips per batch, C channels, H x W grid, K classes, M networks that a model
averages, mostly one. Initial weights are seeded by (seed, fold), the random numbers of
an epoch by (seed, fold, epoch). On one machine or card, with the same versions and
number of threads, the same seed gives the same bytes, even if a fold was killed and
resumed.
"""

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featurestack.base.errors import Failed
from featurestack.base.quantities import percent
from featurestack.base.terminal import Bar, tell
from featurestack.comparison.scores import epoch_scores
from featurestack.features_cache.clip_table import originals
from featurestack.results import run_folder
from featurestack.results.config import Compute
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_options import Training
from featurestack.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    not_finite,
    snapshot,
    write_epochs,
)
from featurestack.train.compute import (
    agreed,
    autocast,
    layout_of,
    preferred,
    probabilities_of,
)
from featurestack.train.fold_data import FoldData, chunked, draw_batches
from featurestack.train.optimisation import (
    EarlyStopping,
    Objective,
    Passes,
    captured_passes,
    learning_rate,
    make_optimiser,
)
from featurestack.train.plan import Positions


class Tracker(Protocol):
    """Follows one fold: gets each row of its history."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None: ...


SCORING_SHARE = 0.1  # share of the training's cost that the learning curve may take
# cost of a training step in forward passes: a backward pass costs two
FORWARD_PASSES = 3
CHECK_STEPS = 20  # steps between two checks of the loss, which wait for the GPU
CHECKPOINT_SECONDS = 2.0  # of training between two checkpoints of an unfinished fold
LARGEST_LOSS = 1e3  # nats; chance among 50 classes costs 3.9


def curve_epochs(training: Training, most: int, trained: int, tested: int) -> set[int]:
    """The epochs, at most `most`, after which the learning curve scores the test fold.

    trained, tested  clips of the fold
    """
    # the costs of training and of scoring once, in predictions of one clip
    fitting = FORWARD_PASSES * training.resolved_epochs * trained
    scoring = max(1, tested)
    times = min(most, int(SCORING_SHARE * fitting / scoring))
    parts = range(1, times + 1)
    return {math.ceil(training.resolved_epochs * part / times) for part in parts}


# ---- a fold


class Trainer:
    """One fold's network and all that changes while it trains."""

    def __init__(self, data: FoldData, network: nn.Module, compute: Compute) -> None:
        self.plan = data.plan
        self.training = training = data.plan.training
        self.augmenter = data.plan.augmenter
        self.objective = Objective(data.plan.task.multilabel)
        self.network, self.data, self.compute = network, data, compute
        weights = data.class_weights()
        self.class_weights = (
            None if weights is None else torch.from_numpy(weights).to(compute.device)
        )
        self.optimiser = make_optimiser(network)
        # scales the loss in fp16, so that small gradients do not become 0
        self.scaler = torch.amp.GradScaler(
            compute.device, enabled=compute.precision == "fp16"
        )
        # both passes as a CUDA graph; a method here would be a reference cycle, which
        # keeps the fold's clips in memory
        self.gradients: Passes | None = None
        if compute.device == "cuda":
            user_defined = bool(data.plan.model.code)
            self.gradients = captured_passes(network, self.both_passes, user_defined)
        self.epochs = data.plan.training.resolved_epochs
        self.early_stopping = EarlyStopping(
            training.select, training.patience, training.schedule == "plateau"
        )
        self.epoch = 0  # epochs done
        self.rows: list[str] = []  # history.csv's lines of the epochs done

    @classmethod
    def choose_compute(cls, network: nn.Module, data: FoldData, device: str) -> Compute:
        """Choose device, precision and threads; a begun run keeps its own."""
        plan = data.plan
        generator = data.generator(1)
        batches = draw_batches(data, 1)
        ((x, y),) = data.batches(batches[:1])
        batch = plan.augmenter(x, y, data.channels, generator)
        begun = RunFolder(plan.path).config.computed if plan.begun else None
        if begun and begun.device == device:  # so that the run continues bit by bit
            proposed = begun
        else:
            proposed = preferred(plan.training, device, batch[0].shape)
            if begun:
                tell(
                    f"this run began on {begun.device} and continues on {device}:"
                    " the last digits will differ"
                )
        objective = Objective(plan.task.multilabel)
        return agreed(proposed, network, batch, objective)

    @property
    def finished(self) -> bool:
        return self.epoch == self.epochs or self.early_stopping.stop

    def fit(self, folder: Path, bar: Bar, tracker: Tracker | None = None) -> None:
        """Train the rest of the fold, from its last finished epoch.

        An epoch is stored by writing best.pt if a better epoch has come, last.pt, and
        the rows since the last stored epoch, in this order: whatever a kill leaves half
        done is done again with the same result.
        """
        clips = len(self.data.train), len(self.data.test)
        scored = curve_epochs(self.training, self.plan.options.curve, *clips)
        best: Checkpoint = {}  # the content of best.pt while it is not yet written
        stored = len(self.rows)  # rows in history.csv
        last = time.perf_counter()
        with ThreadPoolExecutor(1) as writer:  # writes while the next epoch trains
            writing = writer.submit(lambda: None)
            while not self.finished:
                row = self.train_epoch(bar)
                self.epoch += 1
                better = False
                if len(self.data.val):
                    row |= self.score("val")
                    if self.plan.model.kind.in_steps:
                        better = self.early_stopping.update(row[self.training.select])
                if len(self.data.test) and (self.finished or self.epoch in scored):
                    # the last one in fp32 like predictions.csv
                    row |= self.score("test", exact=self.finished)
                columns = self.plan.task.metric.history_columns
                self.rows.append(run_folder.history_row(row, columns))
                if better:
                    best = {"best.pt": snapshot(self.weights())}
                if self.finished or time.perf_counter() - last > CHECKPOINT_SECONDS:
                    # no later epoch changes the last one, which needs no copy
                    last_state = snapshot(self.state_dict(), copy=not self.finished)
                    states = best | {"last.pt": last_state}
                    writing.result()
                    rows = self.rows[stored:]
                    writing = writer.submit(write_epochs, folder, states, rows)
                    best, stored, last = {}, len(self.rows), time.perf_counter()
                score = f"test_{self.plan.task.metric.name}"
                shown = ("epoch", "train_loss", "val_loss", score)
                scores: dict[str, object]
                scores = {name: row[name] for name in shown if name in row}
                if score in scores:
                    scores[score] = f"{percent(row[score])} %"
                bar.set_postfix(scores, refresh=False)
                if tracker:
                    tracker.epoch(self.epoch, row)
        writing.result()

    def train_epoch(self, bar: Bar) -> dict[str, float]:
        """Train one epoch and return the first columns of its row."""
        batches = draw_batches(self.data, self.epoch + 1)
        generator = self.data.generator(self.epoch + 1)
        # dropout draws from torch's own generator
        torch.manual_seed(generator.initial_seed())
        number = len(batches)
        losses: list[Tensor] = []
        observed = []
        self.network.train()
        start = time.perf_counter()
        for x, y in self.data.batches(batches):
            x, targets = self.augmenter(x, y, self.data.channels, generator)
            step = self.epoch * number + len(losses)
            lowered = self.early_stopping.lowered
            rate = learning_rate(self.training, number, step, lowered)
            loss, logits = self.step(x, targets, rate)
            losses.append(loss)
            observed.append(self.objective.observed(targets, logits))
            bar.update(len(x))
            if len(losses) % CHECK_STEPS == 0:
                self.refuse_divergence(losses)
        self.refuse_divergence(losses)
        self.refuse_broken_weights()
        seconds = time.perf_counter() - start
        row = {"epoch": self.epoch + 1, "lr": rate, "seconds": seconds}
        row["train_loss"] = torch.stack(losses).mean().item()
        name = f"train_{self.plan.task.metric.name}"
        row[name] = self.objective.score(observed)
        return row

    def step(self, x: Tensor, targets: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """Make one training step on a batch; return the loss and the logits."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        x = x.contiguous(memory_format=layout_of(self.compute))
        passes = self.gradients or self.both_passes
        loss, logits = passes(x, targets)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss, logits

    def both_passes(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and logits of a batch, whose gradients the parameters then hold."""
        with autocast(self.compute):
            logits = self.network(x).float()
        loss = self.objective.loss(logits, targets, self.class_weights)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        return loss.detach(), logits.detach()

    def refuse_divergence(self, losses: Sequence[Tensor]) -> None:
        """Failed if one of the last losses is too large or not finite."""
        loss = torch.stack([*losses[-CHECK_STEPS:]]).max().item()
        if loss <= LARGEST_LOSS:  # NaN is not
            return
        precision = self.compute.precision
        if precision == "fp32":
            advice = f"try a lower LR= (now {self.training.resolved_lr:g})"
        else:
            advice = f"it computed in {precision}, train again with PRECISION=fp32"
        where = f"fold {self.data.fold}, epoch {self.epoch + 1}"
        raise Failed(f"{where}: the loss became {loss:.3g}; {advice}")

    def refuse_broken_weights(self) -> None:
        """Failed if the last step broke the weights, which no later loss would show."""
        if not_finite(self.network.state_dict()):
            self.refuse_divergence([torch.tensor(math.nan)])

    def predict(self, clips: Positions, *, exact: bool = False) -> NDArray[np.float32]:
        """(N, K) probabilities; `exact` computes them in plain fp32, so that another
        machine gives nearly the same values.
        """
        network = self.network.eval()
        count = math.ceil(len(clips) / self.training.batch)
        batches = self.data.inputs(np.array_split(clips, count))
        return probabilities_of(
            network, batches, self.compute, self.plan.task, exact=exact
        )

    def score(self, side: str, exact: bool = False) -> dict[str, float]:
        """Scores of the `train`, `val` or `test` clips by history.csv's columns."""
        clips = getattr(self.data, side)
        targets = self.plan.targets[clips]
        probabilities = self.predict(clips, exact=exact)
        scores = epoch_scores(self.plan.task.metric, targets, probabilities)
        return {f"{side}_{name}": value for name, value in scores.items()}

    # ---- the state

    def weights(self) -> Checkpoint:
        """The content of best.pt, and of last.pt once the fold is finished."""
        return {
            "fold": self.data.fold,
            "epoch": self.epoch,
            "rows": self.rows,
            "network": self.network.state_dict(),
            "statistics": [channel.state() for channel in self.data.statistics],
        }

    def state_dict(self) -> Checkpoint:
        """The content of last.pt, which holds the progress of an unfinished fold."""
        if self.finished:
            return self.weights()
        unfinished: Checkpoint = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "early_stopping": dict(vars(self.early_stopping)),
        }
        return self.weights() | {"progress": unfinished}

    def resume(self, file: Path) -> None:
        state = load_checkpoint(file)
        load_weights(self.network, state["network"], file)
        self.epoch = state["epoch"]
        self.rows = state["rows"]
        if "progress" not in state:
            self.epochs = self.epoch  # it was finished, perhaps by early stopping
            return
        unfinished = state["progress"]
        self.optimiser.load_state_dict(unfinished["optimiser"])
        self.scaler.load_state_dict(unfinished["scaler"])
        vars(self.early_stopping).update(unfinished["early_stopping"])


class ExactTrainer(Trainer):
    """Trainer of an exact model, whose only epoch computes the solution."""

    def train_epoch(self, bar: Bar) -> dict[str, float]:
        from featurestack.train.models.vectors import ExactNet, TrainingClips

        data = self.data
        assert isinstance(self.network, ExactNet)
        start = time.perf_counter()
        x = np.empty((len(data.train), sum(self.plan.input.widths)), np.float32)
        read = 0
        for batch in data.inputs(chunked(data.train)):
            x[read : read + len(batch)] = batch.flatten(1).cpu().numpy()
            read += len(batch)
        clips = self.plan.cache.clips.iloc[data.train]
        training = TrainingClips(
            x=x,
            y=self.plan.targets[data.train],
            groups=clips["group"].to_numpy(str),
            originals=clips.index.isin(originals(clips).index),
            widths=self.plan.input.widths,
            blocks=self.plan.blocks,
            class_weights=data.class_weights(),
        )
        self.network.fit(training)
        self.refuse_broken_weights()
        seconds = time.perf_counter() - start
        bar.update(len(x))
        row = {"epoch": 1, "seconds": seconds}
        columns = self.plan.task.metric.history_columns
        scores = self.score("train").items()
        return row | {name: score for name, score in scores if name in columns}
