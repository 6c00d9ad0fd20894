"""What a user is told to type next: commands that work, the quick one first."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from features_cache.index import write_failures
from features_cache.layout import read_header
from pipeline import check, extract
from pipeline.datasets.load import load
from pipeline.next_step import DEFAULT_MODEL, is_done, next_step, training_step
from pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import csv, write
from tests.pipeline.extraction import cache, options
from train.models.registry import resolve

FRAMES = {"waveform": 22050, "embedding": 1}  # of a clip; other features have 44


@pytest.mark.parametrize(
    ("cached", "quick", "default"),
    [
        (
            "chroma mel mfcc waveform",
            "'FEATURES=mel mfcc chroma mel+mfcc+chroma' MODEL=texture",
            "mel+mfcc+chroma",
        ),
        (
            "modulation mel mfcc",
            "'FEATURES=mel mfcc mel+mfcc mel+mfcc+modulation' MODEL=texture",
            "mel+mfcc",
        ),
        ("mel waveform", "FEATURES=mel MODEL=texture", "mel"),
        ("waveform", "FEATURES=waveform MODEL=m11", None),
        ("embedding@model=a", "FEATURES=embedding@model=a", None),
    ],
)
def test_a_few_sets_by_a_quick_model_come_first_and_the_default_model_then(cached, quick, default):
    frames = {name: FRAMES.get(name.partition("@")[0], 44) for name in cached.split()}
    command = "sweep" if quick.startswith("'") else "train"
    lines = [f"next: make {command} DATASET=synth {quick}"]
    lines += [f"then: make train DATASET=synth FEATURES={default}   ({DEFAULT_MODEL})"] if default else []
    two = SimpleNamespace(table=pd.DataFrame({"label": ["a", "b"], "fold": [1, 2]}))
    assert training_step(FeaturesCommand(dataset="synth"), two, frames).splitlines() == lines
    if "MODEL=" in quick:
        assert resolve(quick.rpartition("MODEL=")[2]).unfit(quick.split("FEATURES=")[1].split()[:1]) is None


def test_a_dataset_is_sent_to_the_step_that_is_left(sounds, capsys):
    asked = options(sounds)

    def proposed():
        return next_step(asked, load(asked))

    first, second = proposed().splitlines()  # own sounds are checked first
    assert first.startswith(f"next: python -m pipeline check DATASET={sounds.csv} ")
    assert second.startswith(f"then: make features DATASET={sounds.csv} ")
    assert second.endswith("/sounds/features)")
    extract.run(asked)
    assert "next: python -m pipeline check " in capsys.readouterr().out
    assert check.run(asked) == 0
    assert "\nnext: make sweep " in capsys.readouterr().out
    assert "'FEATURES=rms zcr rms+zcr' MODEL=texture" in proposed()
    sounds.add()
    assert proposed().startswith("next: make features ") and "'FEATURES=rms zcr'" in proposed()
    extract.run(asked)
    assert proposed().startswith("next: make sweep ")
    clips = sorted(sounds.folder.glob("*.wav"))
    clips[1].write_bytes(clips[0].read_bytes())  # in another fold
    assert check.run(asked) == 1
    assert "sweep" not in proposed()
    assert proposed().startswith("next: remove one of each pair")


def test_a_clip_that_failed_in_one_feature_is_waited_for_in_the_others(sounds):
    asked = options(sounds)
    extract.run(asked)
    table, made = load(asked).table, cache(sounds)
    read_header(made.folder / "zcr.h5").forget(np.array([0]))
    write_failures(made.folder, made.clips, np.array([0]), ["rms"], [(0, "rms", "1 value is NaN")])
    assert not is_done(cache(sounds), table)
    for feature in ("zcr", "all"):
        write_failures(made.folder, made.clips, np.array([0]), ["zcr"], [(0, feature, "1 value is NaN")])
        assert is_done(cache(sounds), table)


def test_a_dataset_of_one_fold_is_told_in_the_place_of_the_command(tmp_path, capsys):
    lines = ["filename,label,fold", "0.wav,a,1", "1.wav,b,1"]
    for number in range(2):
        write(tmp_path / f"{number}.wav")
    few = csv(tmp_path / "few.csv", "\n".join(lines))
    asked = FeaturesCommand(dataset=str(few), data=tmp_path / "data", features="rms", jobs=1)
    *_, features, reason = next_step(asked, load(asked)).splitlines()
    assert features.startswith("then: make features")
    assert reason.startswith("no training yet: one fold")
    assert extract.run(asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == reason == next_step(asked, load(asked))
