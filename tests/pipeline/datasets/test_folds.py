"""Groups and folds: drawn by source recording, stratified, seeded, kept."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commandline.registry import RequestError
from pipeline.datasets.folds import draw_folds, propose_group
from pipeline.extract import run
from pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import class_folders, csv, dataset, write

CLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60).map(str)), min_size=6, max_size=60)


def folds_of(folder: Path | str, data: Path, **options: object) -> dict[str, int]:
    table = dataset(folder, data, **options).table
    return dict(zip(table["clip_id"], table["fold"]))


def test_clips_that_come_later_move_no_other_and_clips_that_come_back_find_their_fold(tmp_path):
    folder = class_folders(tmp_path / "mine", "dog cat owl", each=20)
    before = folds_of(folder, tmp_path)
    (folder / "cat").rename(tmp_path / "away")
    for number in range(20):
        write(folder / "dog" / f"a new one {number}.wav")
    after = folds_of(folder, tmp_path, seed=5)
    assert {clip: after[clip] for clip in before if clip in after} == {
        clip: fold for clip, fold in before.items() if not clip.startswith("cat")
    }
    assert np.ptp(np.bincount(list(after.values()))[1:]) <= 2
    (tmp_path / "away").rename(folder / "cat")
    assert folds_of(folder, tmp_path, seed=6) == before | after


def test_another_source_under_the_same_name_is_refused_and_leaves_the_first_alone(tmp_path):
    rows = [f"{number}.wav,{'ab'[number % 2]},{1 + number % 2}" for number in range(4)]  # folds of its own
    for row in rows:
        write(tmp_path / row.split(",")[0])
    first = csv(tmp_path / "mine.csv", "\n".join(["filename,label,fold", *rows]))
    words = {"data": tmp_path / "data", "features": "zcr", "jobs": 1}
    other = class_folders(tmp_path / "two" / "mine")
    for source in (first, first):
        assert run(FeaturesCommand(dataset=source, **words)) == 0
        with pytest.raises(RequestError, match="NAME=mine2"):
            dataset(other, tmp_path)


@settings(max_examples=40, deadline=None)
@given(CLIPS, st.integers(2, 5), st.integers(0, 9))
def test_drawn_folds_keep_groups_together_and_repeat(clips, folds, seed):
    labels, groups = zip(*clips)
    drawn = draw_folds(labels, groups, folds, seed)
    assert set(drawn) <= set(range(1, folds + 1))
    assert pd.Series(drawn).groupby(list(groups)).nunique().max() == 1
    assert (draw_folds(labels, groups, folds, seed) == drawn).all()


def test_folds_that_stand_are_kept_and_the_others_fill_up_around_them():
    kept = {str(number): 1 + number % 2 for number in range(20)}  # folds 1 and 2 are full already
    groups = [str(number) for number in range(50)]
    drawn = draw_folds(["a"] * 50, groups, 5, seed=3, kept=kept)
    assert [int(fold) for fold in drawn[:20]] == list(kept.values())
    assert np.bincount(drawn, minlength=6)[1:].tolist() == [10] * 5


def test_groups_come_from_file_names_stay_in_one_fold_and_hold_for_later_commands(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    alone = dataset(folder, tmp_path).table
    assert (alone["group"] == alone["clip_id"]).all()
    first = dataset(folder, tmp_path, group="(.*)-[A-Z]").table
    assert first["group"].nunique() == 20
    assert first.groupby("group")["fold"].nunique().max() == 1
    assert (pd.crosstab(first["label"], first["fold"]) == 4).all(axis=None)
    assert dataset(folder, tmp_path).table.equals(first)
    write(folder / "dog" / "dog3-C.wav")  # a new take of a known recording
    write(folder / "dog" / "single.wav")  # fits no pattern
    later = dataset(folder, tmp_path)
    table = later.table.set_index("clip_id")[["group", "fold"]]
    assert table.loc["dog/dog3-C"].tolist() == table.loc["dog/dog3-A"].tolist()
    assert table.loc["dog/single", "group"] == "dog/single"
    assert any("fits 41 of 42 clips" in note for note in later.notes)


def test_groups_come_from_a_column_or_from_paths_within_the_dataset(tmp_path):
    places = [f"{label}/site {site}/0.wav" for label in ("dog", "rain") for site in "AB"]
    for place in places:
        write(tmp_path / "mine" / place)
    assert dataset(tmp_path / "mine", tmp_path, group="site (.)").table["group"].tolist() == [*"ABAB"]
    rows = [f"{place},{place.split('/')[0]},{number // 3}" for number, place in enumerate(places)]
    listed = csv(tmp_path / "mine" / "list.csv", "\n".join(["filename,label,part", *rows]))
    assert dataset(listed, tmp_path, group="site (.)").table["group"].tolist() == [*"ABAB"]
    table = dataset(listed, tmp_path, group="part").table
    assert table["group"].tolist() == ["0", "0", "0", "1"]
    assert sorted(table["fold"].unique()) == [1, 2]  # no more folds than recordings


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("(", "is no pattern"),
        ("zzz", "fits no file name, the first is 'cat0-A'"),
        ("(-)", "makes one group of all 40 clips, '-'"),
        ("Label", "fits no file name, the first is"),
    ],
)
def test_a_group_that_cannot_be_meant_is_refused_and_keeps_nothing(tmp_path, group, reason):
    folder = class_folders(tmp_path / "mine", takes="AB")
    rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.wav"), reverse=True)]
    listed = csv(tmp_path / "mine.csv", "\n".join(["filename,label", *rows]))
    with pytest.raises(RequestError, match=re.escape(reason)):
        dataset(listed if group == "Label" else folder, tmp_path, group=group)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"yard {n}-{take}" for n in range(6) for take in "AB"], 6),
        ([f"{1 + n % 5}-{n}17-{take}-3" for n in range(6) for take in "AB"], 6),
        ([f"street{n}_seg{part}" for n in range(6) for part in range(3)], 6),
        ([f"speaker{n}_{word}" for n in range(6) for word in ("left", "right", "stop")], 6),
        ([f"bark {n}" for n in range(20)], 0),  # numbers count clips, not takes
        ([f"{n}" for n in range(20)], 0),
    ],
)
def test_the_pattern_that_is_proposed_groups_takes_of_a_recording(names, groups):
    table = pd.DataFrame({"path": [f"/x/{name}.wav" for name in names], "label": "a"})
    pattern = propose_group(table)
    assert bool(pattern) == bool(groups)
    if pattern:
        assert pd.Series(names).str.extract(pattern)[0].nunique() == groups


def test_each_group_is_a_fold_until_another_command_says_otherwise(tmp_path):
    folder = class_folders(tmp_path / "mine", each=7, takes="AB")
    clips = dataset(folder, tmp_path, group=r"g?(\d+)-", folds_by="group").table
    assert clips["fold"].tolist() == (clips["group"].astype(int) + 1).tolist()
    write(folder / "dog" / "dog00-A.wav")  # a group before all others by name is a further fold
    later = folds_of(folder, tmp_path)
    assert dict(zip(clips["clip_id"], clips["fold"])).items() <= later.items()
    assert later["dog/dog00-A"] == 8
    again = folds_of(folder, tmp_path, folds_by="dataset")
    assert set(again.values()) == {1, 2, 3, 4, 5}
    assert folds_of(folder, tmp_path) == again


def test_official_folds_give_way_to_folds_by_group_and_come_back(tmp_path):
    rows = [f"{number}.wav,{'ab'[number % 2]},{1 + number % 2},site{number % 3}" for number in range(6)]
    for row in rows:
        write(tmp_path / row.split(",")[0])
    path = csv(tmp_path / "mine.csv", "\n".join(["filename,label,fold,group", *rows]))
    for folds_by, modulus in (("group", 3), (None, 3), ("dataset", 2), (None, 2)):
        expected = {str(number): 1 + number % modulus for number in range(6)}
        assert folds_of(path, tmp_path, folds_by=folds_by) == expected


@pytest.mark.parametrize(("each", "group"), [(1, "(o|a)g"), (120, None)])
def test_too_few_or_too_many_groups_are_no_folds(tmp_path, each, group):
    folder = class_folders(tmp_path / "mine", "dog hog", each=each)
    with pytest.raises(RequestError, match=r"expected 2 to 100: say with GROUP=|makes one group"):
        dataset(folder, tmp_path, group=group, folds_by="group")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("text, with\nno meaning\n"),
        lambda path: path.write_text(path.read_text().replace("fold,", "FOLD,", 1)),
        lambda path: path.write_text(path.read_text().replace(",1,", ",x,")),
        lambda path: (path.unlink(), os.mkfifo(path)),  # not waited for
    ],
)
def test_damaged_folds_are_told(tmp_path, change):
    folder = class_folders(tmp_path / "mine", each=15)
    folds_of(folder, tmp_path)
    change(tmp_path / "data" / "mine" / "folds.csv")
    with pytest.raises(
        RequestError, match=r"folds.csv (has the columns|cannot be read as a CSV)|has fold 'x'"
    ):
        folds_of(folder, tmp_path)
