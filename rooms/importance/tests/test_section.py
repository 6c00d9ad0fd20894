"""Sentences about importance: a phrase book."""

from types import SimpleNamespace

import pandas as pd
import pytest

from featurestack.rooms.importance import section

CONFIG = {"features": ("mel", "mfcc", "chroma"), "model": "linear"}
FOLDER = SimpleNamespace(
    config=SimpleNamespace(**CONFIG, composed_from=0),
    scores=pd.DataFrame({"clip_id": ["a", "b"]}),
)


def smaller(features, verdict, *, enough=True, **values):
    row = {"features": features, "score": 0.935, "of": 0.95, "lost": 0.015}
    row |= {"low": -0.013, "high": 0.053, "verdict": verdict, "enough": enough}
    return row | values


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("open", "whether it is as good is open."),
        ("as good", "it is as good, within a twentieth of what all give above chance."),
        ("worse", "no smaller set that was fitted is as good."),
    ],
)
def test_the_words_on_a_smaller_set_follow_its_verdict(verdict, said):
    rows = [smaller("mel+chroma", verdict)]
    assert section.smaller_set(rows, FOLDER) == (
        "mel+chroma 93.5 %, 1.5 points less than all 3 features, by linear (95.0 %;"
        f" difference −1.3 to 5.3): {said}"
    )


def test_a_larger_score_is_said_to_be_more():
    rows = [smaller("mel", "open", lost=-0.025, low=-0.06, high=0.01)]
    text = section.smaller_set(rows, FOLDER)
    assert "2.5 points more than all" in text and "difference −1.0 to 6.0" in text


def test_the_smallest_set_that_is_as_good_is_named_before_one_that_may_be():
    rows = [smaller("mel", "open"), smaller("mel+mfcc", "as good")]
    assert section.smaller_set(rows, FOLDER).startswith("mel+mfcc ")


def loss(feature, mean, low, high):
    row = {"feature": feature, "mean": mean, "low": low, "high": high}
    return row | {"significant": low > 0}


def test_clear_losses_are_named_the_largest_first():
    rows = [loss("rms", 0.02, 0.01, 0.03), loss("mel", 0.143, 0.111, 0.175)]
    said = section.lost_by_feature([*rows, loss("zcr", 0.0, -0.01, 0.01)])
    assert said == (
        "Without mel 14.3 points are lost (11.1 to 17.5), without rms 2.0 points are"
        " lost (1.0 to 3.0); without one of the others no loss is clear."
    )
    none = section.lost_by_feature([loss("zcr", 0.0, -0.01, 0.01)])
    assert none == "Without any one of them no loss is clear."


def test_other_clips_than_those_of_the_runs_are_said():
    assert section.other_clips(FOLDER, ["b", "a"]) == []
    (said,) = section.other_clips(FOLDER, ["a", "b", "c"])
    assert "measured on 2 clips, the best configuration on 3" in said
