"""The sentences of a report, one by one: facts in, a sentence out."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis.findings import Findings, Threat
from featurestack.analysis.sentences import interval, listed
from featurestack.analysis.sentences.method import calibrated, curve_note
from featurestack.analysis.sentences.notes import left_out, media
from featurestack.analysis.sentences.result import headline, verdict
from featurestack.analysis.sentences.threats import excluded, threat


def test_a_report_without_runs_says_so():
    assert headline(Findings("none")) == "No run has been trained yet"
    one = Findings("none", excluded={"damaged": 1})
    assert headline(one) == "No run can be read: 1 run is damaged"
    assert headline(Findings("none", excluded={"damaged": 2})).endswith(
        "2 runs are damaged"
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"verdict": "best", "reason": ""}, "best"),
        ({"verdict": "clearly worse", "reason": ""}, "clearly worse"),
        ({"verdict": "not compared", "reason": "alone"}, "nothing to compare with"),
        (
            {"verdict": "not compared", "reason": "few recordings"},
            "not compared: too few speakers",
        ),
        ({"verdict": "not compared", "reason": "folds"}, "not compared"),
    ],
)
def test_a_verdict_says_why_it_is_none(row, text):
    assert verdict(Findings("tie", groups="speaker"), row) == text


def test_a_difference_without_an_interval_says_why():
    facts = Findings("untested", groups="speaker")
    assert interval(facts, 0.01, 0.032) == " (+1.0 to +3.2)"
    assert interval(facts, np.nan, np.nan) == " (too few speakers for an interval)"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("failed", "1 clip of 1,200 failed and is not tested."),
        ("changed", "1 run is older than the clips or their labels: train again."),
        ("added", "1 clip is newer than the runs and not tested: train again."),
    ],
)
def test_one_thing_has_a_verb_in_the_singular(kind, text):
    assert threat(Findings("one"), Threat(kind, 1, 1200)) == text


def test_artefacts_are_named_in_words():
    said = threat(
        Findings("one"), Threat("artefacts", 0.4, 0.1, ("trail 30.0 %", "level"))
    )
    assert (
        "(40.0 %, chance is 10.0 %): above all padding at the end (30.0 % alone)"
        in said
    )
    assert "and level. Part of the accuracy may come from them." in said


def test_runs_that_are_not_compared_are_counted_by_reason():
    one = Findings("tie", excluded={"folds": 1, "damaged": 4})
    assert excluded(one) == "One other run is not compared, because it lacks folds."
    alike = Findings("tie", excluded={"clips": 3})
    assert excluded(alike).endswith(
        "3 other runs are not compared, because they tested other clips."
    )
    both = Findings("tie", excluded={"task": 2, "folds": 1})
    assert excluded(both).endswith("because 2 have another task; 1 lacks folds.")
    assert excluded(Findings("tie", excluded={"unfinished": 2})) == ""


def test_calibration_that_cannot_be_shown_is_said():
    row = {
        "calibration_error": 0.02,
        "calibration_floor": 0.03,
        "calibration_scaled": np.nan,
    }
    said = calibrated(Findings("one", rows=[row]))
    assert said.endswith("about 0.030, so no miscalibration can be shown.")


def test_what_makes_the_training_loss_larger_is_named():
    assert "because it is a mean over the epoch" in curve_note("", 0.0)
    said = curve_note("mixup=0.5", 0.1)
    assert "augmented (mixup=0.5), which makes them harder; labels are smoothed" in said


def test_media_that_are_elsewhere_are_said():
    assert "no players" in media(3, 0, 0, 0)
    assert media(3, 2, 2, 0).endswith("2 of the 3 clips that any run got wrong.")
    assert media(3, 2, 2, 1).endswith("others play on the machine that made it.")


def test_lists_and_what_is_left_out():
    assert listed(["mel", "mfcc"]) == "mel and mfcc"
    assert listed(list("abcdef")) == "a, b, c and 3 more"
    assert left_out({"failed": 2, "excluded": 1}) == "2 failed clips, 1 run"
    assert left_out(SimpleNamespace(failed=0, excluded=0).__dict__) == ""
