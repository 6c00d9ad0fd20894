"""The command to type next, without a report; those for a ranking are in
tests/analysis/test_next_run.py.
"""

from dataclasses import replace

import pytest

from featurestack.results import published_weights
from featurestack.results.next_step import State, next_step, pretrained_line


@pytest.fixture(autouse=True)
def without_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(published_weights, "FOLDER", tmp_path / "models")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("cached", "quick"),
    [
        (
            "chroma mel mfcc waveform",
            (
                "sweep DATASET=synth FEATURES='mel mfcc chroma mel+mfcc+chroma'"
                " MODEL=texturenet"
            ),
        ),
        (
            "modulation mel mfcc",
            (
                "sweep DATASET=synth FEATURES='mel mfcc mel+mfcc mel+mfcc+modulation'"
                " MODEL=texturenet"
            ),
        ),
        ("mel waveform", "train DATASET=synth FEATURES=mel MODEL=texturenet"),
        ("waveform", "train DATASET=synth FEATURES=waveform MODEL=aclnet"),
        ("embedding", "train DATASET=synth FEATURES=embedding"),
        ("", "features DATASET=synth"),
    ],
)
def test_a_few_sets_by_a_quick_model_are_proposed(cached, quick):
    frames = {
        name: {"waveform": 22050, "embedding": 1}.get(name, 44)
        for name in cached.split()
    }
    state = State(["DATASET=synth"], frames=frames)
    assert next_step(state) == (f"make {quick}", "first")


def test_imagenets_weights_are_proposed_first_if_they_are_here(tmp_path):
    state = State(["DATASET=synth"], frames={"mel": 44, "mfcc": 44})
    command = "make train DATASET=synth FEATURES=mel WEIGHTS=imagenet"
    assert f"{command}   (fetches 47 MB" in pretrained_line(state)
    assert "WEIGHTS" not in next_step(state)[0]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet18-mine.pth").touch()
    assert next_step(state) == (command, "first") and not pretrained_line(state)
    frames = replace(state, of_clips=False)
    assert "WEIGHTS" not in next_step(frames)[0] and not pretrained_line(frames)


@pytest.mark.parametrize(
    ("stands", "reason", "command"),
    [
        (
            {"part": "2/3"},
            "extract",
            "make features DATASET=a SAMPLE_RATE=8000 PART=2/3",
        ),
        (
            {"changed": True, "unchecked": True},
            "extract",
            "make features DATASET=a SAMPLE_RATE=8000 FEATURES=mel",
        ),
        (
            {"unchecked": True, "untrainable": True},
            "check",
            "make check DATASET=a SAMPLE_RATE=8000",
        ),
        ({"untrainable": True, "incomplete": True}, "untrainable", "make data "),
        ({"incomplete": True, "ran": True}, "complete", "make features DATASET=a "),
        ({"ran": True}, "report", "make analysis DATASET=a RUNS=r"),
        (
            {"chosen": "a/mel-texturenet"},
            "predict",
            "make predict AUDIO=FILE RUN=a/mel-texturenet RUNS=r",
        ),
        (
            {"chosen": "a/own-linear", "audio": False},
            "paper",
            "make analysis DATASET=a RUNS=r PAPER=1",
        ),
    ],
)
def test_the_first_step_that_is_left_decides(stands, reason, command):
    given = ["DATASET=a", "RUNS=r"]
    state = State(given, ["SAMPLE_RATE=8000"], {"mel": 44}, **stands)
    typed, kind = next_step(state)
    assert kind == reason and typed.startswith(command)
