"""Every registered model learns from features of synthetic sounds.

The whole way: sounds, extraction, a run folder; small and short for the sake of time.
"""

import numpy as np
import pytest

from tests.train.sounds import CLASSES, train_run
from train.models.registry import all_models

FAMILIES = {name.rstrip("0123456789"): name for name in reversed(all_models())}.values()  # the first of each
MODELS = [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAMILIES)) for name in all_models()]
BRIEF = {"epochs": 8, "grid": "32x54", "lr": 0.0005, "schedule": "constant", "curve": 0, "folds": (1,)}
PLAIN = {"smoothing": 0.0, "augment": "none", "tta": 1}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_from_synthetic_sounds(model, sounding, tmp_path):
    features = "waveform" if all_models()[model].kind == "wave" else "mel+chroma"
    given = {"runs": tmp_path, "model": model, "features": features}
    trained = train_run(sounding.path.parents[2], **given, **BRIEF, **PLAIN)
    loss = trained.history(1)["train_loss"]
    assert loss.iloc[-1] < 0.9 * (np.log(len(CLASSES)) if model == "linear" else loss.iloc[0])  # of chance
