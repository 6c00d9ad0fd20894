"""Fixtures of the whole suite. No data is carried: sounds are made, real clips are used where they are."""

import os
from pathlib import Path

import pytest

from commandline import tell_once

ROOT = Path(__file__).resolve().parent.parent
ESC10 = ROOT.parent / "shared" / "esc10"

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # test files run side by side, a process a core
os.environ.pop("MAKEFLAGS", None)  # `make test` hands its own on; tests that call make start clean


@pytest.fixture(scope="session")
def esc10() -> Path:
    """400 real clips in ESC-50's layout; tests that need them are skipped where they are absent."""
    if not (ESC10 / "meta" / "esc10.csv").exists():
        pytest.skip(f"the 400 real clips of ESC-10 are not at {ESC10}")
    return ESC10


@pytest.fixture(autouse=True)
def _forget_what_was_told() -> None:
    """What a command says once in a process it may say in every test."""
    tell_once.cache_clear()
