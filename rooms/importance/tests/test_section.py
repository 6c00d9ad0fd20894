"""Sentences about importance: a phrase book."""

from types import SimpleNamespace

import pytest

from featurestack.rooms.importance import section

FOLDER = SimpleNamespace(
    features=["mel", "mfcc", "chroma"],
    config=SimpleNamespace(model="linear", score="accuracy", composed_from=0),
    values=lambda: range(8),
)


def kept(features, **values):
    row = {"features": features, "accuracy": 0.75, "of": 0.8, "folds": 1.0}
    return row | {"lost": 0.05, "low": 0.01, "high": 0.09} | values


def test_the_kept_set_is_named_with_what_it_lacks():
    assert section.what_matters([kept("mel")], FOLDER, ["mel"]) == (
        "A smaller set is nearly as good: mel reaches 75.0 % accuracy; all 3 features,"
        " by linear, reach 80.0 % (5.0 points less, 1.0 to 9.0). Each fold's set was"
        " chosen on the other folds."
    )
    often = section.what_matters([kept("mel", folds=0.6)], FOLDER, ["mel"])
    assert often.endswith("on the other folds; 60 % of the folds chose this one.")


def loss(without, lost, low, high, clear):
    row = {"without": without, "lost": lost, "low": low, "high": high}
    return row | {"clear": clear}


MEL = loss("mel", 0.143, 0.111, 0.175, False)
MFCC = loss("mfcc", 0.064, 0.041, 0.086, True)
WITHOUT_MEL = "Without mel 14.3 points are lost (11.1 to 17.5)"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([MEL], f"{WITHOUT_MEL}."),
        ([MEL, MFCC], f"{WITHOUT_MEL}, without mfcc 6.4 (4.1 to 8.6)."),
        (
            [MEL, MFCC, loss("rms", 0.06, 0.04, 0.08, False)],
            (
                f"{WITHOUT_MEL}, without mfcc 6.4 (4.1 to 8.6), without rms 6.0 (4.0 to"
                " 8.0); which of mfcc and rms matters more is open."
            ),
        ),
    ],
)
def test_losses_are_ordered_as_far_as_they_differ(rows, said):
    assert section.lost_by_feature(rows) == said
