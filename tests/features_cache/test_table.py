"""The clip table, complete and validated."""

import pytest

from featurestack.features_cache.table import (
    CLIP_COLUMNS,
    WINDOW_COLUMNS,
    by_label,
    complete,
    has_tags,
    label_indicator,
    originals,
)
from tests.refusal import refused

PLAIN = {
    "clip_id": ["a", "b", "a~1"],
    "label": ["x", "y", "x"],
    "fold": [1, 2, 1],
    "copy_of": ["", "", "a"],
}


@pytest.mark.parametrize("blank", ["", " ", None])
def test_missing_columns_are_empty_and_a_blank_group_is_the_clips_own_or_its_originals(
    blank,
):
    table = complete(PLAIN)
    assert list(table) == [*CLIP_COLUMNS, *WINDOW_COLUMNS]
    assert table["path"].tolist() == ["", "", ""]
    assert table["group"].tolist() == ["a", "b", "a"] and originals(table)[
        "clip_id"
    ].tolist() == ["a", "b"]
    assert complete(PLAIN | {"group": ["rec", blank, blank]})["group"].tolist() == [
        "rec",
        "b",
        "rec",
    ]


def test_each_label_of_a_clip_counts_and_no_label_is_none():
    table = complete(PLAIN | {"label": ["x;y", "", "x"]})
    assert by_label(table)[["clip_id", "label"]].to_numpy().tolist() == [
        *(["a", "x"], ["a", "y"], ["b", ""], ["a~1", "x"])
    ]
    assert has_tags(table) and not has_tags(complete(PLAIN))
    known = [[True, True], [False, False], [True, False]]
    assert label_indicator(table["label"], ["x", "y"]).tolist() == known
    assert label_indicator(["z", "y"], ["y"]).tolist() == [[False], [True]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_id": ["a", "", "b"]}, "row 1 .* no clip_id"),
        ({"copy_of": ["", "", "c"]}, "no originals here: a~1"),
        ({"label": None}, "lacks the columns label"),
        ({"fold": [1.5, 2, 1]}, "folds are not whole numbers"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(change, message):
    given = {key: value for key, value in (PLAIN | change).items() if value is not None}
    with refused(message):
        complete(given)
