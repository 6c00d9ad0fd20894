"""A trained run, or a bundle of one, ready to answer: the models of its folds, averaged."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train import bundle, runs
from train.augment import parse
from train.checkpoint import State, put_weights
from train.compute import device_of, keep_freed_memory, threads_of
from train.data import parse_grid, prepare
from train.models import linear
from train.models.registry import resolve
from train.statistics import Statistics
from train.trained_options import TrainedOptions
from train.views import trained_shape, views

Values = list[NDArray[np.floating]]  # one (B, rows, frames) a channel, as stored
Probabilities = NDArray[np.float32]

AT_ONCE = 32  # clips a batch: a network is hardly faster from here on, and 32 clips of any features are small


@dataclass(frozen=True)
class Member:
    """One fold's model, in fp32, ready for prediction, and what it standardises with."""

    network: nn.Module
    statistics: list[Statistics]


class Trained:
    """`probabilities` of stored features, by one fold's model or averaged over all of them."""

    def __init__(self, held: bundle.Bundle, device: str = "cpu") -> None:
        self.config = config = held.config
        self.classes: list[str] = [one["name"] for one in config["classes"]]
        self.architecture = resolve(config["options"]["model"])
        self.kind = self.architecture.kind
        self.augmenter = parse(config["augment"], self.kind)
        self.device = device
        # channels last is a sixth faster for images on a CPU; a batch of statistics has no such layout
        self.layout: torch.memory_format = (
            torch.channels_last if self.kind != "linear" else torch.contiguous_format
        )
        self.grid = parse_grid(config["grid"])
        self.members = {fold: self._member(state, f"fold {fold}") for fold, state in held.folds.items()}

    @property
    def shortfall(self) -> str:
        """A sentence where not all folds of the run are trained yet; empty otherwise."""
        there, all_ = len(self.members), len(self.config["folds"])
        return f"{there} of {all_} folds are trained: their average answers" if there < all_ else ""

    def probabilities(self, values: Values, fold: int | None = None) -> Probabilities:
        """(B, K) for clips given by their stored features: by `fold`'s model, else the mean of all."""
        folds = list(self.members) if fold is None else [fold]
        answers = [self.answer(one, self.input(one, values)) for one in folds]
        return np.mean(answers, axis=0, dtype=np.float32)

    @torch.inference_mode()
    def answer(self, fold: int, x: torch.Tensor) -> Probabilities:
        """(B, K) of a batch that `input` made: the mean over the views of each clip."""
        network, x = self.members[fold].network, x.to(self.device)
        seen = [x] if self.kind == "linear" else views(x, self.augmenter, self.config["options"]["tta"])
        answers = [network(view.contiguous(memory_format=self.layout)).softmax(1) for view in seen]
        return torch.stack(answers).mean(0).cpu().numpy()

    def input(self, fold: int, values: Values) -> torch.Tensor:
        """What that fold's network is given: (B, C, H, W), for linear (B, D)."""
        member = self.members[fold]
        if self.kind == "linear":
            statistics = [linear.row_statistics(channel) for channel in values]
            return torch.from_numpy(np.concatenate(statistics, axis=1))
        pairs = zip(values, member.statistics, strict=True)
        channels = [prepare(each, how, self.grid) for each, how in pairs]
        return torch.stack(channels, dim=1).float()  # (B, C, H, W)

    def _member(self, state: State, origin: str) -> Member:
        statistics = [Statistics.restore(one) for one in state["statistics"]]
        if self.kind == "linear":
            shape = (len(state["network"]["mean"]), 1)
        else:
            shape = trained_shape(self.augmenter, self.grid)
        size = len(self.config["channels"]), len(self.classes), shape
        network = self.architecture.build(*size, changed_strides=self.config.get("changed_strides", {}))
        put_weights(network, state["network"], Path(origin))
        network = network.eval().to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        return Member(network, statistics)


def open_trained(options: TrainedOptions) -> Trained:
    """The run or bundle that RUN names, on the device and threads asked for."""
    device = device_of(options.device)
    torch.set_num_threads(threads_of(options.threads))
    keep_freed_memory()
    file = Path(options.run)
    if file.is_file():
        return Trained(bundle.read(file), device)
    return Trained(bundle.of_run(runs.select_one(options.runs, options.run), options.selection), device)
