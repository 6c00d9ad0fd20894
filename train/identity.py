"""A run's identity: its hash, its folder, its protocol in words, the command that
trains it again.

The hash covers the options, clips and feature values that can change predictions. The
folder's name shows the options that differ from the defaults; it is never parsed.
Nothing here imports torch.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.commandline.options import words
from featurestack.features_cache import Cache, dataset_name
from featurestack.results.config import StoredChannel, digest, label
from featurestack.results.training_data import clips_digest, values_digest
from featurestack.train.augment import Augmenter
from featurestack.train.models.architecture import Architecture
from featurestack.train.network_input import InputSpec
from featurestack.train.options import IDENTITY, RunOptions

HASH_VERSION = 3  # raised if the same hash would stand for something else
PLACED = ("features", "model")  # options that begin the folder's name

# Options whose value stands in the folder's name alone or after a letter; others stand
# as option=value.
SHORT = {
    "task": "",
    "seed": "s",
    "epochs": "e",
    "batch": "b",
    "grid": "",
    "precision": "",
    "device": "",
}


@dataclass(frozen=True)
class Identity:
    """The content of a run's hash, and the run's folder."""

    content: dict[str, Any]
    """version  HASH_VERSION
    options  the result of `exact_options`; a file of weights counts by its content
    cache    stored feature -> digest of its clips' fingerprints
    clips    digest of the clips' ids, labels, categories, folds, source recordings and
             originals
    untimed  only if a channel whose columns are not time enters with all its values
    revisions  only if a model's revision is above 1: the revision by model
    network  only for a training loop of one's own: the network's name
    """
    path: Path

    @classmethod
    def of(
        cls,
        content: dict[str, Any],
        options: RunOptions,
        model: str,
        standard: RunOptions,
    ) -> "Identity":
        """The identity of this content.

        model     the model's name in the folder's name
        standard  options whose values the folder's name leaves out
        """
        changed = differences(options, standard)
        name = label(options.features, model, changed, digest(content))
        dataset = dataset_name(options.dataset, options.name)
        return cls(content, options.runs / dataset / name)

    @property
    def hash(self) -> str:
        return digest(self.content)


def hashed_content(
    exact: dict[str, Any],
    cache: Cache,
    channels: Sequence[StoredChannel],
    table: pd.DataFrame,
    all_values: bool,
    revisions: dict[str, int],
) -> dict[str, Any]:
    """The content of `Identity`; a change of these entries needs a higher HASH_VERSION.

    exact       the result of `exact_options`
    all_values  whether a channel whose columns are not time enters with all its values
    revisions   each model's revision if it is above 1
    """
    weights = Path(exact["weights"])
    if weights.is_file():
        exact = {**exact, "weights": hashlib.sha256(weights.read_bytes()).hexdigest()}
    values = {
        channel.stored: values_digest(cache, channel.stored, table)
        for channel in channels
    }
    content = {
        "version": HASH_VERSION,
        "options": exact,
        "cache": values,
        "clips": clips_digest(table),
    }
    if all_values:
        content["untimed"] = "all values"
    if revisions:
        content["revisions"] = revisions
    return content


def predictive_options(options: RunOptions) -> dict[str, Any]:
    """The options that can change predictions."""
    return {name: getattr(options, name) for name in IDENTITY}


def exact_options(
    options: RunOptions,
    model: Architecture,
    spec: InputSpec,
    augmenter: Augmenter,
) -> dict[str, Any]:
    """The options that can change predictions, each `auto` resolved if the machine does
    not decide it.

    DEVICE, PRECISION, THREADS and COMPILE stay `auto`.
    """
    exact = predictive_options(options)
    exact["model"] = model.resolved
    exact["augment"] = str(augmenter) or "none"
    exact["padding"] = "drop" if spec.drop_padding else "keep"
    if model.kind.in_steps:
        exact["lr"] = options.resolved_lr
        exact["decay"] = options.resolved_decay
    return exact


def differences(options: RunOptions, standard: RunOptions) -> list[str]:
    """The last parts of a folder's name: the recipe, options that differ from
    `standard`, the tag.
    """
    parts = [Path(options.recipe).stem] if options.recipe else []
    unnamed = predictive_options(standard)
    if standard.task == "auto":
        unnamed["task"] = "classes"
    for name, value in predictive_options(options).items():
        if name not in PLACED and value != unnamed[name]:
            prefix = SHORT.get(name, f"{name}=")
            parts.append(f"{prefix}{value}")
    if options.tag:
        parts.append(options.tag)
    return parts


def training_command(options: RunOptions) -> list[str]:
    """The NAME=value words of this configuration, without the dataset and the seed."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    apart = {*PLACED, "seed"}
    if options.task == "classes":
        apart.add("task")  # TASK=auto gives classes too
    others = [name for name in (*IDENTITY, "tag") if name not in apart]
    return [*named, *words(options, others)]


def protocol(options: RunOptions, *, in_steps: bool, published_test: bool) -> str:
    """The protocol in words: tested and training clips, epochs, model selection.

    in_steps        whether the model is trained in epochs; else it has an exact
                    solution
    published_test  whether only the dataset's published test fold is tested
    """
    aside = {"next": "the next fold", "group": "15 % of the training groups"}
    if options.val == "none":
        others = "the others"
        epochs = f"epochs {options.epochs}, last epoch"
    else:
        others = f"the others without {aside[options.val]}, which validate"
        epochs = (
            f"epochs {options.epochs}, last epoch, and best epoch by {options.select}"
        )
    if options.skip_test:
        tested = "the fold's test clips never scored"
    elif published_test:
        tested = "the dataset's test fold tested"
    else:
        tested = "each fold tested"
    fitted = epochs if in_steps else "exact solution"
    return f"{tested}, trained on {others}; {fitted}"
