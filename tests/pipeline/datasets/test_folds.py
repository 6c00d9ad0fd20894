"""Groups and folds: drawn by source recording, stratified, seeded, kept."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commandline.registry import RequestError
from pipeline.datasets import load
from pipeline.datasets.folds import draw_folds
from pipeline.extract import run
from pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import class_folders, csv, write

CLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60).map(str)), min_size=6, max_size=60)


def folds_of(folder: Path, data: Path, **options: object) -> dict[str, int]:
    table = load(str(folder), data, **options).table
    return dict(zip(table["clip_id"], table["fold"]))


def test_clips_that_come_later_move_no_other_and_clips_that_come_back_find_their_fold(tmp_path):
    folder = class_folders(tmp_path / "mine", each=20)
    before = folds_of(folder, tmp_path / "data")
    (folder / "cat").rename(tmp_path / "away")
    for number in range(20):
        write(folder / "dog" / f"a new one {number}.wav")
    after = folds_of(folder, tmp_path / "data", seed=5)
    assert {clip: after[clip] for clip in before if clip in after} == {
        clip: fold for clip, fold in before.items() if clip.startswith("dog")
    }
    assert np.ptp(np.bincount(list(after.values()))[1:]) <= 2
    (tmp_path / "away").rename(folder / "cat")
    assert folds_of(folder, tmp_path / "data", seed=6) == before | after


def test_another_grouping_draws_again_and_says_so(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    assert not any("earlier" in note for note in load(str(folder), tmp_path / "data").notes)
    again = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]")
    assert again.table.groupby("group")["fold"].nunique().max() == 1
    assert any("the earlier folds, of no GROUP=, are gone: train again" in note for note in again.notes)
    kept = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]")
    assert any("as drawn before" in note for note in kept.notes)


def test_a_source_that_is_refused_leaves_no_folds_in_the_way_of_the_one_that_was_there(tmp_path):
    rows = [f"{number}.wav,{'ab'[number % 2]},{1 + number % 2}" for number in range(4)]  # folds of its own
    for row in rows:
        write(tmp_path / row.split(",")[0])
    first = str(csv(tmp_path / "mine.csv", "\n".join(["filename,label,fold", *rows])))
    words = {"data": tmp_path / "data", "features": "zcr", "jobs": 1}
    assert run(FeaturesCommand(dataset=first, **words)) == 0
    other = str(class_folders(tmp_path / "two" / "mine"))
    with pytest.raises(RequestError, match="NAME=mine2"):
        run(FeaturesCommand(dataset=other, **words))
    assert run(FeaturesCommand(dataset=first, **words)) == 0


def test_another_source_under_the_same_name_is_reported(tmp_path):
    load(str(class_folders(tmp_path / "one" / "mine")), tmp_path / "data")
    other = str(class_folders(tmp_path / "two" / "mine"))
    with pytest.raises(RequestError, match="NAME="):
        load(other, tmp_path / "data")
    assert load(other, tmp_path / "data", name="other").name == "other"


def test_drawn_folds_are_stratified_and_seeded(tmp_path):
    folder = class_folders(tmp_path / "mine", each=15)
    table = load(str(folder), tmp_path / "one").table
    assert (pd.crosstab(table["label"], table["fold"]) == 3).all(axis=None)
    assert folds_of(folder, tmp_path / "two") == folds_of(folder, tmp_path / "one")
    assert folds_of(folder, tmp_path / "three", seed=1) != folds_of(folder, tmp_path / "one")


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


def test_groups_come_from_file_names_and_no_group_spans_folds(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="ABC")
    table = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]").table
    assert table.loc[table["clip_id"] == "dog/dog3-B", "group"].item() == "dog3"
    assert table["group"].nunique() == 20
    assert table.groupby("group")["fold"].nunique().max() == 1
    assert (pd.crosstab(table["label"], table["fold"]) == 6).all(axis=None)


def test_groups_come_from_a_column(tmp_path):
    for number in range(6):
        write(tmp_path / f"{number}.wav")
    rows = "".join(f"{number}.wav,dog,site{number // 2}\n" for number in range(6))
    table = load(
        csv(tmp_path / "m.csv", "filename,label,site\n" + rows), tmp_path / "data", group="site"
    ).table
    assert table["group"].tolist() == ["site0", "site0", "site1", "site1", "site2", "site2"]
    assert sorted(table["fold"].unique()) == [1, 2, 3]  # no more folds than recordings


def test_clips_that_the_pattern_does_not_fit_stand_alone_and_are_counted(tmp_path):
    folder = class_folders(tmp_path / "mine", each=3)
    write(folder / "dog" / "single.wav")
    dataset = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]")
    assert dataset.table.loc[dataset.table["clip_id"] == "dog/single", "group"].item() == "dog/single"
    assert "fits 6 of 7 clips" in " ".join(dataset.notes)


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "is no pattern"), ("zzz", "and no path within the dataset; expected a")]
)
def test_a_pattern_that_cannot_be_meant_is_reported(tmp_path, pattern, message):
    with pytest.raises(RequestError, match=message):
        load(str(class_folders(tmp_path / "mine", each=1)), tmp_path / "data", group=pattern)


def test_a_pattern_that_fits_no_file_name_is_searched_in_the_path_within_the_dataset(tmp_path):
    for label in ("dog", "rain"):
        for site in "AB":
            write(tmp_path / "mine" / label / f"site {site}" / "0.wav")
    dataset = load(str(tmp_path / "mine"), tmp_path / "data", group="site (.)")
    assert dataset.table["group"].tolist() == ["A", "B", "A", "B"]
    assert any("is searched in the paths within the dataset" in note for note in dataset.notes)
    rows = [
        "filename,label",
        *(f"{label}/site {site}/0.wav,{label}" for label in ("dog", "rain") for site in "AB"),
    ]
    listed = csv(tmp_path / "mine" / "list.csv", "\n".join(rows))
    assert load(listed, tmp_path / "data", group="site (.)").table["group"].tolist() == ["A", "B", "A", "B"]


def test_a_column_that_is_not_there_gets_the_nearest(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.wav")
    path = csv(tmp_path / "m.csv", "filename,label,recording\na.wav,dog,1\nb.wav,cat,2\n")
    with pytest.raises(RequestError) as told:
        load(path, tmp_path / "data", group="Recording")
    said = "the dataset, and is no column of filename, label, recording; did you mean GROUP=recording? "
    assert said in str(told.value)


def test_a_group_of_all_clips_is_refused_and_named(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    with pytest.raises(RequestError, match=r"GROUP=\(-\) makes one group of all 40 clips, '-'"):
        load(str(folder), tmp_path / "data", group="(-)")
    assert len(load(str(folder), tmp_path / "data").table) == 40  # nothing of it was kept


def test_a_later_command_groups_as_before_although_group_is_not_given(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    first = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]").table
    assert load(str(folder), tmp_path / "data").table.equals(first)
    write(folder / "dog" / "dog3-C.wav")  # a new take of a known recording
    later = load(str(folder), tmp_path / "data").table.set_index("clip_id")
    assert (
        later.loc["dog/dog3-C", ["group", "fold"]].tolist()
        == later.loc["dog/dog3-A", ["group", "fold"]].tolist()
    )


def test_each_group_is_a_fold_until_another_command_says_otherwise(tmp_path):
    folder = class_folders(tmp_path / "mine", each=7, takes="AB")
    speaker = {"group": r"(\d)-", "folds_by": "group"}
    dataset = load(str(folder), tmp_path / "data", **speaker)
    fold_of = dataset.table.groupby("group")["fold"].unique()
    assert sorted(fold.tolist() for fold in fold_of) == [[number] for number in range(1, 8)]
    assert any("folds: one a group" in note and "1 0, 2 1" in note for note in dataset.notes)
    assert folds_of(folder, tmp_path / "data") == dict(zip(dataset.table["clip_id"], dataset.table["fold"]))
    again = folds_of(folder, tmp_path / "data", folds_by="dataset")
    assert set(again.values()) == {1, 2, 3, 4, 5}
    assert folds_of(folder, tmp_path / "data") == again


def test_a_group_that_comes_later_is_a_further_fold(tmp_path):
    folder = class_folders(tmp_path / "mine", each=3)
    speaker = {"group": r"(\d)-", "folds_by": "group"}
    before = folds_of(folder, tmp_path / "data", **speaker)
    write(folder / "dog" / "new0-A.wav")
    write(folder / "dog" / "dog00-A.wav")  # a group before all others by name
    after = folds_of(folder, tmp_path / "data", group=r"g?(\d+)-")
    assert before.items() <= after.items()
    assert after["dog/dog00-A"] == 4


def test_official_folds_give_way_to_folds_by_group(tmp_path):
    rows = [f"{number}.wav,{'ab'[number % 2]},{1 + number % 2},site{number % 3}" for number in range(6)]
    for row in rows:
        write(tmp_path / row.split(",")[0])
    path = csv(tmp_path / "mine.csv", "\n".join(["filename,label,fold,group", *rows]))
    folds = folds_of(path, tmp_path / "data", folds_by="group")
    assert folds == {str(number): 1 + number % 3 for number in range(6)}
    assert folds_of(path, tmp_path / "data") == folds
    official = {str(number): 1 + number % 2 for number in range(6)}
    assert folds_of(path, tmp_path / "data", folds_by="dataset") == official
    assert folds_of(path, tmp_path / "data") == official


@pytest.mark.parametrize(("each", "pattern"), [(1, "(o|a)"), (120, None)])
def test_too_few_or_too_many_groups_are_no_folds(tmp_path, each, pattern):
    folder = class_folders(tmp_path / "mine", classes="dog", each=each)
    with pytest.raises(RequestError, match="expected 2 to 100: say with GROUP="):
        load(str(folder), tmp_path / "data", group=pattern, folds_by="group")


def test_kept_folds_of_before_are_read(tmp_path):
    folder = class_folders(tmp_path / "mine", each=15)
    before = folds_of(folder, tmp_path / "data")
    kept = tmp_path / "data" / "mine" / "folds.csv"
    pd.read_csv(kept).drop(columns="folds_by").to_csv(kept, index=False)
    assert folds_of(folder, tmp_path / "data", seed=3) == before


def test_folds_that_are_a_fifo_are_told_and_not_waited_for(tmp_path):
    folder = class_folders(tmp_path / "mine", each=15)
    (tmp_path / "data" / "mine").mkdir(parents=True)
    os.mkfifo(tmp_path / "data" / "mine" / "folds.csv")
    with pytest.raises(RequestError, match=r"folds.csv cannot be read as a CSV: it is no regular file"):
        folds_of(folder, tmp_path / "data")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "text, with\nno meaning\n",
        lambda text: text.replace("fold,", "FOLD,", 1),
        lambda text: text.replace(",1,", ",x,"),
        lambda text: text.replace(",1,", ",,"),
        lambda text: text.replace(",\n", ",anything\n"),
    ],
)
def test_damaged_folds_are_told_with_what_to_do(tmp_path, change):
    folder = class_folders(tmp_path / "mine", each=15)
    folds_of(folder, tmp_path / "data")
    kept = tmp_path / "data" / "mine" / "folds.csv"
    kept.write_text(change(kept.read_text()))
    with pytest.raises(RequestError, match=r"folds.csv is damaged: delete it to draw folds again"):
        folds_of(folder, tmp_path / "data")
