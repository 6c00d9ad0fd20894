"""Train, validation and test clips of each fold."""

from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestack.base.errors import RequestError
from featurestack.results.splits import fold_split
from tests.refusal import refused


def clip_table(labels, groups, folds, copies=0):
    """A table of originals and of so many copies of each that are only trained on, in
    any folds; the second copies are of a recording that nobody tests.
    """
    columns = {"label": labels, "group": groups, "fold": folds, "train_only": ""}
    originals = pd.DataFrame(columns)
    originals["clip_id"] = [f"clip{number}" for number in originals.index]
    altered = originals.assign(train_only="1", fold=folds[::-1])
    first = altered.assign(clip_id=originals["clip_id"] + "~1")
    made = altered.assign(clip_id=originals["clip_id"] + "~2", group="made")
    return pd.concat([originals, *[first, made][:copies]], ignore_index=True)


@st.composite
def tables(draw):
    """Groups may span folds and classes, as they do in tables from elsewhere."""
    size = draw(st.integers(6, 30))
    labels = draw(st.lists(st.sampled_from("abc"), min_size=size, max_size=size))
    groups = draw(st.lists(st.integers(0, size).map(str), min_size=size, max_size=size))
    folds = draw(st.lists(st.integers(1, 5), min_size=size, max_size=size))
    return clip_table(labels, groups, folds, copies=draw(st.integers(0, 2)))


@settings(max_examples=20, deadline=None)
@given(tables(), st.sampled_from(["none", "next", "group"]), st.integers(0, 3))
def test_a_split_is_disjoint_by_group_and_covers_every_original(table, val, seed):
    originals = table[table["train_only"] == ""]
    group = table.set_index("clip_id")["group"]
    for fold in originals["fold"].unique():
        try:
            parts = fold_split(table, fold, val=val, seed=seed)
        except RequestError as error:
            assert "no clip" in str(error)  # too few groups for this protocol
            continue
        for side, other in combinations((parts.train, parts.val, parts.test), 2):
            assert not set(group[side]) & set(group[other])
        tested = originals["clip_id"][originals["fold"] == fold]
        assert set(parts.test) == set(tested)
        every = [*parts.statistics, *parts.val, *parts.test, *parts.left_out]
        assert sorted(every) == sorted(originals["clip_id"])
        held_out = set(group[parts.test]) | set(group[parts.val])
        assert set(group[parts.left_out]) <= held_out
        copies = table[(table["train_only"] == "1") & ~table["group"].isin(held_out)]
        assert set(parts.train) - set(parts.statistics) == set(copies["clip_id"])


def test_validation_takes_the_next_fold_around_the_end():
    table = clip_table(["a"] * 10, [*"0123456789"], [1, 2, 3, 4, 5] * 2)
    folds = table.set_index("clip_id")["fold"]
    for fold, validated in ((4, 5), (5, 1)):
        assert {*folds[fold_split(table, fold, val="next").val]} == {validated}


def test_group_validation_takes_a_share_of_every_class_and_never_its_last_group():
    labels = ["a"] * 60 + ["b"] * 39 + ["rare"]
    table = clip_table([*labels, "a"], [*map(str, range(101))], [1] * 100 + [2])
    first = fold_split(table, 2, val="group").val
    drawn = table.set_index("clip_id").loc[first, "label"]
    assert drawn.value_counts().to_dict() == {"a": 9, "b": 6}
    assert set(first) == set(fold_split(table[::-1], 2, val="group").val)
    assert set(first) != set(fold_split(table, 2, val="group", seed=1).val)


@pytest.mark.parametrize(
    ("fold", "val", "message"),
    [
        (9, "none", r"there is no fold 9; the folds are \[1, 2\]"),
        (1, "next", "no clip is left to train on"),
    ],
)
def test_an_impossible_request_is_reported(fold, val, message):
    table = clip_table(["a"] * 4, list("wxyz"), [1, 1, 2, 2], copies=1)
    with refused(message):
        fold_split(table, fold, val=val)
