"""How often detections at random times are called better than chance.

    python -m bench.event_chance

Events and detections lie at random times of recordings of one minute, without relation.
The counts go through the metric and the tests of a report. The last column has
detectors of which half of the detections are right: they should be found.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.commandline.commands import script
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.rooms.events.frames import Frames
from featurestack.rooms.events.tested import EVENT_F1, ScoredFrames
from featurestack.scores.bootstrap import recording_sums

RECORDINGS = (7, 8, 12, 30)
SECONDS, HOP = 60.0, 0.1
EVENTS = (5, 20)  # of a recording, at least and at most
LASTS = (0.5, 2.0)  # seconds of an event
RIGHT = 0.5  # share of a true detector's detections


class EventChanceOptions(Options):
    """Rates of guessing detectors that are called better than chance."""

    reports: int = option(60, "simulated reports of each row")
    seed: int = option(0, "seed of events and detections")


def drawn_spans(rng: np.random.Generator) -> np.ndarray:
    """(n, 2) spans of one recording that do not overlap."""
    number = rng.integers(*EVENTS, endpoint=True)
    begin = np.sort(rng.uniform(0, SECONDS - LASTS[1], number))
    end = begin + rng.uniform(*LASTS, number)
    return np.column_stack([begin, np.minimum(end, np.append(begin[1:], SECONDS))])


def drawn_run(recordings: int, right: float, rng: np.random.Generator) -> Any:
    """A run whose detections have this share of right ones."""
    names = [f"r{number:02}" for number in range(recordings)]
    frames = round(SECONDS / HOP)
    table = pd.DataFrame({"file": names, "group": names, "start": 0.0, "end": SECONDS})
    table = table.assign(frames=frames, fold=np.arange(recordings) % 5 + 1)
    times = (np.arange(frames) + 0.5) * HOP
    rows, probabilities = [], np.zeros((recordings, frames, 1))
    for place, name in enumerate(names):
        events, guesses = drawn_spans(rng), drawn_spans(rng)
        rows += [(name, *span, "call") for span in events]
        found = events[rng.random(len(events)) < right]
        guessed = guesses[rng.random(len(guesses)) >= right]
        for begin, end in (*found, *guessed):
            inside = (times >= begin) & (times < end)
            probabilities[place, inside] = rng.uniform(0.55, 1)
    events = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    frames_of_all = Frames(table, np.tile(times, recordings), HOP, ("call",))
    seed = ScoredFrames(frames_of_all, probabilities.reshape(-1, 1), events)
    return SimpleNamespace(answers=(seed,), groups=np.array(names))


def is_claimed(recordings: int, right: float, rng: np.random.Generator) -> bool:
    """Whether a report calls the run better than chance."""
    run = drawn_run(recordings, right, rng)
    compared = EVENT_F1.compared([run])
    chance = EVENT_F1.chance_values(run, compared.worth)
    shares = recording_sums(compared.worth[:, None], run.groups)[:, 0]
    tests = sign_flip_tests(compared.by_recording - chance[:, None], shares, LEVEL)
    return bool(tests.total[0] > 0 and tests.p[0] < LEVEL)


def simulate(options: EventChanceOptions) -> int:
    """Print the rates of claims."""
    rows = []
    for recordings in RECORDINGS:
        rng = np.random.default_rng(options.seed)
        rates = [
            np.mean(
                [is_claimed(recordings, right, rng) for _ in range(options.reports)]
            )
            for right in (0.0, RIGHT)
        ]
        rows.append([recordings, *(f"{100 * rate:.0f} %" for rate in rates)])
    heads = ["recordings", "guesses called better", f"{RIGHT:.0%} right called better"]
    print(text_table(rows, heads))
    return 0


if __name__ == "__main__":
    script(simulate)
