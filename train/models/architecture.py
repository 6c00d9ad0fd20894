"""Architectures by name: `resnet18`, `cnn8@width=16`, `resnet18+texturenet@weight=0.6`.

`a+b` is the ensemble of two image models; `weight`, an option of the second, is its
weight in the mean of their logits. torch is imported when a network is built, or a name
is not in the catalogue.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import featurestack.train.models.catalogue  # noqa: F401 registers the project's models
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.quantities import number_of
from featurestack.commandline.registry import Registry
from featurestack.train.models.registry import MODELS, Given, Model
from featurestack.train.network_input import KINDS, InputKind, Plane, Planes

if TYPE_CHECKING:
    import torch
    from torch import nn

POSITIVE = (sys.float_info.min, sys.float_info.max)
# torch's words for an input that is too small for a layer, or for too little memory
SIZE_AT_FAULT = re.compile(
    r"(kernel|input|output) size|too small|size of the input|memory", re.IGNORECASE
)


def all_models() -> Registry[Model]:
    """Every model by name; imports every module of this folder."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"featurestack.train.models.{module.name}")
    return MODELS


@dataclass(frozen=True)
class Architecture:
    """One model with its options, or an ensemble of two."""

    # one or two, with the options that were given
    members: tuple[tuple[Model, Given], ...]
    weight: float | None = None  # weight of the second member's logits in the mean

    @property
    def kind(self) -> InputKind:
        return KINDS[self.members[0][0].kind]

    @property
    def name(self) -> str:
        """The shortest name: options at their defaults are left out."""
        return self._name(
            with_weight=self.weight != self.members[-1][0].ensemble_weight
        )

    @property
    def resolved(self) -> str:
        """The name with the ensemble's weight, for run.json and the hash."""
        return self._name(with_weight=True)

    def _name(self, with_weight: bool) -> str:
        texts: list[str] = []
        for entry, options in self.members:
            given = {
                key: value
                for key, value in options.items()
                if value != entry.options[key]
            }
            if with_weight and self.weight is not None and len(texts) == 1:
                given["weight"] = self.weight
            stated = ",".join(f"{key}={value:.12g}" for key, value in given.items())
            texts.append(f"{entry.name}@{stated}" if stated else entry.name)
        return "+".join(texts)

    @property
    def member_names(self) -> list[str]:
        """The names of an ensemble's members; a second equal one is numbered."""
        if self.weight is None:
            return []
        first, second = (Architecture((member,)).name for member in self.members)
        return [first, second if second != first else f"{second}-2"]

    @property
    def augment(self) -> str:
        """The augmentations of AUGMENT=auto."""
        return (
            self.members[0][0].augment if self.weight is None else ""
        ) or self.kind.augment

    @property
    def reads_padding(self) -> bool:
        """Whether PADDING=auto keeps padding."""
        alone = self.weight is None and self.members[0][0].reads_padding
        return alone or self.kind.reads_padding

    @property
    def reads_all_values(self) -> bool:
        """Whether a channel whose columns are not time enters with all its values."""
        return self.kind.summarised or any(
            entry.reads_all_values for entry, _ in self.members
        )

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each member if it is above 1."""
        return {
            entry.name: entry.revision
            for entry, _ in self.members
            if entry.revision > 1
        }

    @property
    def summary(self) -> str:
        return " Beside it: ".join(entry.summary for entry, _ in self.members)

    def build(
        self,
        channels: int,
        classes: int,
        shape: tuple[int, int],
        planes: Planes = (),
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """The network on the CPU, in training mode; `planes` as in `InputSpec`, by
        default channels of the input's size.

        `generator` draws the weights of convolutions (He et al. 2015, for ReLU) and
        linear layers (as torch does by default), and biases are 0.
        """
        from torch import nn

        from featurestack.train.models.ensemble import Ensemble

        planes = planes or (Plane(*shape, timed=True),) * channels
        networks = [
            entry.builder(
                channels,
                classes,
                shape,
                *([planes] if entry.reads_all_values else []),
                **options,
            )
            for entry, options in self.members
        ]
        network = (
            networks[0]
            if self.weight is None
            else Ensemble(networks[0], networks[1], self.weight)
        )
        if generator is None:
            return network
        for layer in network.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(
                    layer.weight,
                    mode="fan_out",
                    nonlinearity="relu",
                    generator=generator,
                )
            elif isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(
                    layer.weight, a=math.sqrt(5), generator=generator
                )
            else:
                continue
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        return network

    def refuse_size(self, shape: tuple[int, int], error: RuntimeError) -> None:
        """RequestError with the remedy if the input's size or the memory made the
        network fail; another error, such as one of an own model's code, is left.
        """
        reason = str(error).partition("\n")[0]
        if not SIZE_AT_FAULT.search(reason):
            return
        if "memory" in reason:
            remedy = "a smaller MODEL"
        elif self.kind.resized:
            remedy = "a larger GRID"
        else:
            remedy = "longer clips (DURATION, SAMPLE_RATE)"
        size = "x".join(map(str, shape))
        raise RequestError(
            f"{self.name} cannot take {size} ({reason}): give {remedy}"
        ) from error


def resolve(text: str) -> Architecture:
    """The architecture of this name; RequestError if it names none.

    >>> resolve("aclnet@width=0.5").name
    'aclnet@width=0.5'
    >>> resolve("resnet18+texturenet").weight
    0.67
    """
    members: list[tuple[Model, Given]] = []
    for part in text.split("+"):
        name, _, options = part.partition("@")
        # its module may not be imported yet
        entry = MODELS[name] if name in MODELS else all_models()[name]
        allowed = entry.options | ({"weight": entry.ensemble_weight} if members else {})
        given: Given = {}
        for word in filter(None, options.split(",")):
            key, _, value = word.partition("=")
            if key not in allowed:
                raise RequestError(nearest(f"option of {name}", key, allowed))
            kind = type(allowed[key])
            least, most = entry.bounds.get(key, POSITIVE)
            try:
                given[key] = number_of(value, kind)
            except ValueError:
                given[key] = math.nan
            if not least <= given[key] <= most:
                expected = (
                    f"{least:g} to {most:g}"
                    if key in entry.bounds
                    else f"a positive {kind.__name__}"
                )
                raise RequestError(f"{name}@{key}={value!r}: expected {expected}")
        members.append((entry, given))
    if len(members) == 1:
        return Architecture(tuple(members))
    if len(members) > 2:
        raise RequestError(
            f"MODEL={text}: an ensemble has two members, as in resnet18+texturenet"
        )
    for entry, _ in members:
        if entry.kind != "image":
            raise RequestError(
                f"MODEL={text}: an ensemble joins models that take images, {entry.name}"
                " does not"
            )
    second, given = members[1]
    weight = given.pop("weight", second.ensemble_weight)
    if weight >= 1:
        raise RequestError(f"MODEL={text}: expected a weight between 0 and 1")
    return Architecture(tuple(members), weight)
