"""A model of each family learns from features of sounds, synthetic and real; nothing from labels at random.

The whole way: sounds, extraction, the words of a command, a run folder; small and short for the sake of time.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commandline.options import parse
from features_cache import cache_folder
from pipeline import synth
from pipeline.extract import run as extract
from pipeline.options import FeaturesCommand
from pipeline.synth import wav
from results import run_folder
from train import run
from train.models.registry import all_models
from train.options import RunOptions

SYNTHETIC = ("bright_drone", "hiss", "steady_beat")
REAL = ("chainsaw", "crying_baby", "dog")
LEARNED, TESTED = 6, 12  # clips a class, in fold 2 that is trained on and in fold 1
BRIEF = {"sample_rate": 8000, "duration": 1.0, "features": "mel chroma waveform", "jobs": 1}
FAMILIES = ("resnet18", "densenet121", "cnn4", "texture", "aclnet", "m11", "mlp", "linear")
Clips = dict[str, list[Path]]  # files of each class

FEW = ["BATCH=6", "GRID=32x54", "LR=0.0005", "SCHEDULE=constant", "CURVE=0", "FOLDS=1"]
PLAIN = ["SMOOTHING=0", "AUGMENT=none", "DEVICE=cpu", "PRECISION=fp32", "THREADS=1"]


def extracted(folder: Path, clips: Clips, shuffled: bool = False) -> Path:
    """The cache of these clips, cut short; `shuffled`: each sound has every label equally often."""
    kinds = list(clips)
    rows = [
        (files[number], kinds[(own + shuffled * number) % len(kinds)], 2 if number < LEARNED else 1)
        for own, files in enumerate(clips.values())
        for number in range(LEARNED + TESTED)
    ]
    table = folder / f"shuffled={shuffled}.csv"
    pd.DataFrame(rows, columns=["filename", "label", "fold"]).to_csv(table, index=False)
    assert extract(FeaturesCommand(dataset=str(table), data=folder, **BRIEF)) == 0
    return cache_folder(str(table), folder)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> tuple[Path, Clips]:
    folder, clips = tmp_path_factory.mktemp("synthetic"), {}
    for kind in SYNTHETIC:
        rows = list(synth.clip_rows().query("category == @kind").head(LEARNED + TESTED).itertuples())
        clips[kind] = [folder / row.filename for row in rows]
        for file, row in zip(clips[kind], rows):
            file.write_bytes(wav(synth.clip(row)))
    return folder, clips


@pytest.fixture(scope="module")
def told_apart(synthetic) -> Path:
    return extracted(*synthetic)


@pytest.fixture(scope="module")
def told_wrong(synthetic) -> Path:
    return extracted(*synthetic, shuffled=True)


@pytest.fixture(scope="module")
def real(tmp_path_factory, esc10) -> Path:
    table = pd.read_csv(esc10 / "meta" / "esc10.csv")
    files = {kind: table["filename"][table["category"] == kind] for kind in REAL}
    clips = {kind: [esc10 / "audio" / name for name in names] for kind, names in files.items()}
    return extracted(tmp_path_factory.mktemp("real"), clips)


def trained(model: str, cache: Path, where: Path, epochs: int) -> run_folder.RunFolder:
    features = "waveform" if all_models()[model].kind == "wave" else "mel+chroma"
    words = [f"DATASET={cache}", f"FEATURES={features}", f"MODEL={model}", f"RUNS={where}"]
    assert run.run(parse(RunOptions, [*words, f"EPOCHS={epochs}", *FEW, *PLAIN])) == 0
    (folder,) = run_folder.find(where)
    return folder


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("sounds", ["told_apart", pytest.param("real", marks=pytest.mark.slow)])
def test_the_loss_falls_where_there_is_something_to_learn(sounds, model, request, tmp_path):
    loss = trained(model, request.getfixturevalue(sounds), tmp_path, epochs=8).history(1)["train_loss"]
    one_epoch = all_models()[model].kind == "linear"
    first = np.log(len(SYNTHETIC)) if one_epoch else loss.iloc[0]  # of chance
    assert loss.iloc[-1] < 0.9 * first


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
def test_labels_at_random_leave_the_accuracy_at_chance(model, told_wrong, tmp_path):
    accuracy = trained(model, told_wrong, tmp_path, epochs=2).scores()["accuracy"].loc[1]
    clips, chance = len(SYNTHETIC) * TESTED, 1 / len(SYNTHETIC)
    assert abs(accuracy - chance) < 3.5 * np.sqrt(chance * (1 - chance) / clips)
