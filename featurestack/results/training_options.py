"""The options of a run that can change its predictions: its hash covers them, and
run.json keeps them.

The field of an option may have more traits:

    label     the text before its value in the folder's name, by default `option=`;
              None: the value begins the name
    needs     the part of training without which a run ignores the option; an input kind
              of train/network_input.py says which it uses
"""

import functools
from typing import Any, Literal

from featurestack.base.options import (
    SEED_BOUNDS,
    THREAD_BOUNDS,
    VALIDATION_SHARE,
    Auto,
    Options,
    option,
)

TaskName = Literal["auto", "classes", "categories", "tags"]
Validation = Literal["none", "next", "group"]
Selected = Literal["val_loss", "val_accuracy", "val_map", "val_f1"]
Device = Literal["cpu", "cuda", "mps"]
Needs = Literal["steps", "grid", "padding", "balance"]

of_networks = functools.partial(option, needs="steps")
# defaults for a network that begins from scratch, or from weights
FROM_SCRATCH = {"epochs": 40, "grid": "64x216", "norm": "row"}
FROM_WEIGHTS = {"epochs": 10, "grid": "128x156", "norm": "feature"}
HIGHEST_RATE = 0.002  # highest learning rate
DECAY = 0.05  # weight decay
SMOOTHING = 0.1  # of labels: the share of a target that all classes share
STRENGTH = 0.1  # C of the model `linear`, one over the strength of its penalty


def suitable(weights: str) -> dict[str, Any]:
    """The defaults that suit a network with or without pretrained weights."""
    return FROM_SCRATCH if weights in ("auto", "none") else FROM_WEIGHTS


class Training(Options):
    """The options that can change a run's predictions.

    In a plan and in run.json names are resolved, and `auto` is replaced if the cache
    decides it; DEVICE, PRECISION and THREADS stay `auto`.
    """

    features: str = option(
        "mel+mfcc+chroma",
        "one feature set: names joined by +, each a channel; name@key=value is a"
        " variant, name:a-b some rows",
        label=None,
    )
    model: str = option(
        "resnet18",
        "network or linear model (`models` lists them); name@key=value,key=value sets"
        " its options; the default is mlp if every channel is a vector, such as an"
        " embedding",
        label=None,
    )
    task: TaskName = option(
        "auto",
        "labels to predict: classes, their categories, tags (several labels per clip,"
        " or none); auto is tags if the table has such clips, else classes",
        label="",
    )
    seed: int = option(
        0,
        "seed of weights, order and augmentation, and of the folds unless they are"
        " given; another seed is another run of the same configuration",
        **SEED_BOUNDS,
        label="s",
    )

    epochs: int | Auto = of_networks(
        "auto",
        f"number of epochs; auto is {FROM_SCRATCH['epochs']}, or"
        f" {FROM_WEIGHTS['epochs']} with WEIGHTS; PATIENCE can end it earlier",
        label="e",
        least=1,
    )
    batch: int = of_networks(
        32,
        "clips per training step; batch norm needs at least two",
        least=2,
        label="b",
    )
    grid: str = option(
        "auto",
        "rows x frames to which every channel is resized; auto is"
        f" {FROM_SCRATCH['grid']}, or {FROM_WEIGHTS['grid']} with WEIGHTS; native is"
        " the size of the largest channel",
        needs="grid",
        label="",
    )
    padding: Literal["auto", "keep", "drop"] = option(
        "auto",
        "frames of zeros that fill up short clips: drop removes them before a clip is"
        " resized to the grid, keep leaves them in; auto drops them for convolutional"
        " networks if they are more than a fifth of the time",
        needs="padding",
    )
    norm: Literal["auto", "feature", "row", "none"] = of_networks(
        "auto",
        "standardisation by feature, by row of a feature, or none; auto is"
        f" {FROM_SCRATCH['norm']}, or {FROM_WEIGHTS['norm']} with WEIGHTS",
    )
    augment: str = of_networks(
        "auto",
        "random changes of each batch, as name=strength, or none; auto is shift,gain,"
        " for a waveform shift,gain,polarity,mixup=0.4, for vectors and texturenet"
        " none",
    )
    balance: Literal["none", "loss"] = option(
        "none",
        "loss gives the clips of rare classes more weight in the loss",
        needs="balance",
    )

    lr: float | Auto = of_networks(
        "auto",
        f"highest learning rate of AdamW; auto is {HIGHEST_RATE:g}",
        least=1e-12,
    )
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"] = (
        of_networks(
            "onecycle",
            "learning-rate schedule: onecycle raises and lowers the rate, cosine"
            " lowers it to zero, step divides it by ten after half and three quarters"
            " of the epochs, plateau divides it by ten when SELECT stops improving"
            " (needs VAL), constant keeps it",
        )
    )
    val: Validation = option(
        "none",
        "validation clips for model selection: none, next (the next fold), or group"
        f" ({100 * VALIDATION_SHARE:g} % of the training groups, stratified by class)",
    )
    select: Selected = option(
        "val_loss",
        "validation score that picks the best epoch: val_loss, val_f1, val_accuracy, or"
        " val_map if clips have several labels",
    )
    patience: int = of_networks(
        0,
        "early stopping: training ends after so many epochs without a better SELECT, 0"
        " for never; plateau lowers the rate after a third of them",
        least=0,
    )
    weights: str = of_networks(
        "auto",
        "initial weights: none, imagenet (the model's file in models/, else a download"
        " of the published one), or a file, which may contain only some layers; auto"
        " is imagenet for resnet18, and none for others or if the download fails",
        label="",
    )
    device: str = of_networks(
        "auto",
        "cpu, cuda, cuda:1 or mps",
        label="",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = of_networks(
        "auto",
        "number format of the network's arithmetic: fp32, bf16 or fp16; auto is bf16"
        " if the processor supports it",
        label="",
    )
    threads: int | Auto = of_networks(
        "auto",
        "number of CPU threads for the network; auto is every core for images",
        **THREAD_BOUNDS,
    )

    @property
    def pretrained(self) -> bool:
        return self.weights not in ("auto", "none")

    @property
    def resolved_epochs(self) -> int:
        """EPOCHS of a run; an exact solution, where it stays auto, takes one."""
        return 1 if self.epochs == "auto" else self.epochs

    @property
    def resolved_lr(self) -> float:
        return HIGHEST_RATE if self.lr == "auto" else self.lr
