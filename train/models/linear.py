"""Logistic regression on the mean and standard deviation of each row: minutes for every feature on a CPU.

scikit-learn does the fitting; the result is a small network, so that its weights, its predictions and its
run folder are those of any other model. Its input is not an image but mean and deviation of each stored
row, channel after channel: (B, D), with D = 2 * (rows of all channels).
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from features_cache.splits import Split
from results import run_folder
from results.scores import epoch_scores
from train import trainer
from train.checkpoint import load, save
from train.compute import machine
from train.data import InputReader, chunked, stored_shape
from train.models.registry import model
from train.plan import Plan

ABSENT = -1000.0  # logit of a class without a training clip: probability 0 in float32, and still finite


class LinearNet(nn.Module):
    """Standardise, then one linear layer: (B, D) to logits (B, classes)."""

    stages = ("head",)
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dimensions: int, classes: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))
        self.head = nn.Linear(dimensions, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((x - self.mean) / self.scale)


@model(kind="linear")
def linear(channels: int, classes: int, shape: tuple[int, int], *, C: float = 0.1) -> LinearNet:
    """Logistic regression on the mean and deviation of each row; C is scikit-learn's inverse penalty.

    shape: (D, 1), the number of row statistics. Of C from 0.0003 to 1, tried on folds 2 to 5 of ESC-10, each
    held out in turn, 0.1 had the least loss for mel and mel+mfcc+chroma (0.3 for mfcc+chroma).
    """
    return LinearNet(shape[0], classes, C)


@torch.no_grad()
def fit(
    network: LinearNet, x: NDArray[np.float32], y: NDArray[np.integer], originals: NDArray[np.bool_]
) -> None:
    """Set the network's weights from training clips x (N, D) and class numbers y (N,).

    Means and deviations are those of the `originals` (N,) alone, without their altered copies.
    The solution is the only minimum of its loss, so neither a seed nor the order of the clips counts.
    """
    scaler = StandardScaler().fit(x[originals].astype(np.float64))
    regression = LogisticRegression(C=network.strength, max_iter=2000)
    with threadpool_limits(1):  # products too small to share: waiting for a second thread costs more
        regression.fit(scaler.transform(x.astype(np.float64)), y)
    weight, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps one row, the log odds of the second class
        weight, bias = np.concatenate([0 * weight, weight]), np.append(0, bias)
    network.mean.copy_(torch.from_numpy(scaler.mean_))
    network.scale.copy_(torch.from_numpy(scaler.scale_))
    network.head.weight.zero_()
    network.head.bias.fill_(ABSENT)
    network.head.weight[regression.classes_] = torch.from_numpy(weight).float()
    network.head.bias[regression.classes_] = torch.from_numpy(bias).float()


def fit_folds(plan: Plan, splits: Mapping[int, Split]) -> None:
    """The run's folder as of a network: run.json stays what it is when further folds join."""
    if not (plan.path / "run.json").is_file():
        inputs = 2 * sum(stored_shape(plan.cache, channel)[0] for channel in plan.channels)
        parameters = {"parameters": (inputs + 1) * len(plan.classes)}
        run_folder.write_config(plan.path, plan.config() | machine("cpu") | parameters)
    for fold, split in splits.items():
        fit_fold(plan, fold, split)


def fit_fold(plan: Plan, fold: int, split: Split) -> None:
    """The fold's folder as of a network, from one exact solution: a single epoch.

    After a kill all is computed again, and the row that last.pt holds stays: it has the seconds.
    """
    start = time.perf_counter()
    folder, sides = plan.path / f"fold{fold}", ("train", *trainer.scored_sides(plan.options))
    clips = {side: plan.positions(getattr(split, side)) for side in sides}
    reader = InputReader(plan, [])
    x = {
        side: np.concatenate([reader(chunk).numpy() for chunk in chunked(own)])
        for side, own in clips.items()
        if len(own)
    }
    y = {side: plan.targets[clips[side]] for side in x}
    network = plan.model.build(len(plan.channels), len(plan.classes), (x["train"].shape[1], 1))
    assert isinstance(network, LinearNet)
    fit(network, x["train"], y["train"], np.isin(split.train, split.statistics))
    row: dict[str, Any] = {"epoch": 1, "lr": float("nan"), "seconds": time.perf_counter() - start}
    with torch.no_grad():
        answers = {side: network(torch.from_numpy(values)).softmax(1).numpy() for side, values in x.items()}
    for side, probabilities in answers.items():
        row |= {f"{side}_{name}": value for name, value in epoch_scores(y[side], probabilities).items()}
    text = run_folder.history_row({name: row[name] for name in run_folder.HISTORY_COLUMNS if name in row})
    rows = load(folder / "last.pt")["rows"] if (folder / "last.pt").is_file() else [text]
    folder.mkdir(parents=True, exist_ok=True)
    state = {"fold": fold, "epoch": 1, "rows": rows, "network": network.state_dict()}
    save(folder / "last.pt", {**state, "statistics": [], "finished": True})
    run_folder.start_history(folder, rows)
    tested = {("last", side): answers[side][None] for side in answers if side != "train"}
    trainer.write_fold_predictions(plan, folder, clips, tested)
