"""What a run computes with changes its speed, not its answers."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.train.little import CLASSES
from train import run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns of itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
def test_a_compiled_run_answers_as_one_that_is_not(options):
    brief = dataclasses.replace(options, folds=(1,), curve=0)
    eager, compiled = (run.execute(dataclasses.replace(brief, compile=word)) for word in ("off", "on"))
    assert json.loads((compiled.path / "run.json").read_text())["compiled"]
    said = [folder.predictions(1)[list(CLASSES)] for folder in (eager, compiled)]
    np.testing.assert_allclose(*said, atol=2e-3)
