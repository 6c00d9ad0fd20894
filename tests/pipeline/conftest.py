"""Eight clips of noise in a CSV."""

import random

import pytest

from tests.pipeline.changing import ChangingDataset


@pytest.fixture
def sounds(tmp_path):
    return ChangingDataset(tmp_path / "sounds", random.Random(0), clips=8)
