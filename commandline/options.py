"""How an option is declared, options that several commands share, and options as the words that give them.

    @dataclass(frozen=True, kw_only=True)
    class TrainOptions(DatasetOptions):
        epochs: Annotated[int, Bounds(least=1)] = 40
        '''passes over the training clips'''
        overwrite: Annotated[bool, Aliases("again")] = False
        '''make everything anew'''

The default, the meaning, the bounds and the former names of an option stand together, once.
"""

import dataclasses
import math
import shlex
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from commandline.registry import RequestError

LARGEST = 1e12  # of a number without other bounds: what is larger is a slip and would only fail later


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest value of a numeric option, both allowed: `Annotated[float, Bounds(0, 0.99)]`."""

    least: float = -LARGEST
    most: float = LARGEST


@dataclass(frozen=True, init=False)
class Aliases:
    """Former names of an option, still read but listed nowhere: `Annotated[bool, Aliases("again")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


Extra = TypeVar("Extra", Bounds, Aliases)


def annotations(options: type) -> dict[str, Any]:
    """The annotation of each field, with what `Annotated` adds."""
    return typing.get_type_hints(options, include_extras=True)


def extra_of(annotation: Any, extra: type[Extra]) -> Extra | None:
    """The Bounds or the Aliases in an annotation."""
    extras = getattr(annotation, "__metadata__", ())
    return next((found for found in extras if isinstance(found, extra)), None)


def check_bounds(options: Any) -> None:
    """RequestError names the first number that is out of its option's bounds, infinite or not a number.

    `parse` does this; call it for options that were made in Python.
    """
    for name, annotation in annotations(type(options)).items():
        value, bounds = getattr(options, name), extra_of(annotation, Bounds) or Bounds()
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not bounds.least <= number <= bounds.most:
                raise RequestError(f"{name.upper()}={number}: expected {_expected(bounds, number)}")


def _expected(bounds: Bounds, number: float) -> str:
    if bounds == Bounds() and not math.isfinite(number):
        return "a finite number"
    if number < bounds.least and bounds.most == LARGEST:
        return f"at least {bounds.least:.12g}"
    if number > bounds.most and bounds.least == -LARGEST:
        return f"at most {bounds.most:.12g}"
    return f"{bounds.least:.12g} to {bounds.most:.12g}"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where datasets lie."""

    data: Path = Path("data")
    """folder of datasets and their feature caches"""


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(DataOptions):
    """Which clips, and where their cache lies."""

    dataset: str = "esc50"
    """esc50, esc10, synth, a folder of sounds, a CSV, or a cache folder"""
    name: str | None = None
    """another name for the dataset's folders"""


@dataclass(frozen=True, kw_only=True)
class RunsOptions:
    """Where run folders lie."""

    runs: Path = Path("runs")
    """folder of run folders"""


@dataclass(frozen=True, kw_only=True)
class ReportsOptions:
    """Where reports are written."""

    reports: Path = Path("reports")
    """folder of reports"""


def words(options: Any, names: Iterable[str] | None = None) -> list[str]:
    """The NAME=value words that give these options, or some of their fields, where no default does.

    >>> words(DatasetOptions(dataset="synth", data=Path("d")), ("data", "name"))
    ['DATA=d']
    """
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    given = {name: getattr(options, name) for name in names or defaults}
    return [
        f"{name.upper()}={' '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in given.items()
        if value != defaults[name]
    ]


def make_command(target: str, *given: str) -> str:
    """`make <target> NAME=value …`, quoted for a shell: what a user is told to type."""
    return shlex.join(["make", target, *given])
