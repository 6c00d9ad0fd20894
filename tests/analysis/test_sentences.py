"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis import sentences


def best(**facts):
    return SimpleNamespace(
        best={"accuracy": 0.745, "accuracy_low": 0.68, "accuracy_high": 0.8},
        rows=range(30),
        **{"nested": np.nan, "nested_low": np.nan, "nested_high": np.nan} | facts,
    )


def test_the_best_of_many_has_the_interval_of_one_that_was_named_beforehand():
    assert sentences.probably(best()) == (
        "The best of 30 configurations, probably between 68.0 and 80.0 % (95 % interval"
        " if it had been named beforehand)."
    )


def test_the_best_of_many_has_the_score_of_its_choice_on_the_other_folds():
    found = best(nested=0.759, nested_low=0.701, nested_high=0.81)
    assert sentences.probably(found).endswith(
        "if it had been named beforehand; chosen on the other folds each time, it is"
        " 75.9 %, 70.1 to 81.0)."
    )


def test_a_choice_that_is_the_same_on_the_other_folds_is_said_in_two_words():
    found = best(nested=0.745, nested_low=0.68, nested_high=0.8)
    assert sentences.probably(found).endswith("each time, it is the same).")


def runs(*sets):
    return SimpleNamespace(
        runs=[
            SimpleNamespace(features=features, composed_from=of)
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
    assert sentences.composed(runs(*sets)) == said


def loss(without, lost, low, high, clear):
    row = {"without": without, "lost": lost, "low": low, "high": high}
    return row | {"clear": clear}


MEL = loss("mel", 0.143, 0.111, 0.175, False)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], ""),
        ([MEL], "Without mel 14.3 points are lost (11.1 to 17.5)."),
        (
            [MEL, loss("mfcc", 0.064, 0.041, 0.086, True)],
            (
                "Without mel 14.3 points are lost (11.1 to 17.5), without mfcc 6.4 (4.1"
                " to 8.6)."
            ),
        ),
        (
            [
                MEL,
                loss("mfcc", 0.064, 0.041, 0.086, True),
                loss("rms", 0.06, 0.04, 0.08, False),
            ],
            (
                "Without mel 14.3 points are lost (11.1 to 17.5), without mfcc 6.4 (4.1"
                " to 8.6), without rms 6.0 (4.0 to 8.0); which of mfcc and rms matters"
                " more is open."
            ),
        ),
    ],
)
def test_losses_are_ordered_as_far_as_they_differ(rows, said):
    assert sentences.losses(rows) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (
            0.03,
            0.08,
            (
                "The last doubling of the recordings brought +5.0 points (+3.0 to"
                " +8.0); the next probably brings no more than 8.0."
            ),
        ),
        (
            -0.01,
            0.08,
            (
                "No gain of the last doubling of the recordings can be seen: +5.0"
                " points (−1.0 to +8.0)."
            ),
        ),
        (
            np.nan,
            np.nan,
            "The last doubling of the recordings brought +5.0 points.",
        ),
    ],
)
def test_the_next_doubling_has_a_bound_if_the_last_brought_a_gain(low, high, said):
    last = {"gain": 0.05, "gain_low": low, "gain_high": high}
    assert sentences.doubling(last, "recordings") == said


def test_sets_that_were_not_fitted_are_counted():
    assert sentences.fitted_sets(143, 12) == "of the 143 of 4,095 sets that were fitted"
    assert sentences.fitted_sets(7, 3) == ""


def across(sets):
    row = {"feature_set": "mel+mfcc", "mean": 0.024, "low": 0.005, "high": 0.043}
    row |= {"new_low": -0.02, "new_high": 0.06, "better": 4, "datasets": 5}
    return SimpleNamespace(best=row, joint=range(sets))


def test_the_largest_of_several_means_is_said_to_be_too_high():
    assert sentences.across_unseen(across(31), 5) == (
        "mel+mfcc would gain +2.4 points on average (+0.5 to +4.3, the largest of 31,"
        " so too high); the gain of a new dataset would lie between −2.0 and +6.0"
        " points, so it may go either way."
    )
    assert "so too high" not in sentences.across_unseen(across(1), 5)


def test_few_datasets_say_nothing_of_a_new_one():
    built = across(2)
    built.best["new_low"] = np.nan
    assert sentences.across_unseen(built, 5) == (
        "nothing can be said yet: that takes 5 datasets. mel+mfcc is better on 4 of 5."
    )


def test_orders_of_importance_agree_in_part():
    assert sentences.across_travel(0.18, 0.07, 0.43, 10, 6) == (
        "The orders of 10 features by importance on 6 datasets agree in part: mean rank"
        " correlation 0.18 (0.07 to 0.43); noise makes it less than it is."
    )
