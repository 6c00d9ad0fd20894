"""Drawn folds: by source recording, stratified, seeded, drawn another time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestack.features_cache.folds import draw_folds, redrawn

GROUPS = st.integers(0, 60)
CLIPS = st.lists(st.tuples(st.sampled_from("abc"), GROUPS), min_size=6, max_size=60)


@settings(max_examples=40, deadline=None)
@given(
    CLIPS,
    st.integers(2, 5),
    st.integers(0, 9),
    st.dictionaries(GROUPS, st.just(2)),
    st.integers(0, 2),
)
def test_drawn_folds_keep_groups_together_leave_those_that_stand_and_repeat(
    clips, folds, seed, kept, repeat
):
    labels, groups = zip(*clips)
    drawn = draw_folds(labels, groups, folds, seed, kept, repeat)
    assert set(drawn) <= set(range(1, folds + 1))
    assert pd.Series(drawn).groupby(list(groups)).nunique().max() == 1
    assert all(fold == kept.get(group, fold) for group, fold in zip(groups, drawn))
    assert (draw_folds(labels, groups, folds, seed, kept, repeat) == drawn).all()


def test_other_names_of_classes_and_another_order_of_clips_draw_the_same_folds():
    rng = np.random.default_rng(0)
    takes = rng.integers(0, 50, 200)
    labels = takes % 4
    drawn = draw_folds(*named("dog owl cat emu", labels, takes), 5, 3, {})
    order = rng.permutation(200)
    renamed = named("emu dog owl ant", labels[order], takes[order])
    assert (draw_folds(*renamed, 5, 3, {}) == drawn[order]).all()


def named(classes, labels, takes):
    """Labels and groups, as of files `class/take`."""
    names = [classes.split()[label] for label in labels]
    return names, [f"{name}/{take}" for name, take in zip(names, takes)]


def test_folds_balance_every_label_of_clips_that_have_several_or_none():
    rng = np.random.default_rng(0)
    chosen = rng.random((600, 4)) < [0.5, 0.3, 0.2, 0.1]
    labels = [";".join(np.array(list("abcd"))[row]) for row in chosen]
    drawn = draw_folds(labels, np.repeat(np.arange(60), 10), 5, 0, {})
    by_fold = pd.DataFrame(chosen).groupby(drawn).mean()
    assert (np.ptp(by_fold, axis=0) < 0.07).all()  # 0.14 for random folds


@pytest.mark.parametrize("sizes", ["equal", "all differ"])
def test_each_repeat_draws_other_folds_that_are_balanced(sizes):
    """Groups that all differ in size have one order by size."""
    clips = np.full(40, 5) if sizes == "equal" else np.arange(1, 41)
    groups = np.repeat(np.arange(40), clips)
    table = pd.DataFrame(
        {"label": np.array(["ant", "bee"])[groups % 2], "group": groups.astype(str)}
    ).assign(train_only="")
    table["fold"] = draw_folds(table["label"], table["group"], 5, 0, {})
    drawings = {repeat: redrawn(table, repeat)["fold"] for repeat in range(5)}
    assert drawings[0].equals(table["fold"])
    together = [
        np.equal.outer(own.to_numpy(), own.to_numpy()).tobytes()
        for own in drawings.values()
    ]
    assert len({*together}) == 5  # whatever the numbers of the folds
    for folds in drawings.values():
        of_fold = pd.crosstab(folds, table["label"])
        assert folds.groupby(table["group"]).nunique().max() == 1
        assert sorted(folds.unique()) == [1, 2, 3, 4, 5]
        assert (of_fold.max() <= 1.35 * of_fold.min()).all()


def test_a_clip_that_is_only_trained_on_goes_with_its_group():
    table = pd.DataFrame(
        {"label": ["ant", "bee"] * 10, "group": [*"aabbccddeeffgghhiizz"]}
    ).assign(train_only=["", "1"] * 9 + ["1", "1"], fold=1)
    table.loc[::4, "fold"] = 2
    again = redrawn(table, 1)
    assert (again.groupby("group")["fold"].nunique()[[*"abcdefghi"]] == 1).all()
    assert again["fold"][18:].equals(table["fold"][18:])
