"""The registry of models: a model is one decorated function.

The project's models are in catalogue.py, your own in a further module of this folder.
Nothing here imports torch: a run is planned without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from featurestack.commandline.registry import Registry, first_sentence

if TYPE_CHECKING:
    from torch import nn

Builder = Callable[..., "nn.Module"]
Defined = TypeVar("Defined", bound=Builder)

MODELS: Registry[Model] = Registry("model", rooms="models")


@dataclass(frozen=True)
class Model:
    """One model: `builder(channels, classes, shape, **options)`."""

    name: str
    kind: str  # input kind, see train/network_input.py
    builder: Builder
    augment: str = ""  # AUGMENT=auto for this model alone; empty for that of its kind
    # how long a clip is (docs/howto/short-clips.md); PADDING=auto then keeps padding
    reads_padding: bool = False
    # least and greatest value by option; other options take any positive value
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first sentence of the builder's docstring, if it has one."""
        return first_sentence(self.builder)

    @property
    def reads_all_values(self) -> bool:
        """Whether channels without time enter it with all their values."""
        return "planes" in inspect.signature(self.builder).parameters

    @property
    def options(self) -> dict[str, float]:
        """Every option with its default: the builder's keyword-only parameters."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def model(kind: str, **traits: Any) -> Callable[[Defined], Defined]:
    """Decorator: enter a builder under its own name; `traits` are fields of `Model`."""
    return MODELS.register(
        entry=lambda builder: Model(builder.__name__, kind, builder, **traits)
    )
