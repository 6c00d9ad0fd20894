"""Folds that are drawn: groups stay together, classes are spread, what stands is kept, a seed repeats."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets.folds import draw_folds

CLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60).map(str)), min_size=6, max_size=60)


@settings(max_examples=40, deadline=None)
@given(CLIPS, st.integers(2, 5), st.integers(0, 9))
def test_drawn_folds_keep_groups_together_and_repeat(clips, folds, seed):
    labels, groups = zip(*clips)
    drawn = draw_folds(labels, groups, folds, seed)
    assert set(drawn) <= set(range(1, folds + 1))
    assert pd.Series(drawn).groupby(list(groups)).nunique().max() == 1
    assert (draw_folds(labels, groups, folds, seed) == drawn).all()


def test_drawn_folds_spread_every_class_evenly():
    labels = [label for label in "abcde" for _ in range(40)]
    groups = [str(number // 2) for number in range(200)]
    counts = pd.crosstab(labels, draw_folds(labels, groups, 5, seed=0))
    assert counts.shape == (5, 5)
    assert counts.to_numpy().min() == counts.to_numpy().max() == 8


def test_another_seed_draws_other_folds():
    labels, groups = ["a"] * 50, [str(number) for number in range(50)]
    assert (draw_folds(labels, groups, 5, seed=0) != draw_folds(labels, groups, 5, seed=1)).any()


def test_folds_that_stand_are_kept_and_the_others_fill_up_around_them():
    kept = {str(number): 1 + number % 2 for number in range(20)}  # folds 1 and 2 are full already
    groups = [str(number) for number in range(50)]
    drawn = draw_folds(["a"] * 50, groups, 5, seed=3, kept=kept)
    assert [int(fold) for fold in drawn[:20]] == list(kept.values())
    assert np.bincount(drawn, minlength=6)[1:].tolist() == [10] * 5
