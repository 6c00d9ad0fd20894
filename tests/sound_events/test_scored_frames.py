"""The metric by which runs of events are ranked."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.scores.tasks import task_of
from featurestack.sound_events.scored_frames import (
    EVENT_F1,
    ScoredFrames,
    jackknife_values,
)
from featurestack.sound_events.task import EVENTS
from tests.refusal import refused
from tests.sound_events.field import frames


def counts(partners, events, detections):
    return np.array([partners, events, detections], float)


def test_jackknife_values_sum_to_the_score():
    of_recordings = counts([3, 5, 0, 2], [4, 5, 2, 3], [3, 6, 1, 2])
    values = jackknife_values(of_recordings, np.array([2, 2, 1, 3]))
    assert values.sum() == pytest.approx(2 * 10 / (14 + 12))
    assert values.argmin() == 2  # the recording in which nothing is right


def two_stretches(probabilities, events):
    """Two stretches of ten frames, 0.1 s apart."""
    table = pd.DataFrame(events, columns=["file", "start", "end", "label"])
    given = np.array(probabilities)[:, None]
    return ScoredFrames(frames(1, 1, classes=("x",)), given, table)


def test_each_fold_is_scored_by_its_own_recordings():
    probabilities = np.zeros(20)
    probabilities[2:5] = 0.9  # right in a, nothing in b
    own = two_stretches(probabilities, [("r0", 0.2, 0.5, "x"), ("r1", 0.2, 0.5, "x")])
    assert own.by_fold["event_f1"].tolist() == [1, 0]
    assert own.by_group(["r0", "r1"]).tolist() == [[1, 0], [1, 1], [1, 0]]


def test_detections_at_other_times_are_chance():
    rows = [(name, at, at + 0.6, "x") for name in ("r0", "r1") for at in range(10)]
    table = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    of_recordings = frames(10, 10, classes=("x",))
    own = ScoredFrames(of_recordings, of_recordings.targets(table).astype(float), table)
    run = SimpleNamespace(answers=(own,), groups=np.array(["r0", "r1"]))
    assert EVENT_F1.seed_scores(run)[0] == 1
    # sounds at regular times are met again by some shifts
    assert 0.2 < EVENT_F1.chance_values(run, np.ones(2)).sum() < 0.8


def test_the_loss_of_frames_is_that_of_what_is_true():
    probabilities = np.full(20, 0.25)
    own = two_stretches(probabilities, [("r0", 0.2, 0.5, "x")])
    losses = own.log_losses(exclusive=True)
    assert losses[2:5] == pytest.approx(-np.log(0.25))
    assert losses[5:] == pytest.approx(-np.log(0.75))
    assert own.log_losses(exclusive=False) == pytest.approx(losses)


def test_labels_of_few_recordings_are_named_before_training(capsys):
    labels = ["owl;jay", "owl", "owl", "jay", ""]
    table = pd.DataFrame({"label": labels, "group": [*"abcde"]})
    EVENTS.refuse_clips(table)
    few = "1 of 2 labels are in fewer than 3 recordings"
    assert few in capsys.readouterr().err
    with refused("2 of 2 labels are in fewer than 3 recordings.*: jay 1, owl 1;"):
        EVENTS.refuse_clips(table.assign(group="a"))


def test_runs_of_events_are_ranked_by_their_f1():
    task = task_of("events")
    assert task.metric is EVENT_F1
    assert f"test_{task.score}" in task.history_columns
    assert {*EVENT_F1.sentences} == {"chance", "classes", "method", "statistics"}
