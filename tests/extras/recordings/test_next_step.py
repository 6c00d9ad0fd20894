"""The next command on a dataset of events."""

from featurestack.base.next_step import State, next_step

FINE = "@frame=12"


def test_features_of_events_are_compared_by_a_model_of_frames():
    frames = {"mel": 861, f"mel{FINE}": 3445, f"mfcc{FINE}": 3446}
    given = ["DATASET=field.csv"]
    first = State(given, frames=frames, of_clips=False)
    command, _ = next_step(first)
    assert "MODEL=frames" in command and f"FEATURES='mel mfcc{FINE}'" in command
