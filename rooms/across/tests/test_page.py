"""Sentences about several datasets: a phrase book."""

from types import SimpleNamespace

from featurestack.rooms.across.comparison import on_unseen
from featurestack.rooms.across.page import not_compared


def test_datasets_are_compared_from_three_on():
    assert not_compared(2) == ("A comparison needs 3 datasets; 2 have runs here.")
    assert not_compared(1).endswith("; one has runs here.")
    assert not_compared(4).startswith("No 3 of these 4 datasets share")


def comparison_of(sets):
    row = {"feature_set": "mel+mfcc", "mean": 0.024, "low": 0.005, "high": 0.043}
    row |= {"new_low": -0.02, "new_high": 0.06, "better": 4, "datasets": 5}
    return SimpleNamespace(best=row, joint=range(sets))


def test_the_largest_of_several_means_is_said_to_be_too_high():
    assert on_unseen(comparison_of(31)) == (
        "mel+mfcc would gain +2.4 points on average (+0.5 to +4.3, the largest of 31,"
        " so too high); the gain of a new dataset would lie between −2.0 and +6.0"
        " points, so it may go either way."
    )
    assert "so too high" not in on_unseen(comparison_of(1))
