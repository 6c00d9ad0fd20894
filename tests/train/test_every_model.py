"""Every registered model learns from features of sounds, synthetic and real; nothing from labels at random.

The whole way: sounds, extraction, the words of a command, a run folder; small and short for the sake of time.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commandline.options import parse
from features_cache import cache_folder
from pipeline.extract import run as extract
from pipeline.options import FeaturesCommand
from results.run_folder import RunFolder, find
from train import run
from train.models.registry import all_models
from train.options import RunOptions

REAL = ("chainsaw", "crying_baby", "dog")
LEARNED, TESTED = 6, 12  # clips a class, in fold 2 that is trained on and in fold 1
FAMILIES = {name.rstrip("0123456789"): name for name in reversed(all_models())}.values()  # the first of each
MODELS = [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAMILIES)) for name in all_models()]
WORDS = "BATCH=6 GRID=32x54 LR=0.0005 SCHEDULE=constant CURVE=0 FOLDS=1 SMOOTHING=0 AUGMENT=none DEVICE=cpu"


def trained(model: str, dataset: Path, data: Path, runs: Path, epochs: int) -> RunFolder:
    features = "waveform" if all_models()[model].kind == "wave" else "mel+chroma"
    words = [f"DATASET={dataset}", f"DATA={data}", f"FEATURES={features}", f"MODEL={model}", f"RUNS={runs}"]
    words += [f"EPOCHS={epochs}", "PRECISION=fp32", "THREADS=1", *WORDS.split()]
    assert run.run(parse(RunOptions, words)) == 0
    (folder,) = find(runs)
    return folder


def check_loss(folder: RunFolder) -> None:
    loss = folder.history(1)["train_loss"]
    one_epoch = folder.config["model"] == "linear"
    assert loss.iloc[-1] < 0.9 * (np.log(len(REAL)) if one_epoch else loss.iloc[0])  # of chance


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_from_synthetic_sounds(model, sounding, tmp_path):
    folder = sounding.path.parents[2]
    check_loss(trained(model, folder / "sounds" / "little.csv", folder / "data", tmp_path, epochs=8))


@pytest.fixture(scope="module")
def real(tmp_path_factory, esc10):
    """Caches of real clips, cut short; in the second each sound has every label equally often."""
    folder, table = tmp_path_factory.mktemp("real"), pd.read_csv(esc10 / "meta" / "esc10.csv")
    caches = []
    for turned in (0, 1):
        rows = [
            (esc10 / "audio" / name, REAL[(own + turned * number) % 3], 2 if number < LEARNED else 1)
            for own, kind in enumerate(REAL)
            for number, name in enumerate(table["filename"][table["category"] == kind][: LEARNED + TESTED])
        ]
        file = folder / f"turned{turned}.csv"
        pd.DataFrame(rows, columns=["filename", "label", "fold"]).to_csv(file, index=False)
        brief = {"sample_rate": 8000, "duration": 1.0, "features": "mel chroma waveform", "jobs": 1}
        assert extract(FeaturesCommand(dataset=str(file), data=folder, **brief)) == 0
        caches.append(cache_folder(str(file), folder))
    return caches


@pytest.mark.slow
@pytest.mark.parametrize("model", all_models())
def test_every_model_learns_from_real_sounds_and_from_labels_at_random_nothing(model, real, tmp_path):
    true, turned = real
    check_loss(trained(model, true, tmp_path, tmp_path / "true", epochs=8))
    accuracy = trained(model, turned, tmp_path, tmp_path / "turned", epochs=2).scores()["accuracy"].loc[1]
    chance = 1 / len(REAL)
    assert abs(accuracy - chance) < 3.5 * np.sqrt(chance * (1 - chance) / len(REAL) / TESTED)
