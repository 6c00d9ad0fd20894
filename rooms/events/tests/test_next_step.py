"""What to type next on a dataset of events."""

from featurestack.results.next_step import State, Trained, next_step


def test_a_first_run_on_events_is_one_of_frames():
    given = ["DATASET=field.csv"]
    frames = {"mel": 431, "mfcc": 431}
    command, _ = next_step(State(given, frames=frames, framed=True, unchecked=True))
    assert "MODEL=linear" in command and "texture" not in command
    solved = [Trained(name, ("MODEL=linear",)) for name in ("mel", "mfcc")]
    after = State(
        given, frames=frames, framed=True, ranked=2, trained=solved, exact=True
    )
    assert "texture" not in next_step(after)[0]
