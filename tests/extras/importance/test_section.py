"""Sentences about importance, a phrase book, and its figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.base.json_content import digest
from featurestack.extras.importance import section
from tests.analysis.test_figures import INTERVALS, NAMES, assert_drawn
from tests.cases import cases

EVERY = "3 features, by ridge"


def smaller(features, verdict):
    row = {"features": features, "score": 0.935, "of": 0.95, "lost": 0.015}
    return row | {"low": -0.013, "high": 0.053, "verdict": verdict}


def test_a_smaller_set_is_named_only_if_the_interval_says_that_it_is_as_good():
    rows = [smaller("mel", "worse"), smaller("mel+mfcc", "as good")]
    assert section.smaller_set(pd.DataFrame(rows), EVERY) == (
        "mel+mfcc 93.5 % is as good as all 3 features, by ridge (95.0 %): it loses 1.5"
        " points (97.5 % interval −1.3 to 5.3), which is within a twentieth of what all"
        " give above chance."
    )
    rows = [smaller("mel", "open")]
    assert section.smaller_set(pd.DataFrame(rows), EVERY) == (
        "None of the smaller sets could be shown to be as good as all 3 features, by"
        " ridge (95.0 %)."
    )


@cases("clips", "data", "classes", "same")
def test_importance_of_other_clips_or_labels_than_a_runs_is_known(
    clips, data, classes, same
):
    tables = {"classes": pd.DataFrame({"class": ["cat", "dog"]})}
    measured = SimpleNamespace(tables=tables, tested=digest(["a", "b"]), data="old")
    config = SimpleNamespace(clips=data)
    run = SimpleNamespace(clip_ids=[*clips], classes=classes, config=config)
    assert section.is_of(measured, run) == same


CLASSES = {
    "class": np.repeat(NAMES, 3),
    "feature": NAMES * 3,
    "mean": [0.25, -0.25, 10.25] * 3,
}
EXAMPLES = {
    "importance": INTERVALS,
    "importance_by_class": {"classes": pd.DataFrame(CLASSES)},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_figure_draws_into_its_axes_at_a_papers_width_with_no_small_text(name):
    assert_drawn(name, EXAMPLES[name])
