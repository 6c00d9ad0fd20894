"""Eight clips of noise in a CSV."""

import random

import pytest

from bench.changing import Sounds


@pytest.fixture
def sounds(tmp_path):
    return Sounds(tmp_path / "sounds", random.Random(0), clips=8)
