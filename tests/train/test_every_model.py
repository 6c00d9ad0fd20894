"""Every registered model learns from features of synthetic sounds.

The whole way: sounds, extraction, the words of a command, a run folder; small and short for the sake of time.
"""

import numpy as np
import pytest

from commandline.options import parse
from results.run_folder import find
from tests.train.sounds import CLASSES
from train import run
from train.models.registry import all_models
from train.options import RunOptions

FAMILIES = {name.rstrip("0123456789"): name for name in reversed(all_models())}.values()  # the first of each
MODELS = [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAMILIES)) for name in all_models()]
WORDS = "BATCH=6 GRID=32x54 LR=0.0005 SCHEDULE=constant CURVE=0 FOLDS=1 SMOOTHING=0 AUGMENT=none DEVICE=cpu"


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_from_synthetic_sounds(model, sounding, tmp_path):
    folder = sounding.path.parents[2]
    features = "waveform" if all_models()[model].kind == "wave" else "mel+chroma"
    words = [f"DATASET={folder / 'sounds' / 'little.csv'}", f"DATA={folder / 'data'}", f"RUNS={tmp_path}"]
    words += [f"FEATURES={features}", f"MODEL={model}", "EPOCHS=8", "PRECISION=fp32", "THREADS=1"]
    assert run.run(parse(RunOptions, [*words, *WORDS.split()])) == 0
    (trained,) = find(tmp_path)
    loss = trained.history(1)["train_loss"]
    assert loss.iloc[-1] < 0.9 * (np.log(len(CLASSES)) if model == "linear" else loss.iloc[0])  # of chance
