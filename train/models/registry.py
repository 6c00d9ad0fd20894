"""The registry of models, and what a name says: `resnet18`, `cnn8@width=16`, `resnet18+texture@weight=0.6`.

A model is one decorated function in a module of this folder. `a+b` is the ensemble of two that take images;
`weight`, an option of the second, is its weight in their answer.
"""

import importlib
import inspect
import math
import pkgutil
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from commandline.registry import Registry, RequestError, nearest

Kind = Literal["image", "wave", "linear", "vector"]
Builder = Callable[..., nn.Module]
Strides = Mapping[str, Sequence[int]]  # of the convolutions that are changed, by their names in the network

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
MODELS: "Registry[Model]" = Registry("model")
TAKEN: dict[Kind, str] = {
    "image": "images",
    "wave": "waveform",
    "linear": "row statistics",
    "vector": "vectors",
}


@dataclass(frozen=True)
class Model:
    """One entry: `builder(channels, classes, shape, **options)` makes the network, weights not yet drawn."""

    name: str
    kind: Kind
    builder: Builder
    ensemble_weight: float
    """as the second member of an ensemble, by default"""
    augment: str = ""
    """what AUGMENT=auto means for it alone; empty for what it means for its kind"""
    reads_padding: bool = False
    """whether its statistics tell by the padding how long a clip is, so that PADDING=auto leaves it in"""

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring, if it has one."""
        return (inspect.getdoc(self.builder) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its default: the builder's keyword-only parameters."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def parse_option(self, key: str, default: Any, value: str) -> Any:
        """The option's value in a model's name: positive, or within the Bounds of its annotation."""
        kind = type(default)
        try:
            annotation = typing.get_type_hints(self.builder, include_extras=True).get(key)
        except NameError:  # a name of its annotations is imported under TYPE_CHECKING only
            annotation = None
        bounds = next(iter(getattr(annotation, "__metadata__", ())), None)
        try:
            number = kind(value)
        except ValueError:
            number = math.nan
        if bounds.least <= number <= bounds.most if bounds else 0 < number < math.inf:
            return number
        expected = f"{bounds.least:g} to {bounds.most:g}" if bounds else f"a positive {kind.__name__}"
        raise RequestError(f"{self.name}@{key}={value!r}: expected {expected}")


def model(
    kind: Kind, ensemble_weight: float = 0.5, augment: str = "", reads_padding: bool | None = None
) -> Callable[[Builder], Builder]:
    """Decorator: enter a builder under its own name.

    Means and deviations of rows read the padding (docs/howto/short-clips.md): all models on these do.
    """
    reads = kind in ("linear", "vector") if reads_padding is None else reads_padding
    return MODELS.register(
        entry=lambda builder: Model(builder.__name__, kind, builder, ensemble_weight, augment, reads)
    )


def all_models() -> Registry[Model]:
    """Every model, by name: imports every module of this folder."""
    for module in _modules():
        importlib.import_module(f"train.models.{module}")
    return MODELS


def find_model(name: str) -> Model:
    """The model of this name; RequestError for an unknown one.

    Its module is looked for by the beginning of the name (resnet18 stands in resnet.py), then everywhere.
    """
    for module in filter(name.startswith, _modules()):
        importlib.import_module(f"train.models.{module}")
    return MODELS[name] if name in MODELS else all_models()[name]


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]


class Ensemble(nn.Module):
    """Two networks on the same input, each with a loss of its own; the answer is the weighted mean of logits.

    While training it returns the logits of both, (B, 2, K): a member that is soon right about the clips
    trained on would leave the other nothing to learn from a common loss. In evaluation it returns (B, K).
    """

    def __init__(self, first: nn.Module, second: nn.Module, weight: float) -> None:
        """`weight`, 0 to 1, is the second member's."""
        super().__init__()
        self.first, self.second, self.weight = first, second, weight

    @property
    def stages(self) -> tuple[str, ...]:
        """The members' stages, by their names in the ensemble."""
        members = self.named_children()
        return tuple(f"{name}.{one}" for name, member in members for one in getattr(member, "stages", ()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.alone(x)
        return logits if self.training else self.join(logits)

    def alone(self, x: torch.Tensor) -> torch.Tensor:
        """Each member's logits, (B, 2, K)."""
        return torch.stack([self.first(x).float(), self.second(x).float()], dim=1)

    def join(self, logits: torch.Tensor) -> torch.Tensor:
        """The members' logits (B, 2, K) as one answer (B, K)."""
        return logits[:, 0].lerp(logits[:, 1], self.weight)


@dataclass(frozen=True)
class Architecture:
    """What a name says: one model with its options, or an ensemble of two."""

    members: tuple[tuple[Model, dict[str, Any]], ...]  # one or two, the options that were given
    weight: float | None = None  # of the second member's logits in the answer

    @property
    def kind(self) -> Kind:
        return self.members[0][0].kind

    @property
    def name(self) -> str:
        """The shortest name, for folders, tables and sentences: options at their default are left out."""
        return self._name(with_weight=self.weight != self.members[-1][0].ensemble_weight)

    @property
    def resolved(self) -> str:
        """The name with the ensemble's weight whatever the default is: for run.json and its hash."""
        return self._name(with_weight=True)

    @property
    def member_names(self) -> list[str]:
        """Of an ensemble, what each member is called alone; the second of two that are alike is numbered."""
        if self.weight is None:
            return []
        first, second = (Architecture((member,)).name for member in self.members)
        return [first, second if second != first else f"{second}-2"]

    @property
    def augment(self) -> str:
        """What AUGMENT=auto means, where it is not what it means for every model of the kind."""
        return self.members[0][0].augment if self.weight is None else ""

    @property
    def reads_padding(self) -> bool:
        return self.weight is None and self.members[0][0].reads_padding

    @property
    def summary(self) -> str:
        return " Beside it: ".join(entry.summary for entry, _ in self.members)

    def build(
        self,
        channels: int,
        classes: int,
        shape: tuple[int, int],
        generator: torch.Generator | None = None,
        changed_strides: Strides | None = None,
    ) -> nn.Module:
        """The network on the CPU, in training mode, its weights drawn from `generator`.

        `changed_strides` are those of the weights that it is for; None for the rule of today.
        """
        network = self.assemble(channels, classes, shape)
        if changed_strides is None:
            changed_strides = self.changed_strides(channels, classes, shape)
        modules = dict(network.named_modules())
        for name, stride in changed_strides.items():
            if name not in modules:
                raise RequestError(f"changed_strides has {name!r}, which {self.name} has not: train again")
            modules[name].stride = tuple(stride)
        initialise(network, generator)
        return network

    def assemble(self, channels: int, classes: int, shape: tuple[int, int]) -> nn.Module:
        """The network as its builders make it."""
        networks = [entry.builder(channels, classes, shape, **options) for entry, options in self.members]
        return networks[0] if self.weight is None else Ensemble(networks[0], networks[1], self.weight)

    def changed_strides(self, channels: int, classes: int, shape: tuple[int, int]) -> Strides:
        """The strides that are lowered: no convolution may stride over an axis that is not longer than it.

        Such a step leaves a single row or frame, of which most of the kernel sees nothing but padding. There
        oneDNN's bf16 kernels leave weight gradients unwritten or give a wrong output
        (docs/explanation/onednn-bf16.md), and a network gains nothing: pooling over the last rows and frames
        comes next. So the axis keeps its length. Grids from 64x108 up reach such a shape in cnn8 only, up to
        216 frames.

        One clip of zeros shows the shapes that really occur. RequestError where the network cannot take it.

        >>> resolve("cnn8").changed_strides(3, 50, (64, 216))
        {'layers.7.0': [1, 1]}
        """
        if self.kind == "linear":
            return {}
        with torch.random.fork_rng(devices=()), torch.inference_mode():
            network = self.assemble(channels, classes, shape).eval()
            layers = convolutions(network)
            before = {name: layer.stride for name, layer in layers.items()}
            lower_strides(layers.values())
            try:
                network(torch.zeros(1, channels, *shape))
            except RuntimeError as error:
                raise self.too_small(shape, error) from None
        return {name: list(layer.stride) for name, layer in layers.items() if layer.stride != before[name]}

    def too_small(self, shape: tuple[int, int], error: RuntimeError) -> RequestError:
        """Of a pass that failed: what the network cannot take, and what helps."""
        reason, size = str(error).splitlines()[0], "x".join(map(str, shape))
        larger = "longer clips (DURATION, SAMPLE_RATE)" if self.kind == "wave" else "a larger GRID"
        return RequestError(f"{self.name} cannot take {size} ({reason}): give {larger}")

    def unfit(self, features: Sequence[str], vectors: Collection[str] = ()) -> str | None:
        """Why the model cannot take these features (plain names, `mel`), what fits; None where it can.

        `vectors` are those of a single frame, such as an embedding: resized, they would be stripes.
        """
        waves = [name for name in features if name == "waveform"]
        if self.kind == "wave" and len(waves) < len(features):
            return f"{self.name} takes waveform alone, not {'+'.join(features)}; {_fitting('image')} take it"
        if self.kind == "image" and waves:
            fitting = _fitting("wave")
            return f"{self.name} takes features with rows and frames, not waveform; {fitting} take it"
        if self.kind == "image" and vectors:
            others = [name for name in features if name not in vectors]
            apart = " ".join([*vectors, "+".join(others)]) if others else ""
            what = "both together" if others else "it"
            each = f", or a sweep over FEATURES='{apart}' trains each alone for an ensemble" if others else ""
            return (
                f"{self.name} takes feature maps, {', '.join(vectors)} is a vector (one frame) that would be "
                f"resized to stripes; {_fitting('vector')} take {what}{each}"
            )
        return None

    def _name(self, with_weight: bool) -> str:
        texts: list[str] = []
        for entry, options in self.members:
            given = {key: value for key, value in options.items() if value != entry.options[key]}
            if with_weight and self.weight is not None and len(texts) == 1:
                given["weight"] = self.weight
            stated = ",".join(f"{key}={value:.12g}" for key, value in given.items())
            texts.append(f"{entry.name}@{stated}" if stated else entry.name)
        return "+".join(texts)


def convolutions(network: nn.Module) -> dict[str, Any]:
    """A network's convolutions by name."""
    return {name: one for name, one in network.named_modules() if isinstance(one, CONVOLUTIONS)}


def lower_strides(layers: Iterable[Any]) -> None:
    """Let each convolution lower its stride, if it has to, when it first runs."""
    for layer in layers:
        layer.register_forward_pre_hook(_lower_stride)


def _lower_stride(layer: Any, arguments: tuple[torch.Tensor]) -> None:
    """Before a convolution runs: its stride 1 along each axis that is not longer than the stride."""
    axes = arguments[0].shape[-len(layer.stride) :]
    layer.stride = tuple(step if size > step else 1 for size, step in zip(axes, layer.stride))


def resolve(text: str) -> Architecture:
    """What a model's name says; RequestError for a name that makes no sense.

    >>> resolve("aclnet@width=0.5").name
    'aclnet@width=0.5'
    >>> resolve("resnet18+texture").weight
    0.67
    """
    members: list[tuple[Model, dict[str, Any]]] = []
    for part in text.split("+"):
        name, _, rest = part.partition("@")
        entry = find_model(name)
        allowed = entry.options | ({"weight": entry.ensemble_weight} if members else {})
        members.append((entry, dict(_option(entry, allowed, one) for one in rest.split(",") if one)))
    if len(members) == 1:
        return Architecture(tuple(members))
    if len(members) > 2:
        raise RequestError(f"MODEL={text}: an ensemble has two members, as in resnet18+texture")
    for entry, _ in members:
        if entry.kind != "image":
            raise RequestError(
                f"MODEL={text}: an ensemble joins two models that take images, {entry.name} takes "
                f"{TAKEN[entry.kind]}; {_fitting('image', or_linear=False)} take them"
            )
    second, options = members[1]
    weight = options.pop("weight", second.ensemble_weight)
    if weight >= 1:
        raise RequestError(f"MODEL={text}: expected a weight between 0 and 1")
    return Architecture(tuple(members), weight)


def _option(entry: Model, allowed: dict[str, Any], part: str) -> tuple[str, Any]:
    key, _, value = part.partition("=")
    if key not in allowed:
        hint = " (weight is an option of an ensemble's second member)" if key == "weight" else ""
        raise RequestError(nearest(f"option of {entry.name}", key, allowed) + hint)
    return key, entry.parse_option(key, allowed[key], value)


def _fitting(kind: Kind, or_linear: bool = True) -> str:
    kinds = {kind, "linear"} if or_linear else {kind}
    return ", ".join(entry.name for entry in all_models().values() if entry.kind in kinds)


def build(
    name: str,
    channels: int,
    classes: int,
    shape: tuple[int, int],
    *,
    generator: torch.Generator | None = None,
    changed_strides: Strides | None = None,
) -> nn.Module:
    """The network called `name`, on the CPU, in training mode: `resolve(name).build(...)`.

    shape: (rows, frames) of its input. Weights are drawn from `generator` (torch's own by default).

    >>> build("cnn4", channels=3, classes=10, shape=(64, 216))(torch.zeros(2, 3, 64, 216)).shape
    torch.Size([2, 10])
    """
    return resolve(name).build(channels, classes, shape, generator, changed_strides)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every convolution and linear layer anew: He et al. 2015 for ReLU networks, zero biases."""
    for layer in network.modules():
        if isinstance(layer, CONVOLUTIONS):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
