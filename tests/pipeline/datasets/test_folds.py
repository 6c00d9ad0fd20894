"""Groups and folds: drawn by source recording, stratified, seeded, kept."""

import numpy as np
import pandas as pd
import pytest

from featurestack.features_cache.source_changes import has_other_folds
from featurestack.pipeline.datasets.name_fields import propose_group
from tests.cases import cases
from tests.pipeline.datasets.folders import class_folders, csv, dataset, write
from tests.refusal import refused


def folds_of(folder, data, **options):
    table = dataset(folder, data, **options).table
    return dict(zip(table["clip_id"], table["fold"]))


def test_clips_that_come_later_move_no_other_and_clips_that_come_back_find_their_fold(
    tmp_path,
):
    folder = class_folders(tmp_path / "mine", "dog cat owl", each=20)
    before = folds_of(folder, tmp_path)
    (folder / "cat").rename(tmp_path / "away")
    for number in range(20):
        write(folder / "dog" / f"a new one {number}.wav")
    after = folds_of(folder, tmp_path, seed=5)
    assert after | before == before | after
    assert np.ptp(np.bincount(list(after.values()))[1:]) <= 2
    (tmp_path / "away").rename(folder / "cat")
    assert folds_of(folder, tmp_path, seed=6) == before | after


def test_groups_come_from_file_names_stay_in_one_fold_and_hold_for_later_commands(
    tmp_path,
):
    folder = class_folders(tmp_path / "mine", takes="AB")
    alone = dataset(folder, tmp_path).table
    assert (alone["group"] == alone["clip_id"]).all()
    first = dataset(folder, tmp_path, group="(.*)-[A-Z]").table
    assert first["group"].nunique() == 20
    assert (pd.crosstab(first["label"], first["fold"]) == 4).all(axis=None)
    assert dataset(folder, tmp_path).table.equals(first)
    write(folder / "dog" / "dog3-C.wav")  # a new take of a known recording
    write(folder / "dog" / "single.wav")  # fits no pattern
    later = dataset(folder, tmp_path)
    table = later.table.set_index("clip_id")[["group", "fold"]]
    assert table.loc["dog/dog3-C"].equals(table.loc["dog/dog3-A"])
    assert table.loc["dog/single", "group"] == "dog/single"
    assert "matches 41 of 42 clips" in " ".join(later.notes)


def test_the_fold_of_a_group_that_is_called_na_is_kept(tmp_path):
    """Elsewhere a cell NA, as R writes it, is an empty one."""
    for number in range(12):
        for label in ("dog", "rain"):
            site = "NA" if number == 0 else f"s{number}"
            write(tmp_path / "mine" / label / f"{number}-{site}.wav")
    table = dataset(tmp_path / "mine", tmp_path, group="-(.*)").table
    own = table["group"] == "NA"
    fold = table["fold"][own].iloc[0]
    (kept,) = tmp_path.rglob("folds.csv")
    moved = [
        line.replace(f",NA,{fold},", f",NA,{fold % 5 + 1},")
        for line in kept.read_text().splitlines(keepends=True)
    ]
    kept.write_text("".join(moved))
    again = dataset(tmp_path / "mine", tmp_path).table
    assert (again["fold"][own] == fold % 5 + 1).all()


def test_folds_that_a_table_brings_later_replace_the_drawn_ones(tmp_path):
    """Else they would be a change of the dataset that no extraction ends."""
    rows = [f"{number}.wav,{'xy'[number % 2]}" for number in range(10)]
    for number in range(10):
        write(tmp_path / f"{number}.wav")
    table = csv(tmp_path / "t.csv", "\n".join(["filename,label", *rows]))
    dataset(table, tmp_path)
    rows = [f"{row},{1 + number // 5}" for number, row in enumerate(rows)]
    csv(tmp_path / "t.csv", "\n".join(["filename,label,fold", *rows]))
    own = dataset(table, tmp_path).table
    assert own["fold"].tolist() == [1] * 5 + [2] * 5
    (kept,) = tmp_path.rglob("folds.csv")
    assert not has_other_folds(own, kept)
    own.loc[0, "fold"] = 2
    assert has_other_folds(own, kept)


@pytest.mark.parametrize("name", ["aa", "other", "zz"])
def test_another_name_of_the_same_clips_has_no_groups_of_theirs(tmp_path, name):
    folder = class_folders(tmp_path / "mine", takes="AB")
    for number, group in enumerate(("(.*)-[A-Z]", "([A-Z])$", "(.*)")):
        dataset(folder, tmp_path, name=f"name{number}", group=group)
    assert dataset(folder, tmp_path, name=name).table["group"].is_unique
    assert dataset(folder, tmp_path, name="name0").table["group"].nunique() == 20


def test_groups_come_from_a_column_or_from_paths_within_the_dataset(tmp_path):
    text = "filename,label,part\n"
    for number, place in enumerate(("dog/A", "dog/B", "rain/A", "rain/B")):
        label, site = place.split("/")
        name = f"{label}/site {site}/0.wav"
        write(tmp_path / "mine" / name)
        text += f"{name},{label},{number // 3}\n"
    listed = csv(tmp_path / "mine" / "list.csv", text)
    for source in (tmp_path / "mine", listed):
        table = dataset(source, tmp_path, group="site (.)").table
        assert table["group"].tolist() == [*"ABAB"]
    table = dataset(listed, tmp_path, group="part").table
    assert table["group"].tolist() == ["0", "0", "0", "1"]
    assert sorted(table["fold"].unique()) == [1, 2]  # no more folds than recordings
    text = text.replace("dog,0", "dog,Oak").replace("rain,0", "rain,oak")
    listed = csv(tmp_path / "mine" / "trees.csv", text)
    notes = dataset(listed, tmp_path, group="part").notes
    assert "GROUP=part: 'Oak' and 'oak' are different groups" in notes


@cases("group", "reason")
def test_groups_that_cannot_be_meant_are_refused_and_keep_nothing(
    tmp_path, group, reason
):
    with refused(reason):
        dataset(class_folders(tmp_path / "mine", each=2), tmp_path, group=group)
    assert not (tmp_path / "data").exists()


@cases("name", "proposed")
def test_the_pattern_that_is_proposed_groups_takes_of_a_recording(name, proposed):
    numbers = [(source, take) for source in range(6) for take in range(3)]
    takes = [{"source": s, "take": take, "letter": "ABC"[take]} for s, take in numbers]
    names = pd.Series([name.format(**take) for take in takes])
    table = pd.DataFrame({"path": "/x/" + names + ".wav", "label": "a"})
    pattern = propose_group(table)
    groups = [proposed.format(**take) for take in takes] if proposed else []
    assert (names.str.extract(pattern)[0].tolist() if pattern else []) == groups


def test_each_of_few_groups_is_a_fold(tmp_path):
    folder = class_folders(tmp_path / "mine", each=7, takes="AB")
    first = folds_of(folder, tmp_path, group=r"g?(\d+)-")
    pairs = {(fold, int(clip[7])) for clip, fold in first.items()}
    assert len(pairs) == 7 == len({fold for fold, _ in pairs})
    write(folder / "dog" / "dog00-A.wav")  # a further group is a further fold
    later = folds_of(folder, tmp_path)
    assert later == first | {"dog/dog00-A": 8}


@pytest.mark.parametrize("given", [{}, {"group": "group"}])
def test_a_clip_without_a_group_gets_no_fold_of_its_own(tmp_path, given):
    text = "filename,label,group\n"
    for number in range(12):
        name = f"{number}.wav"
        write(tmp_path / name)
        site = ("", "NA")[number % 2] if number < 2 else "abc"[number % 3]
        text += f"{name},{('dog', 'rain')[number // 3 % 2]},{site}\n"
    found = dataset(csv(tmp_path / "mine.csv", text), tmp_path, **given)
    groups = found.table.groupby("group")["fold"].agg(["nunique", "first"])
    assert len(groups) == 5 and (groups["nunique"] == 1).all()
    assert sorted(groups.loc[["a", "b", "c"], "first"]) == [1, 2, 3]
    assert {*found.table["fold"]} == {1, 2, 3}
    assert "matches 10 of 12 clips; the others, such as 0, are" in " ".join(found.notes)


def test_official_folds_give_way_to_few_groups_that_are_named(tmp_path):
    text = "filename,label,fold,group\n"
    for n in range(6):
        write(tmp_path / f"{n}.wav")
        text += f"{n}.wav,{'ab'[n % 2]},{1 + n % 2},site{n % 3}\n"
    path = csv(tmp_path / "mine.csv", text)
    official = folds_of(path, tmp_path)
    assert official == {str(n): 1 + n % 2 for n in range(6)}
    by_site = folds_of(path, tmp_path, group="group")
    assert len({(n % 3, by_site[str(n)]) for n in range(6)}) == 3
    assert folds_of(path, tmp_path) == by_site
