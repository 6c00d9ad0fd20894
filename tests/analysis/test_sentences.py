"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis.findings import Findings, Threat
from featurestack.analysis.sentences import choice, comparison, listed, threats
from featurestack.analysis.sentences.comparison import interval
from featurestack.analysis.sentences.method import calibrated, curve_note
from featurestack.analysis.sentences.notes import left_out, media
from featurestack.analysis.sentences.result import headline, verdict
from featurestack.analysis.sentences.threats import excluded, threat


def best(**facts):
    return SimpleNamespace(
        best={"accuracy": 0.745, "accuracy_low": 0.68, "accuracy_high": 0.8},
        rows=range(30),
        **{"nested": np.nan, "nested_low": np.nan, "nested_high": np.nan} | facts,
    )


def test_the_best_of_many_has_the_interval_of_one_that_was_named_beforehand():
    assert comparison.probably(best()) == (
        "The best of 30 configurations: 95 % interval 68.0 to 80.0 %."
    )


def test_the_best_of_many_has_the_score_of_its_choice_on_the_other_folds():
    found = best(nested=0.759, nested_low=0.701, nested_high=0.81)
    assert comparison.probably(found).endswith(
        "80.0 %. Choosing the best on the other folds each time gives 75.9 % (70.1 to"
        " 81.0), which is fairer."
    )


def test_a_choice_that_is_the_same_on_the_other_folds_is_said_in_two_words():
    found = best(nested=0.745, nested_low=0.68, nested_high=0.8)
    assert comparison.probably(found).endswith("each time gives the same.")


@pytest.mark.parametrize(
    ("threats", "score"),
    [((), "98.3 % accuracy"), (("uneven",), "98.3 % accuracy (97.5 % balanced)")],
)
def test_a_choice_inside_the_folds_has_a_score_and_says_how_it_was_made(threats, score):
    found = SimpleNamespace(
        best={"accuracy": 0.983, "balanced_accuracy": 0.975, "model": "texture"},
        choice=SimpleNamespace(candidates=range(36), sets=["mel", "mel", "cqt"]),
        score="accuracy",
        threats=[SimpleNamespace(kind=kind) for kind in threats],
    )
    assert choice.right(found) == (
        f"texture has {score} on mel (2 of 3 folds) and one other, chosen from 36"
        " features without the clips that test them"
    )


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["gfcc"] * 5, "gfcc"),
        (["mel+mfcc"] * 2, "mel and mfcc"),
        (["mel", "mel", "gammatone"], "mel (2 of 3 folds) and one other"),
        (["mel", "cqt"], "mel (1 of 2 folds) and one other"),
        (["mel", "cqt", "rms"], "mel (1 of 3 folds) and others"),
        (["a+b", "a+b", "a"], "a (3 of 3 folds) and b (2)"),
    ],
)
def test_a_headline_names_the_features_that_most_folds_chose(sets, said):
    assert choice.often_chosen(sets) == said


def runs(*sets, missing=()):
    return SimpleNamespace(
        runs=[
            SimpleNamespace(features=features, composed_from=of, missing_folds=missing)
            for features, of in sets
        ]
    )


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([("mel", 0)], ""),
        (
            [("mel", 0), ("mel+mfcc", 25)],
            (
                "mel+mfcc was composed from the best of 25 feature sets on these test"
                " folds; no test or interval here corrects that, so it has no verdict."
            ),
        ),
        (
            [("mel+mfcc", 25), ("mel+rms", 25)],
            (
                "mel+mfcc and mel+rms were composed from the best of 25 feature sets on"
                " these test folds; no test or interval here corrects that, so they"
                " have no verdict."
            ),
        ),
    ],
)
def test_composed_sets_are_named(sets, said):
    assert choice.composed(runs(*sets)) == said


def test_a_choice_that_has_not_ended_is_not_called_composed():
    assert choice.composed(runs(("mel", 0), ("mel+mfcc", 25), missing=(2,))) == (
        "mel+mfcc is part of a choice from 25 feature sets that has not ended, so it"
        " has no verdict yet."
    )


def two_runs(**facts):
    best = {"label": "mel+mfcc", "accuracy": 0.9, "seeds": 1, "exact": True}
    second = best | {"label": "mel", "difference": -0.05}
    return SimpleNamespace(
        **{
            "rows": [best, second],
            "best": best,
            "state": "tie",
            "detectable": 0.097,
            "recordings": 40,
            "recordings_needed": 0,
            "group": "recording",
            "unit": "recording",
            "groups": "group",
            "score": "accuracy",
            "main": SimpleNamespace(best=SimpleNamespace(clip_ids=range(80))),
        }
        | facts
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {},
            (
                "With these clips a true difference of 9.7 points to mel would be found"
                " four times in five (power 80 %)."
            ),
        ),
        (
            {"state": "winner"},
            (
                "With these clips a true difference of 9.7 points to mel would be found"
                " four times in five (power 80 %). The measured difference is smaller,"
                " 5.0 points: other recordings might not show it."
            ),
        ),
        (
            {"detectable": 0.95},
            "40 recordings can show no difference to mel, however large (power 80 %).",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 51},
            "About 51 recordings would confirm the measured difference; there are 40.",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 500},
            (
                "Ten times as many recordings would not be enough to confirm the"
                " measured difference."
            ),
        ),
    ],
)
def test_what_the_clips_can_show_is_said_with_its_power(facts, said):
    assert comparison.enough(two_runs(**facts)) == said


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(1, "Only one seed was trained."), (3, "Some runs have one seed.")],
)
def test_one_seed_leaves_the_variation_between_trainings_out(seeds, said):
    rows = [{"seeds": 1, "exact": False, "label": "mel", "accuracy": 0.9}] * 2
    found = two_runs(rows=rows, best={"seeds": seeds}, detectable=np.nan)
    assert comparison.enough(found) == (
        f"{said} The intervals do not include the variation between trainings."
    )


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
    assert media(0, 0, 12, 0) == "No run got a clip wrong."
    assert media(3, 2, 2, 0).endswith("2 of the 3 clips that any run got wrong.")
    assert media(3, 3, 3, 0).endswith("of every clip that any run got wrong.")
    assert media(1, 1, 1, 0).endswith("of the one clip that any run got wrong.")
    assert media(3, 2, 2, 1).endswith("others play on the machine that made it.")


def test_lists_and_what_is_left_out():
    assert listed(["mel", "mfcc"]) == "mel and mfcc"
    assert listed(list("abcdef")) == "a, b, c and 3 more"
    assert left_out({"failed": 2, "excluded": 1}) == "2 failed clips, 1 run"
    assert left_out(SimpleNamespace(failed=0, excluded=0).__dict__) == ""


def test_artefacts_of_clips_with_several_labels_have_the_name_of_their_score():
    found = SimpleNamespace(several_labels=True, main=None, score="mAP")
    said = threats.artefacts(found, Threat("artefacts", 0.8, 0.5, ()))
    assert "predict the tags (macro AUROC 80.0 %, chance is 50.0 %)." in said
