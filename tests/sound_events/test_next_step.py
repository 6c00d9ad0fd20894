"""The next command on a dataset of events."""

from dataclasses import replace

from featurestack.commandline.next_step import State, Trained, next_step

FINE = "@frame=12"


def test_a_first_run_on_events_is_one_of_frames():
    given = ["DATASET=field.csv"]
    frames = {"mel": 431, "mfcc": 431}
    command, _ = next_step(State(given, frames=frames, of_clips=False))
    assert "MODEL=frames" in command


def test_features_of_events_are_compared_and_not_joined():
    frames = {"mel": 861, f"mel{FINE}": 3445, f"mfcc{FINE}": 3446}
    given = ["DATASET=field.csv"]
    first = State(given, frames=frames, of_clips=False)
    assert f"FEATURES='mel mfcc{FINE}'" in next_step(first)[0]
    trained = [Trained("mel", ("MODEL=frames",), run="f/mel")]
    after = replace(first, ranked=1, trained=trained)
    assert next_step(after)[0].startswith("make predict ")
