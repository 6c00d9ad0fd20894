"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis import sentences


def best(**facts):
    return SimpleNamespace(
        best={"accuracy": 0.745, "accuracy_low": 0.68, "accuracy_high": 0.8},
        alike=range(30),
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
