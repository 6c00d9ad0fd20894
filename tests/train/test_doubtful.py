"""The windows to look at next."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.events.annotations import read_events
from featurestack.results.config import JoiningRule
from featurestack.train.doubtful import doubtful_windows, margins
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask


def test_the_margin_is_the_distance_to_the_nearest_threshold():
    probabilities = pd.DataFrame({"x": [0.1, 0.8], "background": [0.5, 0.5]})
    rules = {"x": JoiningRule(threshold=0.5), "background": JoiningRule(threshold=0.5)}
    assert margins(probabilities, rules).tolist() == pytest.approx([0.4, 0.3])


def test_without_thresholds_the_margin_is_that_of_the_two_most_probable():
    probabilities = pd.DataFrame({"x": [0.1, 0.5], "y": [0.8, 0.4], "z": [0.1, 0.1]})
    assert margins(probabilities, {}).tolist() == pytest.approx([0.7, 0.1])


def test_the_most_doubtful_come_first_and_do_not_overlap():
    starts = np.array([0.0, 0.5, 1.0, 1.5])
    windows = pd.DataFrame({"file": "a", "start": starts, "end": starts + 1})
    probabilities = pd.DataFrame({"x": [0.9, 0.45, 0.52, 0.3]})
    rules = {"x": JoiningRule(threshold=0.5)}
    chosen = doubtful_windows(windows, probabilities, rules, 9)
    assert chosen["start"].tolist() == [1.0, 0.0]
    assert doubtful_windows(windows, probabilities, rules, 1)["start"].tolist() == [1.0]


def test_a_table_for_raven_and_cut_sounds_are_written(sounding, tmp_path):
    (tmp_path / "in").mkdir()
    y = np.concatenate([sound("tone", 50, 3), sound("hiss", 50, 3)])
    soundfile.write(tmp_path / "in" / "a.wav", y, RATE)
    given = {"audio": tmp_path / "in", "out": tmp_path, "hop": 0.5}
    assert ask(sounding, **given, doubtful=3) == 0
    assert ask(sounding, **given, doubtful=2) == 0
    table = read_events(tmp_path / "doubtful.selections.txt", {"a.wav": 6.0}).events
    assert len(table) == 2
    cuts = sorted((tmp_path / "doubtful").iterdir())
    assert [cut.name[:2] for cut in cuts] == ["1-", "2-"]
    # a second before and after the window, as far as there is one
    assert {soundfile.info(cut).duration for cut in cuts} <= {2.0, 2.5, 3.0}
