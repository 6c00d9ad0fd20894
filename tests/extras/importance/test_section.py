"""Verdicts of importance, and its figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.base.json_content import digest
from featurestack.extras.importance import section
from tests.analysis.test_figures import INTERVALS, NAMES, assert_drawn
from tests.cases import cases


def measured(verdict, **given):
    """Importance of three features, and of one smaller set with this verdict."""
    losses = {"feature": [*"abc"], "measure": "lost", "mean": [0.03, 0.1, 0.01]}
    losses["significant"] = [True, True, False]
    row = {"features": "a+b", "score": 0.935, "lost": 0.015}
    row |= {"low": -0.013, "high": 0.053, "verdict": verdict}
    tables = {"features": pd.DataFrame(losses), "smaller": pd.DataFrame([row])}
    given = {"recordings": 40, "every": 0.95, "tables": tables} | given
    return SimpleNamespace(**given)


def test_a_smaller_set_is_named_only_if_the_interval_says_that_it_is_as_good():
    lost, good = section.verdicts(measured("as good")).items()
    assert lost == ("Points lost without a feature", "b 10.0, a 3.0")
    assert good == (
        "As good as all features, 95.0 %",
        "a+b 93.5 %, 1.5 points less (97.5 % interval −1.3 to 5.3)",
    )
    *_, text = section.verdicts(measured("open")).values()
    assert text == "no smaller set"


def test_few_recordings_and_features_no_better_than_chance_have_no_verdict():
    (few,) = section.verdicts(measured("as good", recordings=6)).values()
    assert few == (
        "most without b, 10.0; 6 recordings are too few for a verdict, which needs 7"
    )
    chance = measured("open")
    chance.tables["smaller"] = pd.DataFrame()
    (text,) = section.verdicts(chance).values()
    assert text == "not clearly better than chance"


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
