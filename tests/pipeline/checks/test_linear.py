"""When an accuracy by clip is above one by group, and the folds of clips."""

import numpy as np
import pandas as pd
import pytest

from featurestack.pipeline.checks.linear import by_clip, is_lost


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


def test_clips_have_folds_with_as_many_clips_of_each_class_as_the_split():
    """So a speaker who says one word more often than others is no leak."""
    rng = np.random.default_rng(1)
    target, speaker = rng.integers(0, 5, 60), rng.integers(0, 3, 60)
    speaker[:20] = target[:20] % 3
    table = pd.DataFrame({"clip_id": np.arange(60).astype(str), "label": target})
    split = table.assign(group=speaker.astype(str), fold=speaker + 1)
    alone = by_clip(split)
    assert alone["group"].is_unique and (alone["fold"] != split["fold"]).any()
    counts = pd.crosstab(split["fold"], split["label"])
    assert pd.crosstab(alone["fold"], alone["label"]).equals(counts)
