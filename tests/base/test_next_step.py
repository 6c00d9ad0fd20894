"""The command to type next, without a report; those for a ranking are in
tests/analysis/test_next_run.py.
"""

import pytest

from featurestack.base.next_step import State, next_step

BY_QUICK = {
    "chroma mel mfcc waveform": "'mel mfcc chroma mel+mfcc+chroma'",
    "modulation mel mfcc": "'mel mfcc mel+mfcc mel+mfcc+modulation'",
    "mel waveform": "mel",
}
FIRST = {cached: f"{sets} MODEL=texturenet" for cached, sets in BY_QUICK.items()}
FIRST |= {"waveform": "waveform MODEL=aclnet", "embedding": "embedding MODEL=ridge"}
FIRST = {cached: f"train DATASET=synth FEATURES={own}" for cached, own in FIRST.items()}
FIRST[""] = "features DATASET=synth"


@pytest.mark.parametrize(("cached", "quick"), FIRST.items())
def test_a_few_sets_by_a_quick_model_are_proposed(cached, quick):
    counts = {"waveform": 22050, "embedding": 1}
    frames = {name: counts.get(name, 44) for name in cached.split()}
    state = State(["DATASET=synth"], frames=frames)
    assert next_step(state) == (f"make {quick}", "first")


def test_many_features_are_not_typed_out():
    frames = {f"f{number}": 44 for number in range(36)}
    state = State(["DATASET=a"], frames=frames, incomplete=True)
    assert next_step(state) == ("make features DATASET=a", "extract")


@pytest.mark.parametrize(
    ("stands", "reason", "command"),
    [
        (
            {"incomplete": True},
            "extract",
            "make features DATASET=a SAMPLE_RATE=8000 FEATURES=mel",
        ),
        (
            {"incomplete": True, "part": "2/3"},
            "extract",
            "make features DATASET=a SAMPLE_RATE=8000 FEATURES=mel PART=2/3",
        ),
        ({"unreported": True}, "report", "make analysis DATASET=a RUNS=r"),
        ({"synthetic": True}, "own", "make answer DATASET='my sounds'"),
        (
            {"unchecked": True, "untrainable": True},
            "check",
            "make check DATASET=a SAMPLE_RATE=8000",
        ),
        ({"untrainable": True, "incomplete": True}, "untrainable", "make data "),
        ({"begun": True}, "", ""),
    ],
)
def test_the_first_step_that_is_left_decides(stands, reason, command):
    given = ["DATASET=a", "RUNS=r"]
    state = State(given, ["SAMPLE_RATE=8000"], {"mel": 44}, **stands)
    typed, kind = next_step(state)
    assert kind == reason and typed.startswith(command)
