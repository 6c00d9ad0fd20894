"""Training in bf16 under each instruction set of oneDNN agrees with fp32, or the run computes in fp32."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features_cache import external

ROOT = Path(__file__).resolve().parents[2]
SETS = {"AVX2": "avx2", "AVX512_CORE_AMX": "avx512"}  # without the second, the most that there is
FARTHEST = 0.2  # of a probability after one epoch; an unwritten gradient is off by more, or no number


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("instructions") / "features", np.random.default_rng(0)
    ids, label = [f"clip{number}" for number in range(12)], np.arange(12) % 3
    clips = {"clip_id": ids, "label": [f"class{number}" for number in label], "fold": [1, 2] * 6}
    external.create_cache(folder, clips, dataset="noise", sample_rate=8000, duration=0.5)
    values = rng.normal(size=(12, 64, 108)) * (1 + label[:, None, None])
    external.write_feature(folder, "mel", values, ids, row_unit="Hz")
    return folder


def probabilities(cache: Path, runs: Path, precision: str, **environment: str) -> np.ndarray:
    """What the run answers for the clips of fold 1."""
    words = [
        f"DATASET={cache}",
        f"RUNS={runs}",
        f"PRECISION={precision}",
        "MODEL=cnn8@width=8",
        "FEATURES=mel",
    ]
    words += ["GRID=64x108", "FOLDS=1", "EPOCHS=1", "BATCH=6", "THREADS=1", "DEVICE=cpu", "COMPILE=off"]
    command = [sys.executable, "-m", "train", "run", *words]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, capture_output=True)
    (config,) = runs.glob("*/*/run.json")
    classes = [entry["name"] for entry in json.loads(config.read_text())["classes"]]
    answers: np.ndarray = pd.read_csv(config.parent / "fold1" / "predictions.csv")[classes].to_numpy()
    return answers


@pytest.mark.slow
def test_bf16_agrees_with_fp32_under_every_instruction_set(cache: Path, tmp_path: Path) -> None:
    expected = probabilities(cache, tmp_path / "fp32", "fp32")
    for name, kernels in SETS.items():
        held = {"ONEDNN_MAX_CPU_ISA": name, "ATEN_CPU_CAPABILITY": kernels}
        answers = probabilities(cache, tmp_path / name, "bf16", **held)
        assert np.abs(answers - expected).max() < FARTHEST, name
