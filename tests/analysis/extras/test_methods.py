"""The methods paragraph and the command that trains a run again, from what run.json holds."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.extras import methods
from analysis.findings import findings
from analysis.ranking import Ranking
from analysis.results import Results, Run
from tests.analysis.made_runs import MadeRun

RECORDED = {
    "duration": 5.0,
    "sample_rate": 44100,
    "parameters": 85002,
    "precision": "fp32",
    "machine": {"processor": "x86_64"},
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "channels": [{"stored": "mel", "parameters": {"n_mels": 128, "fmax": None}, "dtype": "float16"}],
    "options": {
        "norm": "row",
        "grid": "64x216",
        "optimizer": "adamw",
        "lr": 0.002,
        "schedule": "onecycle",
        "decay": 0.05,
        "batch": 32,
        "epochs": 40,
        "smoothing": 0.1,
        "augment": "shift=1",
    },
    "command": ["FEATURES=mel", "MODEL=texture"],
}


def recorded(run: Run, **config: object) -> Run:
    """The run as if run.json held these as well."""
    for folder in run.folders:
        folder.config.update({**RECORDED, **config})
    return run


@pytest.fixture
def ranking(made: Callable[..., Results]) -> Ranking:
    results = made(MadeRun(skill=0.9), MadeRun(features="rms", skill=0.5))
    main = findings(results, np.random.default_rng(0)).main
    assert main is not None
    return main


def test_the_paragraph_has_data_features_model_training_protocol_statistics_and_versions(
    ranking: Ranking,
) -> None:
    recorded(ranking.best)
    text = methods.methods_text(ranking)
    for words in (
        "5 s at 44,100 Hz each",
        "mel (n_mels 128), stored as float16",
        "standardised row by row over the training clips and resized to 64 rows and 216 frames",
        "AdamW, learning rate 0.002 (onecycle schedule), weight decay 0.05, batches of 32, 40 epochs",
        "label smoothing 0.1, augmentation shift=1",
        f"{len(ranking.best.clip_ids):,} test clips",
        "SD the sample standard deviation over folds",
        "bootstrap over source recordings (10,000 replicates)",
        "not that of training again",
        "with the 1 other by a sign-flip test",
        "python 3.11.7, torch 2.13.0 on x86_64, fp32",
    ):
        assert words in text, words


def test_what_an_older_run_does_not_record_is_left_out(ranking: Ranking) -> None:
    text = methods.methods_text(ranking)
    assert "Software" not in text and "None" not in text and "nan" not in text


def test_a_run_is_trained_again_with_all_its_seeds(made: Callable[..., Results]) -> None:
    (both,) = made(MadeRun(skill=0.9), MadeRun(skill=0.9, seed=1)).runs
    again = methods.train_again(recorded(both), ["DATASET=esc10"])
    assert again == "make sweep DATASET=esc10 FEATURES=mel MODEL=texture 'SEED=0 1'"
    one = replace(both, folders=both.folders[:1])
    assert methods.train_again(one, []) == "make train FEATURES=mel MODEL=texture"
    assert methods.train_again(recorded(one, members=["a", "b"]), []) == ""


def test_padding_that_was_left_out_is_part_of_the_method(ranking: Ranking) -> None:
    recorded(ranking.best, options={**RECORDED["options"], "padding": "drop"})  # type: ignore[dict-item]
    text = methods.methods_text(ranking)
    assert "without padding, standardised row by row over the training clips and resized to 64 rows" in text
