"""Options that several commands share, each default written once."""

from dataclasses import dataclass
from pathlib import Path


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
