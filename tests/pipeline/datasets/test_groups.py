"""Which clips come from one recording: by file name, by column, by an earlier command."""

import pandas as pd
import pytest

from commandline import RequestError
from pipeline.datasets import load
from tests.pipeline.datasets.sounds import class_folders, csv, write


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


@pytest.mark.parametrize(("pattern", "message"), [("(", "is no pattern"), ("zzz", "fits no file name")])
def test_a_pattern_that_cannot_be_meant_is_told(tmp_path, pattern, message):
    with pytest.raises(RequestError, match=message):
        load(str(class_folders(tmp_path / "mine", each=1)), tmp_path / "data", group=pattern)


def test_a_later_command_groups_as_before_although_it_is_not_told(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    first = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]").table
    assert load(str(folder), tmp_path / "data").table.equals(first)
    write(folder / "dog" / "dog3-C.wav")  # a new take of a known recording
    later = load(str(folder), tmp_path / "data").table.set_index("clip_id")
    assert (
        later.loc["dog/dog3-C", ["group", "fold"]].tolist()
        == later.loc["dog/dog3-A", ["group", "fold"]].tolist()
    )
