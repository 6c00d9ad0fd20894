"""The clip table, complete and validated."""

import pytest

from featurestack.features_cache.clip_table import (
    CLIP_COLUMNS,
    WINDOW_COLUMNS,
    by_label,
    clips_of_recordings,
    complete,
    has_tags,
    label_indicator,
    originals,
    untrainable,
)
from tests.cases import cases
from tests.refusal import refused
from tests.results.test_splits import clip_table

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


@cases("change", "message")
def test_what_is_wrong_with_a_table_is_named(change, message):
    given = {key: value for key, value in (PLAIN | change).items() if value != "absent"}
    with refused(message):
        complete(given)


@cases("changes", "reason")
def test_clips_that_cannot_be_trained_on_have_a_reason_and_a_way_out(changes, reason):
    folds = [1, 2, 1, 2]
    table = clip_table(["a", "b", "a", "b"], list("ghij"), folds, copies=1)
    given = {"start": 0.0, "end": 0.0, **changes}
    said = untrainable(table.assign(**given))
    assert said.startswith(reason) and bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("abc", "3 clips, each counted as its own recording"),
        ("aac", "3 clips of 2 source recordings"),
        ("xyz", "3 clips of 3 source recordings"),
        ("xxx", "3 clips of 1 source recording"),
    ],
)
def test_recordings_are_stated_only_where_they_are_known(groups, said):
    assert clips_of_recordings("abc", groups) == said
    of_speakers = said.replace("source recording", "speaker")
    assert clips_of_recordings("abc", groups, "speaker") == of_speakers
