"""The commands that a user is told to type next: they work, the quick one comes first."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from features_cache.feature_file import read_header
from pipeline import check, extract
from pipeline.datasets.load import load
from pipeline.next_step import DEFAULT_MODEL, is_done, next_step, training_step
from pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import csv, write
from tests.pipeline.extraction import cache, options

TWO = SimpleNamespace(
    name="synth", folder=Path("nowhere"), table=pd.DataFrame({"label": ["a", "b"], "fold": [1, 2]})
)


@pytest.mark.parametrize(
    ("cached", "quick", "default"),
    [
        ("chroma mel mfcc waveform", "'FEATURES=mel mfcc chroma mel+mfcc+chroma'", "mel+mfcc+chroma"),
        ("modulation mel mfcc", "'FEATURES=mel mfcc mel+mfcc mel+mfcc+modulation'", "mel+mfcc"),
        ("mel waveform", "FEATURES=mel", "mel"),
    ],
)
def test_a_few_sets_by_a_quick_model_come_first_and_the_default_model_then(cached, quick, default):
    frames = {name: 22050 if name == "waveform" else 44 for name in cached.split()}
    command = "sweep" if quick.startswith("'") else "train"
    assert training_step(FeaturesCommand(dataset="synth"), TWO, frames).splitlines() == [
        f"next: make {command} DATASET=synth {quick} MODEL=texture",
        f"then: make train DATASET=synth FEATURES={default}   ({DEFAULT_MODEL})",
    ]


@pytest.mark.parametrize(
    ("name", "frames", "model"),
    [
        ("waveform", 22050, " MODEL=m11"),
        ("embedding", 1, ""),
    ],
)
def test_what_is_no_image_has_models_of_its_own(name, frames, model):
    step = training_step(FeaturesCommand(dataset="synth"), TWO, {name: frames})
    assert step == f"next: make train DATASET=synth FEATURES={name}{model}"


def test_a_dataset_is_sent_to_the_step_that_is_left(sounds, capsys):
    asked = options(sounds, runs=sounds.folder.parent / "runs")

    def proposed():
        return next_step(asked, load(asked))

    first, second = proposed().splitlines()  # own sounds are checked first
    assert first.startswith(f"next: python -m pipeline check DATASET={sounds.csv} ")
    assert second.startswith(f"then: make features DATASET={sounds.csv} ")
    extract.run(asked)
    assert "next: python -m pipeline check " in capsys.readouterr().out
    assert check.run(asked) == 0
    assert "\nnext: make sweep " in capsys.readouterr().out
    assert "'FEATURES=rms zcr rms+zcr' MODEL=texture" in proposed()
    sounds.add()
    assert proposed().startswith("next: python -m pipeline check ") and "'FEATURES=rms zcr'" in proposed()
    assert check.run(asked) == 0
    assert proposed().startswith("next: make features ")
    extract.run(options(sounds, features="rms@hop_length=256"))
    assert "'FEATURES=rms rms@hop_length=256 zcr'" in proposed()
    extract.run(asked)
    assert proposed().startswith("next: make sweep ") and "RETRAIN" not in proposed()
    run = asked.runs / load(asked).name / "rms-linear"
    run.mkdir(parents=True)
    (run / "run.json").touch()
    assert "RETRAIN" not in proposed()
    os.utime(run / "run.json", (0, 0))  # trained before the clips changed
    assert "MODEL=texture RETRAIN=1" in proposed()
    clips = sorted(sounds.folder.glob("*.wav"))
    clips[1].write_bytes(clips[0].read_bytes())  # in another fold
    assert check.run(asked) == 1
    assert "sweep" not in proposed()
    assert proposed().startswith("first: remove one of each pair")


def test_a_removed_clip_sends_the_dataset_back_to_features(sounds):
    asked = options(sounds)
    extract.run(asked)
    check.run(asked)
    sounds.remove(1)
    assert "\nthen: make features " in next_step(asked, load(asked))
    check.run(asked)
    assert next_step(asked, load(asked)).startswith("next: make features ")


def test_a_clip_that_failed_is_not_waited_for(sounds):
    asked = options(sounds)
    (sounds.folder / "clip00003.wav").write_bytes(b"no audio")
    assert extract.run(asked) == 1
    table = load(asked).table
    assert is_done(cache(sounds), table)
    read_header(cache(sounds).folder / "zcr.h5").forget(np.array([0]))
    assert not is_done(cache(sounds), table)


def test_a_dataset_of_one_fold_is_told_in_the_place_of_the_command(tmp_path, capsys):
    for name in "ab":
        write(tmp_path / f"{name}.wav")
    few = csv(tmp_path / "few.csv", "filename,label,fold\na.wav,a,1\nb.wav,b,1\n")
    asked = FeaturesCommand(dataset=few, data=tmp_path / "data", features="rms", jobs=1)
    *_, features, reason = next_step(asked, load(asked)).splitlines()
    assert features.startswith("then: make features")
    assert reason.startswith("no training yet: one fold")
    assert extract.run(asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == reason == next_step(asked, load(asked))
