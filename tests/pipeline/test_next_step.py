"""What a user is told to type next: commands that work, the quick one first."""

import dataclasses

import pytest

from pipeline import extract
from pipeline.datasets.load import load_for
from pipeline.next_step import DEFAULT_MODEL, next_step, training_commands, training_words
from pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import write
from tests.pipeline.extraction import options
from train.models.registry import resolve


@pytest.mark.parametrize(
    ("frames", "quick", "default"),
    [
        (
            {"chroma": 44, "mel": 44, "mfcc": 44, "rms": 44, "waveform": 22050},
            "sweep DATASET=d 'FEATURES=mel mfcc chroma mel+mfcc+chroma' MODEL=texture",
            "mel+mfcc+chroma",
        ),
        ({"mel": 44, "waveform": 22050}, "train DATASET=d FEATURES=mel MODEL=texture", "mel"),
        ({"cqt": 44, "mel": 44}, "sweep DATASET=d 'FEATURES=mel cqt mel+cqt' MODEL=texture", "mel+cqt"),
        ({"cqt": 44, "rms": 44}, "sweep DATASET=d 'FEATURES=cqt rms cqt+rms' MODEL=texture", "cqt+rms"),
        ({"waveform": 22050}, "train DATASET=d FEATURES=waveform MODEL=m11", None),
        ({"embedding@model=a": 1}, "train DATASET=d FEATURES=embedding@model=a", None),
    ],
)
def test_a_few_sets_by_a_quick_model_come_first_and_the_default_model_then(frames, quick, default):
    lines = [f"next: make {quick}"]
    lines += [f"then: make train DATASET=d FEATURES={default}   ({DEFAULT_MODEL})"] if default else []
    assert training_commands(frames, ["DATASET=d"]).splitlines() == lines
    if "MODEL=" in quick:
        assert resolve(quick.rpartition("MODEL=")[2]).unfit(quick.split("FEATURES=")[1].split()[:1]) is None


def test_a_dataset_is_sent_to_the_step_that_is_left(sounds, capsys):
    asked = options(sounds)

    def proposed():
        return next_step(asked, load_for(asked))

    assert proposed().startswith(f"next: make features DATASET={sounds.csv} ")
    assert proposed().endswith("/sounds/features)")
    extract.run(asked)
    assert "next: make sweep " in capsys.readouterr().out
    assert "'FEATURES=rms zcr rms+zcr' MODEL=texture" in proposed()
    sounds.add()
    assert proposed().startswith(f"next: make features DATASET={sounds.csv} 'FEATURES=rms zcr'")
    extract.run(asked)
    assert proposed().startswith("next: make sweep ")


def test_a_clip_that_cannot_be_done_is_not_waited_for(sounds):
    asked = options(sounds)
    next(iter(sounds.folder.glob("*.wav"))).write_bytes(b"no audio")
    assert extract.run(asked) == 1
    assert next_step(asked, load_for(asked)).startswith("next: make sweep ")


def test_of_a_published_split_the_publishers_test_list_is_proposed_and_of_drawn_folds_all(tmp_path):
    for place in ("yes/a_nohash_0", "yes/b_nohash_0", "no/a_nohash_0", "no/c_nohash_0", "no/d_nohash_0"):
        write(tmp_path / "words" / f"{place}.wav")
    (tmp_path / "words" / "testing_list.txt").write_text("no/c_nohash_0.wav\n")
    asked = FeaturesCommand(dataset=str(tmp_path / "words"), data=tmp_path / "data")
    assert training_words(asked, load_for(asked))[-1] == "FOLDS=3"
    asked = dataclasses.replace(asked, folds_by="group")
    assert not [word for word in training_words(asked, load_for(asked)) if word.startswith("FOLDS")]
