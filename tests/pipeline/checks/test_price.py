"""When an accuracy by clip is above one by group."""

import numpy as np
import pandas as pd
import pytest

from featurestack.pipeline.checks.price import by_clip, is_lost, price


@pytest.mark.parametrize(
    ("by_clip", "by_group", "clips", "lost"),
    [
        (0.953, 0.502, 600, True),  # digits by speaker
        (0.80, 0.77, 60, False),  # two clips of 60
        (0.80, 0.77, 2000, True),
        (0.5, 0.6, 200, False),
        (1.0, 1.0, 20, False),
    ],
)
def test_a_loss_is_more_than_two_standard_errors(by_clip, by_group, clips, lost):
    assert is_lost(by_clip, by_group, clips) == lost


def test_what_is_within_the_error_is_about_as_much():
    said = price("column licence", 0.9, 0.89, "accuracy", "value of it", clear=False)
    assert said == (
        "by clip 90.0, by column licence 89.0 % accuracy (linear on mel+mfcc): a new"
        " value of it has about as much"
    )


def test_clips_are_drawn_as_the_split_is():
    clips = np.arange(60)
    table = pd.DataFrame(
        {
            "clip_id": clips.astype(str),
            "label": (clips % 5).astype(str),
            "group": np.random.default_rng(1).permutation(clips % 3).astype(str),
        }
    )
    of_values = table.assign(fold=table["group"].astype(int) + 1)
    alone = by_clip(of_values)
    assert sorted(alone["fold"]) == sorted(of_values["fold"])
    assert alone["group"].is_unique
    assert np.ptp(pd.crosstab(alone["fold"], alone["label"])) > 0

    drawn = by_clip(table.assign(group=table["clip_id"], fold=1 + clips % 4))
    assert np.ptp(pd.crosstab(drawn["fold"], drawn["label"])) == 0
