"""The clip table, complete and validated."""

from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestack.base.errors import RequestError
from featurestack.features_cache.table import (
    CLIP_COLUMNS,
    WINDOW_COLUMNS,
    by_label,
    complete,
    fold_split,
    has_tags,
    label_indicator,
    originals,
    untrainable,
    whole_split,
)
from tests.refusal import refused

PLAIN = {"clip_id": ["a", "b", "a~1"], "label": ["x", "y", "x"], "fold": [1, 2, 1]}


@pytest.mark.parametrize("blank", ["", " ", None])
def test_missing_columns_are_empty_and_a_blank_group_is_the_clips_own(blank):
    table = complete(PLAIN)
    assert list(table) == [*CLIP_COLUMNS, *WINDOW_COLUMNS]
    assert table["path"].tolist() == ["", "", ""]
    assert table["group"].tolist() == ["a", "b", "a~1"]
    given = complete(PLAIN | {"group": ["rec", blank, "rec"]})
    assert given["group"].tolist() == ["rec", "b", "rec"]


@pytest.mark.parametrize("mark", [1, "1", True, "TRUE", 1.0])
def test_a_clip_may_be_marked_as_only_trained_on(mark):
    given = PLAIN | {"train_only": [None, "", mark], "group": ["a", "b", "a"]}
    table = complete(given)
    assert table["train_only"].tolist() == ["", "", "1"]
    assert originals(table)["clip_id"].tolist() == ["a", "b"]


def test_each_label_of_a_clip_counts_and_no_label_is_none():
    table = complete(PLAIN | {"label": ["x;y", "", "x"]})
    rows = by_label(table)[["clip_id", "label"]].to_numpy().tolist()
    assert rows == [["a", "x"], ["a", "y"], ["b", ""], ["a~1", "x"]]
    assert has_tags(table) and not has_tags(complete(PLAIN))
    known = [[True, True], [False, False], [True, False]]
    assert label_indicator(table["label"], ["x", "y"]).tolist() == known
    assert label_indicator(["z", "y"], ["y"]).tolist() == [[False], [True]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_id": ["a", "", "b"]}, "row 1 .* no clip_id"),
        ({"clip_id": ["a", "b", "a"]}, "ids occur twice: a"),
        ({"train_only": ["", "", "yes"]}, "a~1 has train_only 'yes'; expected 1"),
        ({"train_only": ["", "", 1]}, "a~1 is marked train_only and has no group"),
        ({"train_only": 1, "group": "rec"}, "every clip is marked train_only"),
        ({"label": None}, "lacks the columns label"),
        ({"fold": [1.5, 2, 1]}, "folds are not whole numbers"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(change, message):
    given = {key: value for key, value in (PLAIN | change).items() if value is not None}
    with refused(message):
        complete(given)


def clip_table(labels, groups, folds, copies=0):
    """A table of originals and of so many copies of each that are only trained on."""
    columns = {"label": labels, "group": groups, "fold": folds, "train_only": ""}
    originals = pd.DataFrame(columns)
    originals["clip_id"] = [f"clip{number}" for number in originals.index]
    altered = [
        originals.assign(clip_id=originals["clip_id"] + f"~{number}", train_only="1")
        for number in range(1, copies + 1)
    ]
    return pd.concat([originals, *altered], ignore_index=True)


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
    for fold in table["fold"].unique():
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
        copies = table[(table["train_only"] == "1") & ~table["group"].isin(held_out)]
        assert set(parts.train) - set(parts.statistics) == set(copies["clip_id"])


def test_a_training_clip_of_a_tested_source_is_left_out_and_counted():
    table = clip_table(["a", "b"] * 4, [*"x123x456"], [1, 1, 2, 2, 2, 3, 3, 3])
    parts = fold_split(table, 1)
    assert parts.left_out.tolist() == ["clip4"]
    assert parts.train.tolist() == ["clip2", "clip3", "clip5", "clip6", "clip7"]


def test_a_clip_that_is_only_trained_on_is_left_out_where_its_recording_is_tested():
    """Its fold says nothing, and a recording that nobody tests is always trained on."""
    table = clip_table(["a", "b"] * 2, ["w", "x", "y", "z"], [1, 1, 2, 2])
    rows = [("w~1", "a", "w", 2, "1"), ("made", "a", "made", 1, "1")]
    columns = ["clip_id", "label", "group", "fold", "train_only"]
    table = pd.concat([table, pd.DataFrame(rows, columns=columns)], ignore_index=True)
    first, second = (fold_split(table, fold) for fold in (1, 2))
    assert first.train.tolist() == ["clip2", "clip3", "made"]
    assert second.train.tolist() == ["clip0", "clip1", "w~1", "made"]
    assert first.statistics.tolist() == ["clip2", "clip3"]
    assert whole_split(table).train.tolist() == table["clip_id"].tolist()


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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"label": "a"}, "one class only (a), and training needs two"),
        ({"label": "", "end": 1.0}, "no piece has a label"),
        ({"fold": 1}, "one fold only, and testing needs two: folds are drawn"),
        (
            {"fold": 1, "group": "one"},
            "one fold only, and testing needs two: add clips of a second",
        ),
    ],
)
def test_clips_that_cannot_be_trained_on_have_a_reason_and_a_way_out(changes, reason):
    folds = [1, 2, 1, 2]
    table = clip_table(["a", "b", "a", "b"], list("ghij"), folds, copies=1)
    given = {"start": 0.0, "end": 0.0, **changes}
    said = untrainable(table.assign(**given))
    assert said.startswith(reason) and bool(said) == bool(reason)
