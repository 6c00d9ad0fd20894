"""The methods paragraph, filled in from run.json."""

import re
from dataclasses import replace

from featurestack.analysis.findings import findings
from featurestack.paper import methods_text
from featurestack.results.config import Machine
from featurestack.results.training_options import Training
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import channel, computed, rewrite

RECORDED = {
    "duration": 5.0,
    "sample_rate": 44100,
    "parameters": 85002,
    "computed": computed(),
    "machine": Machine(processor="x86_64", cores=2),
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "channels": (replace(channel("mel"), parameters={"n_mels": 128, "fmax": None}),),
    "input_grid": "64x216",
    "training": Training(
        padding="drop",
        grid="64x216",
        norm="row",
        epochs=40,
        augment="shift=1",
        lr=0.002,
        decay=0.05,
    ),
}


def test_the_paragraph_says_what_is_recorded_and_nothing_else(made):
    found = findings(made(*of_sets(mel=0.9, rms=0.5)))
    best = found.main.best
    bare = methods_text(found)
    assert "None" not in bare and "nan" not in bare
    rewrite(best.folders[0], **RECORDED)
    vars(best).pop("options")  # read from run.json once
    text = methods_text(found)
    for words in (
        "400 test clips, 5 s at 44,100 Hz each",
        "mel (n_mels 128), stored as float16",
        (
            "without padding, standardised row by row over the training clips and"
            " resized to 64 rows and 216"
        ),
        (
            "AdamW, learning rate 0.002 (onecycle schedule), weight decay 0.05, batches"
            " of 32, 40 epochs"
        ),
        "label smoothing 0.1, augmentation shift=1",
        "it does not include the variation between trainings",
        "with the 1 other by a sign-flip test",
        "python 3.11.7, torch 2.13.0 on x86_64, fp32",
    ):
        assert words in text, words
    assert not re.search(r"[a-z0-9]\.[A-Z]", text)  # a blank after each sentence


def test_what_a_linear_model_does_not_use_is_not_told(made):
    found = findings(made(MadeRun(model="linear", val="group", folds=(1, 2))))
    linear = {"input_grid": "1x1", "training": Training(model="linear", val="group")}
    rewrite(found.main.best.folders[0], **(RECORDED | linear))
    text = methods_text(found)
    assert "resized" not in text and "standardised" not in text and "AdamW" not in text
    assert "a convex loss" in text and "Seeds: 0" in text
