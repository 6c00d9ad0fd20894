"""Options that several commands share, each default written once; and options as the words that give them."""

import dataclasses
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
