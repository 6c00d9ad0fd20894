"""A run's identity: its hash, its folder, its protocol in words, the command that
trains it again.

The hash covers the options, clips and feature values that can change predictions. The
folder's name shows the options that differ from the defaults; it is never parsed.
Nothing here imports torch.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.commandline.options import fields, option_words, part_of
from featurestack.features_cache.cache import Cache
from featurestack.results.training_data import clips_digest, values_digest
from featurestack.results.training_options import Training
from featurestack.train.augment import Augmenter
from featurestack.train.models import Architecture
from featurestack.train.network_input import InputSpec
from featurestack.train.options import RunOptions, suitable

# raised if the same hash would mean something else, as it would after the change of an
# option's default or of a model
HASH_VERSION = 1


def hashed_content(
    training: Training,
    cache: Cache,
    spec: InputSpec,
    table: pd.DataFrame,
    model: Architecture,
) -> dict[str, Any]:
    """The content of a run's hash; a change of these entries needs a higher
    HASH_VERSION.

    version  HASH_VERSION
    options  the options of `Training` that are not at their defaults, so that a new
             option leaves every run its hash; a file of weights counts by its content
    cache    stored feature -> digest of its clips' fingerprints
    clips    digest of the clips' ids, labels, categories, folds, source recordings and
             originals
    untimed  only if a channel whose columns are not time enters with all its values
    network  only for a training loop of one's own: the network's name
    """
    options = hashed_options(training)
    if "model" in options:  # a folder that it names counts by its content
        options["model"] = model.label
    weights = weights_file(training)
    if weights:
        options["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    values = {
        channel.stored: values_digest(cache, channel.stored, table)
        for channel in spec.channels
    }
    content = {
        "version": HASH_VERSION,
        "options": options,
        "cache": values,
        "clips": clips_digest(table),
    }
    if model.reads_all_values and not all(spec.timed):
        content["untimed"] = "all values"
    return content


def weights_file(training: Training) -> Path | None:
    """The file that WEIGHTS names; None if it is the published one."""
    file = Path(training.weights)
    return file if training.pretrained and file.is_file() else None


def hashed_options(training: Training) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {
        name: getattr(training, name)
        for name, own in fields(type(training)).items()
        if getattr(training, name) != own.default
    }


def exact_training(
    options: RunOptions, model: Architecture, spec: InputSpec, augmenter: Augmenter
) -> Training:
    """The options of the hash, `auto` resolved if the machine does not decide."""
    exact: dict[str, Any] = {
        "model": model.name,
        "augment": str(augmenter) or "none",
        "padding": "drop" if spec.drop_padding else "keep",
    }
    if model.kind.in_steps:
        exact["lr"] = options.resolved_lr
        exact["decay"] = options.resolved_decay
    return replace(part_of(options, Training), **exact)


def differences(options: RunOptions) -> list[str]:
    """The last parts of a folder's name: options off their defaults, tag."""
    parts = []
    usual = {"task": "classes", "weights": "none", **suitable(options.weights)}
    for name, field in fields(Training).items():
        prefix = field.metadata.get("label", f"{name}=")
        value = getattr(options, name)
        if prefix is not None and value not in (field.default, usual.get(name)):
            shown = value
            if name == "weights":  # models/resnet18-mine.pth of resnet18 is mine
                shown = Path(value).stem.removeprefix(
                    f"{options.model.partition('@')[0]}-"
                )
            parts.append(f"{prefix}{shown}")
    if options.tag:
        parts.append(options.tag)
    return parts


def training_command(options: RunOptions) -> list[str]:
    """The NAME=value words of this configuration, without the dataset and the seed."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    apart = {"features", "model", "seed"}
    if options.task == "classes":
        apart.add("task")  # TASK=auto gives classes too
    others = [name for name in (*fields(Training), "tag") if name not in apart]
    return [*named, *option_words(options, others)]


def protocol(training: Training, *, in_steps: bool, published_test: bool) -> str:
    """The protocol in words: tested and training clips, epochs, model selection.

    in_steps        whether the model has epochs; else it has an exact solution
    published_test  whether only the dataset's published test fold is tested
    """
    aside = {"next": "the next fold", "group": "15 % of the training groups"}
    others = "the others"
    epochs = f"epochs {training.epochs}{start_in_words(training)}, last epoch"
    if training.val != "none":
        others = f"the others without {aside[training.val]}, which validate"
        epochs += f", and best epoch by {training.select}"
    if published_test:
        tested = "the dataset's test fold tested"
    else:
        tested = "each fold tested"
    fitted = epochs if in_steps else "exact solution"
    return f"{tested}, trained on {others}; {fitted}"


def start_in_words(training: Training) -> str:
    """The weights that training begins with; '' from scratch."""
    if not training.pretrained:
        return ""
    if training.weights == "imagenet":
        return " from ImageNet's weights"
    return f" from the weights in {Path(training.weights).name}"
