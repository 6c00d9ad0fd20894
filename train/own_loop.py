"""Clips, folds, augmentation and a run folder for a user's own training loop.

    own = OwnRun("mine", RunOptions(dataset="esc10", features="mel+chroma"))
    for fold in own.folds:
        loader = DataLoader(own.clips(fold, "train"), batch_size=32, shuffle=True)
        ...
        own.write(fold, probabilities)      # in the order of own.clips(fold, "test")

A report compares the run with those of `train`. docs/reference/python.md has a whole
loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from featurestack.base.errors import RequestError, nearest
from featurestack.base.quantities import counted
from featurestack.compare.metrics import indicator, sound
from featurestack.results import run_folder
from featurestack.results.run_folder import RunFolder, claim_run
from featurestack.train.fold_data import FoldData, Moments, load_fold, measure_clips
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.run import placed
from featurestack.train.run_json import first_config

Side = Literal["train", "val", "test"]
SIDES = get_args(Side)


class FoldClips(Dataset[tuple[torch.Tensor, int]]):
    """The clips of one side of a fold: (C, H, W) float32, standardised and resized, and
    a class number, or (K,) labels with tags. A `torch.utils.data.DataLoader` reads a
    whole batch at once from the cache's memory map.
    """

    def __init__(self, data: FoldData, side: Side) -> None:
        self.data = data
        self.plan = data.plan
        self.positions = getattr(data, side)
        self.targets = data.plan.targets[self.positions]  # (N,)

    @property
    def clip_ids(self) -> list[str]:
        """(N,) ids, in this dataset's order."""
        return self.plan.cache.clips["clip_id"].iloc[self.positions].tolist()

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"FoldClips(fold {self.data.fold}, {counted(len(self), 'clip')})"

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        (clip,) = self.__getitems__([index])
        return clip

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        chosen = np.asarray(indices)
        x = self.data.read(self.positions[chosen]).float()
        targets = self.targets[chosen]
        return list(zip(x, targets))

    def augment(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augment a batch (B, C, H, W) and its class numbers (B,), or with tags its
        labels (B, K), as in training. The new targets are probabilities (B, K), because
        mixup mixes them; `cross_entropy` takes such targets.
        """
        labels = indicator(y.cpu().numpy(), len(self.plan.names))
        targets = torch.from_numpy(labels).float().to(y.device)
        return self.plan.augmenter(x, targets, self.data.channels, generator)


class OwnRun:
    """The clips of one configuration by fold, and the run folder for its predictions.

    name     name of the network in the folder's name and the report
    options  the options of `train`: dataset, features, grid, norm, augment, val,
             seed and the rest
    """

    def __init__(self, name: str, options: RunOptions) -> None:
        if set(options.features.split("+")) == {"waveform"}:
            # only for its kind of input: aclnet is not trained
            options = replace(options, model="aclnet")
        self.name = name
        self.plan = placed(make_plan(options, network=name))
        self.options = self.plan.training

    def __fspath__(self) -> str:
        return str(self.plan.path)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"OwnRun({self.plan.path}, {counted(len(self.folds), 'fold')}, {shape})"

    @property
    def folds(self) -> list[int]:
        """The folds of FOLDS, or every fold of the protocol."""
        return self.plan.wanted_folds

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the probability columns."""
        return self.plan.names

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's input for one clip."""
        return self.plan.input.shape

    @cached_property
    def _measured(self) -> tuple[Moments, dict[str, str]]:
        return measure_clips(self.plan)

    def clips(self, fold: int, side: Side) -> FoldClips:
        """The clips of one side of a fold, standardised by its training clips."""
        if side not in SIDES:
            raise RequestError(nearest("side", str(side), SIDES))
        if fold not in self.plan.folds:
            folds = " ".join(map(str, self.plan.folds))
            raise RequestError(f"fold {fold}: expected one of {folds}")
        if side == "val" and self.plan.training.val == "none":
            raise RequestError("val has no clips: give val='next' or val='group'")
        moments, unusable = self._measured
        split = self.plan.split(fold, unusable)
        # a DataLoader's workers share the cache's memory map
        data = load_fold(self.plan, fold, split, moments, "cpu", streamed=True)
        return FoldClips(data, side)

    def write(
        self,
        fold: int,
        probabilities: torch.Tensor | NDArray[np.float32],
        *,
        history: Sequence[Mapping[str, float]] = (),
        network: nn.Module | None = None,
    ) -> RunFolder:
        """Write the fold's predictions into the run folder.

        probabilities  (N, K) of `clips(fold, "test")`, in their order; each row sums to
                       1, except with tags
        history        a row for each epoch, with any columns of history.csv such as
                       epoch, train_loss
        network        its parameters are counted for run.json; its weights are not kept
        """
        clips = self.clips(fold, "test")
        if isinstance(probabilities, torch.Tensor):
            probabilities = probabilities.detach().cpu().numpy()
        answers = np.asarray(probabilities, np.float32)
        if answers.shape != (len(clips), len(self.classes)):
            raise RequestError(
                f"probabilities of shape {answers.shape}; expected"
                f" {(len(clips), len(self.classes))}, a row for each test clip of fold"
                f" {fold} and a column for each class"
            )
        self._refuse_no_probabilities(answers)
        _, unusable = self._measured
        plan = replace(self.plan, left_out=tuple(sorted(unusable)))
        folder = RunFolder(plan.path)
        parameters = None
        if network is not None:
            parameters = sum(map(torch.numel, network.parameters()))
        config = first_config(plan, "cpu")
        config = replace(
            config,
            made_by="own loop",
            model=self.name,
            model_summary="The user's own network, trained in the user's own loop.",
            exact=False,
            protocol=f"{config.protocol}; by a training loop outside this project",
            command=None,  # no command of this project trains it again
            parameters=parameters,
        )
        claim_run(folder.path, plan.folds, begun=plan.begun)
        run_folder.write_config(folder.path, config)
        rows = [dict(row) for row in history] or [{"epoch": 1}]
        scores = plan.task.metric.epoch_scores(clips.targets, answers)
        for score, value in scores.items():
            rows[-1][f"test_{score}"] = value
        columns = plan.task.metric.history_columns
        lines = [run_folder.history_row(row, columns) for row in rows]
        run_folder.start_history(folder.fold(fold), lines, columns)
        table = plan.scored(clips.positions, split="test", selection="last")
        run_folder.write_predictions(folder.fold(fold), table, answers, self.classes)
        return RunFolder(folder.path)

    def _refuse_no_probabilities(self, answers: NDArray[np.float32]) -> None:
        several = self.plan.task.multilabel
        possible = sound(answers, multilabel=several)
        if not possible.all():
            row = int(np.argmin(possible))
            activation = "logits.sigmoid()" if several else "logits.softmax(1)"
            raise RequestError(
                f"row {row} holds {answers[row].min():.4g} to {answers[row].max():.4g}"
                f" and sums to {answers[row].sum():.4g}, expected probabilities: give"
                f" {activation}"
            )
