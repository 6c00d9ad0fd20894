"""Eight clips of noise in a CSV, and workers that start at once."""

import random

import pytest

from featurestack.pipeline import worker
from tests.pipeline.noise_dataset import NoiseDataset


@pytest.fixture
def sounds(tmp_path):
    return NoiseDataset(tmp_path / "sounds", random.Random(0), clips=8)


@pytest.fixture
def forked_workers(monkeypatch):
    """Forked workers: a spawned one loads its libraries anew."""
    monkeypatch.setattr(worker, "START_METHOD", "fork")
