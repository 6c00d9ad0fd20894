"""The next command on a dataset of events."""

from dataclasses import replace

import pytest

from featurestack.results.next_step import State, Trained, next_step

FINE = "@hop_length=128"


def test_a_first_run_on_events_is_one_of_frames():
    given = ["DATASET=field.csv"]
    frames = {"mel": 431, "mfcc": 431}
    command, _ = next_step(State(given, frames=frames, of_clips=False, unchecked=True))
    assert "MODEL=linear" in command and "texturenet" not in command
    solved = [Trained(name, ("MODEL=linear",)) for name in ("mel", "mfcc")]
    after = State(
        given, frames=frames, of_clips=False, ranked=2, trained=solved, exact=True
    )
    assert "texturenet" not in next_step(after)[0]


@pytest.mark.parametrize(
    ("frames", "features"),
    [
        ({"mel": 431, "mfcc": 431, "modulation": 16}, "mel mfcc mel+mfcc"),
        (
            {"mel": 861, f"mel{FINE}": 3445, f"mfcc{FINE}": 3446},
            f"mel mfcc{FINE}",
        ),
    ],
)
def test_features_of_other_frame_rates_are_not_joined(frames, features):
    given = ["DATASET=field.csv"]
    command, _ = next_step(State(given, frames=frames, of_clips=False))
    assert f"FEATURES='{features}'" in command


def test_a_run_is_joined_by_features_of_its_frame_rate():
    frames = {"mel": 431, "mfcc": 431, "chroma@hop_length=128": 1723}
    after = State(
        ["DATASET=field.csv"],
        frames=frames,
        of_clips=False,
        ranked=1,
        trained=[Trained("chroma@hop_length=128:0-5", ("MODEL=linear",), run="f/c")],
    )
    assert "+" not in next_step(after)[0]
    mel = replace(after, trained=[Trained("mel", ("MODEL=linear",), run="f/m")])
    assert "FEATURES='mfcc mel+mfcc'" in next_step(mel)[0]
