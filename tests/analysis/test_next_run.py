"""The command that a report proposes for the runs that it ranks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurestack.analysis.command import jobs
from featurestack.analysis.findings import findings
from featurestack.analysis.next_run import NEXT, next_run, training_of
from featurestack.analysis.options import AnalysisOptions
from featurestack.base.next_step import State, next_step
from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import rewrite

GIVEN = ("DATASET=made", "RUNS=elsewhere")
TRAIN = "make train DATASET=made RUNS=elsewhere"
GREATEST = of_sets(
    2, mel_mfcc=0.9, mel=0.7, mel_mel_mel=0.6, chroma=0.5, mel_mfcc_chroma=0.6
)
CHANCE = of_sets(model="linear", mel=0.11, mfcc=0.1)
TRIED = {"mel": 9, "mfcc": 9, "embedding": 1}


def proposed(results, *, audio=True, **situation):
    state = State(GIVEN, begun=True, **situation)
    assert next_step(state) == ("", "")
    return next_run(findings(results), state, audio=audio)


ONE_FOLD = [MadeRun(folds=(1,)), MadeRun(features="mfcc", skill=0.8, folds=(1,))]
USED = "make predict AUDIO=FILE RUN=elsewhere/made/mel+mfcc-resnet18"


@pytest.mark.parametrize(
    ("runs", "frames", "kind", "command"),
    [
        (GREATEST, {}, "predict", USED),
        (ONE_FOLD, {}, "folds", f"{TRAIN} FEATURES='mfcc mel' MODEL=resnet18"),
        (
            of_sets(mel=0.5),
            {"mel": 9, "rms": 9, "waveform": 400},
            "combine",
            f"{TRAIN} FEATURES='rms mel+rms' MODEL=resnet18",
        ),
        (CHANCE, TRIED | {"rms": 9}, "different", f"{TRAIN} FEATURES=rms MODEL=linear"),
    ],
)
def test_what_is_proposed_for_these_runs(made, runs, frames, kind, command):
    assert proposed(made(*runs, clips=200), frames=frames) == (command, kind)
    assert NEXT[kind]


def test_what_is_next_names_the_table_beside_which_a_folder_has_the_caches_name(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sounds = Path("digits/audio/a.wav"), Path("digits/audio/b.wav")
    for file in sounds:
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.zeros(800), 8_000)
    Path("digits/digits.csv").write_text(
        "filename,label,fold\naudio/a.wav,x,1\naudio/b.wav,y,2\n"
    )
    asked = FeaturesCommand(dataset="digits/digits.csv", features="rms", jobs=1)
    assert extract_features(asked) == 0
    for word in ("digits", "digits/digits.csv"):
        (job,) = jobs(AnalysisOptions(dataset=word))
        assert job.given == ("DATASET=digits/digits.csv",)


def test_a_run_is_trained_again_with_its_own_words_and_all_its_seeds(made):
    (both,) = made(*of_sets(2, mel=0.9))
    for folder in both.folders:
        rewrite(folder, command=("FEATURES=mel", "MODEL=texturenet", "EPOCHS=3"))
    again = training_of(["DATASET=a b"], [both])
    words = "FEATURES=mel MODEL=texturenet EPOCHS=3 SEED='0 1'"
    assert again == f"make train DATASET='a b' {words}"
    command, _ = proposed([both], frames={"mel": 9, "rms": 9})
    assert "MODEL=texturenet EPOCHS=3" in command
