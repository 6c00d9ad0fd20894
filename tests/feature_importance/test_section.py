"""Sentences about importance: a phrase book."""

from types import SimpleNamespace

import pandas as pd

from featurestack.feature_importance import section
from featurestack.results.config import digest

EVERY = "3 features, by ridge"


def smaller(features, verdict):
    row = {"features": features, "score": 0.935, "of": 0.95, "lost": 0.015}
    return row | {"low": -0.013, "high": 0.053, "verdict": verdict}


def test_a_smaller_set_is_named_only_if_the_interval_says_that_it_is_as_good():
    rows = [smaller("mel", "worse"), smaller("mel+mfcc", "as good")]
    assert section.smaller_set(pd.DataFrame(rows), EVERY) == (
        "mel+mfcc 93.5 % is as good as all 3 features, by ridge (95.0 %): it loses 1.5"
        " points (−1.3 to 5.3), which is within a twentieth of what all give above"
        " chance."
    )
    rows = [smaller("mel", "open")]
    assert section.smaller_set(pd.DataFrame(rows), EVERY) == (
        "No smaller set is shown to be as good as all 3 features, by ridge (95.0 %)."
    )


def test_other_clips_than_those_of_the_runs_are_said():
    measured = SimpleNamespace(
        features=("mel", "mfcc"), clips=2, tested=digest(["a", "b"])
    )
    assert section.other_clips(measured, ["b", "a"]) == []
    (said,) = section.other_clips(measured, ["a", "b", "c"])
    assert "measured on 2 clips, the best configuration on 3" in said
