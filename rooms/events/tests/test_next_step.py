"""What to type next on a dataset of events."""

from featurestack.results.next_run import next_run
from featurestack.results.next_step import Report, State, Trained, next_step


def test_a_first_run_on_events_is_one_of_frames():
    given = ["DATASET=field.csv"]
    frames = {"mel": 431, "mfcc": 431}
    command, _ = next_step(State(given, frames=frames, framed=True))
    assert "MODEL=linear" in command and "texture" not in command
    solved = Trained("mel", ("MODEL=linear",), exact=True)
    after = State(
        given,
        frames=frames,
        framed=True,
        report=Report(ranked=2, trained=[solved, Trained("mfcc", ("MODEL=linear",))]),
    )
    assert "texture" not in next_run(after)[0]
