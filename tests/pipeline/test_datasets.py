"""Tables of clips from folders, CSVs and caches: ids, labels, groups, folds, rate and duration."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from commandline import RequestError
from features_cache import bring
from features_cache.table import CLIP_COLUMNS
from pipeline.datasets import ids, load
from pipeline.datasets.categories import ESC50, categories_of
from pipeline.datasets.command import run, summary
from pipeline.datasets.copies import kept_copies
from pipeline.options import SourceOptions

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, seconds: float = 0.1, rate: int = 8_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * rate), 0.1), rate)
    return path


def class_folders(folder: Path, classes: str = "dog cat", each: int = 10, takes: str = "A") -> Path:
    for label in classes.split():
        for number in range(each):
            for take in takes:
                write(folder / label / f"{label}{number}-{take}.wav")
    return folder


# Ids


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1-100-A-0.wav", "b.ogg"], ["1-100-A-0", "b"]),
        (["a.wav", "a.flac", "b.wav"], ["a.wav", "a.flac", "b"]),
        (["x/a.wav", "y/a.wav"], ["x/a", "y/a"]),
        (["v1.0.wav", "v1.1.wav"], ["v1.0", "v1.1"]),
    ],
)
def test_a_clip_is_called_by_its_file_name_unless_two_agree(names, expected):
    assert ids.by_name(names) == expected


def test_with_class_folders_the_folder_belongs_to_the_id():
    paths = ["dog/1.wav", "dog/1.ogg", "cat/1.wav", "cat/new/2.wav"]
    assert ids.by_path(paths) == ["dog/1.wav", "dog/1.ogg", "cat/1", "cat/new/2"]


def test_a_clip_that_is_listed_twice_is_told():
    with pytest.raises(RequestError, match="is listed twice"):
        ids.by_name(["a.wav", "a.wav"])


# ESC-50's layout


def test_the_real_clips_in_esc50s_layout(esc10, tmp_path):
    dataset = load(str(esc10), tmp_path)
    meta = pd.read_csv(esc10 / "meta" / "esc10.csv")
    table = dataset.table
    assert list(table.columns) == list(CLIP_COLUMNS)
    assert table["clip_id"].tolist() == [name.removesuffix(".ogg") for name in meta["filename"]]
    assert table["label"].tolist() == meta["category"].tolist()
    assert table["fold"].tolist() == meta["fold"].tolist()
    assert table["group"].tolist() == meta["src_file"].astype(str).tolist()
    assert all(Path(path).is_file() and Path(path).is_absolute() for path in table["path"])
    assert (dataset.name, dataset.sample_rate, dataset.duration) == ("esc10", 44_100, 5.0)
    assert table.groupby("category")["label"].nunique().to_dict() == {
        "animals": 2,
        "natural soundscapes and water": 3,
        "human, non-speech": 2,
        "interior": 1,
        "exterior": 2,
    }
    assert not list(tmp_path.iterdir())  # official folds: nothing to keep


def esc_layout(
    folder: Path, rows: list[str], header: str = "filename,fold,target,category,src_file,take"
) -> Path:
    for row in rows:
        write(folder / "audio" / row.split(",")[0])
    (folder / "meta").mkdir(exist_ok=True)
    (folder / "meta" / "any name.csv").write_text("\n".join([header, *rows]))
    return folder


def test_a_layout_with_other_classes_has_no_categories_and_its_own_rate_when_asked(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A", "b.wav,2,0,owl,8,A"])
    dataset = load(str(folder), tmp_path / "data", sample_rate=8_000, duration=0.25)
    assert dataset.table["category"].tolist() == ["", ""]
    assert (dataset.sample_rate, dataset.samples) == (8_000, 2_000)
    assert load(str(folder), tmp_path / "data").sample_rate == 44_100


@pytest.mark.parametrize("fold", ["", "x", "0", "1.5", "-1"])
def test_a_fold_that_is_no_number_is_told(tmp_path, fold):
    folder = esc_layout(tmp_path / "mine", [f"a.wav,{fold},0,owl,7,A"])
    with pytest.raises(RequestError, match="has fold"):
        load(str(folder), tmp_path / "data")


def test_two_tables_are_told_and_one_of_them_can_be_chosen(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A"])
    (folder / "meta" / "other.csv").write_text((folder / "meta" / "any name.csv").read_text())
    with pytest.raises(RequestError, match="AUDIO_DIR="):
        load(str(folder), tmp_path / "data")
    chosen = load(str(folder / "meta" / "other.csv"), tmp_path / "data", audio_dir=folder / "audio")
    assert chosen.name == "other"
    assert chosen.sample_rate == 8_000  # a CSV's clips are measured


# Class folders


def test_class_folders_of_any_script_sorted_by_path(tmp_path):
    names = ["собака/гав 1.wav", "猫/ニャー.flac", "dog barks/a b.WAV", "dog barks/old/a.ogg"]
    for name in names:
        write(tmp_path / "my sounds" / name)
    (tmp_path / "my sounds" / "dog barks" / "notes.txt").write_text("x")
    (tmp_path / "my sounds" / "dog barks" / ".hidden.wav").write_text("x")
    write(tmp_path / "my sounds" / "loose.wav")
    dataset = load(str(tmp_path / "my sounds"), tmp_path / "data")
    table = dataset.table
    assert table["clip_id"].tolist() == ["dog barks/a b", "dog barks/old/a", "собака/гав 1", "猫/ニャー"]
    assert table["label"].tolist() == ["dog barks", "dog barks", "собака", "猫"]
    assert dataset.name == "my sounds"
    assert "1 of .txt" in dataset.notes[0]
    assert "in no class folder: 1 sounds" in dataset.notes[1]


def test_links_are_followed_once(tmp_path):
    class_folders(tmp_path / "elsewhere", each=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (tmp_path / "elsewhere" / "dog" / "around").symlink_to(tmp_path / "mine")
    table = load(str(tmp_path / "mine"), tmp_path / "data").table
    assert table["clip_id"].tolist() == ["dog/dog0-A", "dog/dog1-A"]


def test_what_cannot_be_read_stays_in_the_table(tmp_path):
    class_folders(tmp_path / "mine", each=3)
    (tmp_path / "mine" / "dog" / "broken.wav").write_bytes(b"")
    assert "dog/broken" in load(str(tmp_path / "mine"), tmp_path / "data").table["clip_id"].tolist()


@pytest.mark.parametrize("content", [[], ["a.wav"], ["dog/readme.txt"]])
def test_a_folder_without_class_folders_is_told(tmp_path, content):
    for name in content:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "mine").mkdir(exist_ok=True)
    with pytest.raises(RequestError, match="expected one sub-folder a class"):
        load(str(tmp_path / "mine"), tmp_path / "data")


def test_nothing_readable_at_all_is_told_with_a_reason(tmp_path):
    (tmp_path / "mine" / "dog").mkdir(parents=True)
    (tmp_path / "mine" / "dog" / "a.wav").write_bytes(b"")
    with pytest.raises(RequestError, match=r"none of 1 files can be read.*0 bytes"):
        load(str(tmp_path / "mine"), tmp_path / "data")


# CSV


def csv(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_csv_with_every_optional_column(tmp_path):
    absolute = write(tmp_path / "far away" / "b.wav")
    write(tmp_path / "a.wav")
    text = f"filename,label,fold,group,category\na.wav,dog,2,x,pets\n{absolute},cow,1,y,farm\n"
    table = load(csv(tmp_path / "mine.csv", text), tmp_path / "data").table
    assert table[["clip_id", "label", "category", "group"]].to_numpy().tolist() == [
        ["a", "dog", "pets", "x"],
        ["b", "cow", "farm", "y"],
    ]
    assert table["fold"].tolist() == [2, 1]
    assert table["path"].tolist() == [str(tmp_path / "a.wav"), str(absolute)]


def test_a_csv_with_the_least_columns_in_the_dialects_of_spreadsheets(tmp_path):
    for number in range(10):
        write(tmp_path / "audio" / f"{number:03}.wav")
    rows = "".join(f"{number:03}.wav;{'dog' if number % 2 else 'null'}\n" for number in range(10))
    given = csv(tmp_path / "mine.csv", "\ufefffilename;label\n" + rows)
    dataset = load(given, tmp_path / "data", audio_dir=tmp_path / "audio")
    assert dataset.table["clip_id"].tolist() == [f"{number:03}" for number in range(10)]
    assert set(dataset.table["label"]) == {"dog", "null"}  # words, not missing values
    assert sorted(dataset.table["fold"].unique()) == [1, 2, 3, 4, 5]
    assert dataset.table["group"].tolist() == dataset.table["clip_id"].tolist()


def test_a_csv_in_esc50s_columns(tmp_path):
    write(tmp_path / "a.wav")
    table = load(
        csv(tmp_path / "m.csv", "filename,fold,category,src_file\na.wav,3,dog,77\n"), tmp_path / "d"
    ).table
    assert table.loc[0, ["label", "category", "fold", "group"]].tolist() == ["dog", "animals", 3, "77"]


def test_accents_composed_in_two_ways_name_one_file(tmp_path):
    write(tmp_path / "cafe\u0301.wav")
    write(tmp_path / "\u00fcber.wav")
    text = "filename,label\ncaf\u00e9.wav,a\nu\u0308ber.wav,b\n"
    table = load(csv(tmp_path / "m.csv", text), tmp_path / "data").table
    assert all(Path(path).is_file() for path in table["path"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class\na.wav,dog\n", "it has|has the columns name, class; expected filename,label"),
        ("filename,label\n", "lists no clip"),
        ("filename,label\na.wav,\n", "a.wav has no label"),
        ("filename,label,fold\na.wav,dog,first\n", "has fold 'first'"),
        ("", "cannot be read as a CSV"),
        ('filename,label\n"a.wav,dog\n', "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_is_wrong_is_told(tmp_path, text, message):
    write(tmp_path / "a.wav")
    with pytest.raises(RequestError, match=message):
        load(csv(tmp_path / "mine.csv", text), tmp_path / "data")


# Groups and folds


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


def test_another_grouping_draws_again(tmp_path):
    folder = class_folders(tmp_path / "mine", takes="AB")
    folds_of(folder, tmp_path / "data")
    table = load(str(folder), tmp_path / "data", group="(.*)-[A-Z]").table
    assert table.groupby("group")["fold"].nunique().max() == 1


def test_another_source_under_the_same_name_is_told(tmp_path):
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


# Rate and duration


def test_the_commonest_rate_and_the_longest_clip(tmp_path):
    for number, (seconds, rate) in enumerate([(0.2, 8_000), (0.75, 8_000), (0.5, 16_000)]):
        write(tmp_path / "mine" / "dog" / f"{number}.wav", seconds, rate)
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert (dataset.sample_rate, dataset.duration, dataset.samples) == (8_000, 0.75, 6_000)
    assert any("1 clips of 16000 Hz" in note for note in dataset.notes)


def test_a_minute_is_cut_to_thirty_seconds_unless_asked_for(tmp_path):
    write(tmp_path / "mine" / "dog" / "long.wav", 60, 8_000)
    assert load(str(tmp_path / "mine"), tmp_path / "data").duration == 30
    assert load(str(tmp_path / "mine"), tmp_path / "data", duration=60).samples == 480_000


@pytest.mark.parametrize(
    "given", [{"sample_rate": 0}, {"sample_rate": -8}, {"duration": 0}, {"duration": -1.0}]
)
def test_a_rate_or_duration_that_cannot_be_is_told(tmp_path, given):
    with pytest.raises(RequestError, match="expected"):
        load(str(class_folders(tmp_path / "mine", each=1)), tmp_path / "data", **given)


def test_twenty_thousand_clips_are_handled(tmp_path):
    """One file under many names is enough for the table, the headers, the folds and the summary."""
    first = write(tmp_path / "mine" / "class 0" / "0-A.wav", 0.05, 8_000)
    for label in range(1, 10):
        (tmp_path / "mine" / f"class {label}").mkdir()
    for number in range(1, 20_000):
        (tmp_path / "mine" / f"class {number % 10}" / f"{number // 2}-{'AB'[number % 2]}.wav").hardlink_to(
            first
        )
    dataset = load(str(tmp_path / "mine"), tmp_path / "data", group="(.*)-[A-Z]")
    assert len(dataset.table) == 20_000
    assert np.ptp(np.bincount(dataset.table["fold"])[1:]) <= 20
    assert "20,000 clips" in summary(dataset)


# Copies


def test_copies_follow_the_originals_with_their_group_and_fold(tmp_path):
    dataset = load(str(class_folders(tmp_path / "mine", each=5)), tmp_path / "data", copies=3, seed=4)
    table = dataset.table
    originals, copies = table[:10], table[10:]
    assert (originals["copy_of"] == "").all()
    assert len(copies) == 30
    assert copies["clip_id"].tolist()[:2] == [f"{clip}~1" for clip in originals["clip_id"][:2]]
    of = originals.set_index("clip_id").loc[copies["copy_of"]]
    for column in ("path", "label", "category", "fold", "group"):
        assert copies[column].tolist() == of[column].tolist()
    assert copies.groupby("copy_of")["alteration"].nunique().min() == 3
    again = load(str(tmp_path / "mine"), tmp_path / "data", copies=3, seed=4).table
    assert again.equals(table)


def test_more_copies_or_clips_change_none_that_are_there(tmp_path):
    folder = class_folders(tmp_path / "mine", each=5)
    few = load(str(folder), tmp_path / "data", copies=1).table.set_index("clip_id")["alteration"]
    write(folder / "dog" / "a first one.wav")
    many = load(str(folder), tmp_path / "data", copies=2).table.set_index("clip_id")["alteration"]
    assert many[few.index].equals(few)


def test_a_caches_copies_are_kept_for_originals_that_are_still_there(tmp_path):
    folder = class_folders(tmp_path / "mine", each=3)
    cached = load(str(folder), tmp_path / "data", copies=2).table
    (folder / "dog" / "dog0-A.wav").unlink()
    now = load(str(folder), tmp_path / "data").table.assign(label="renamed")
    kept = kept_copies(now, cached)
    assert kept[:5].equals(now)
    assert "dog/dog0-A~1" not in set(kept["clip_id"])
    assert len(kept) == 5 + 10
    assert set(kept["label"]) == {"renamed"}
    assert kept["alteration"][5] == cached.set_index("clip_id").loc[kept["clip_id"][5], "alteration"]


def test_an_id_that_a_copy_would_have_is_told(tmp_path):
    write(tmp_path / "mine" / "dog" / "a.wav")
    write(tmp_path / "mine" / "dog" / "a~1.wav")
    with pytest.raises(RequestError, match="dog/a~1"):
        load(str(tmp_path / "mine"), tmp_path / "data", copies=1)


# Names, categories, summaries


def test_fifty_classes_in_five_categories_of_ten():
    assert pd.Series(ESC50).value_counts().tolist() == [10] * 5
    assert categories_of(["dog", "rain", "owl"]) == ["", "", ""]  # all or none


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("esc5", "unknown dataset 'esc5'; did you mean 'esc50'?"),
        ("no/such/folder", "there is no such folder or file"),
        ("missing.csv", "there is no such folder or file"),
    ],
)
def test_a_dataset_that_is_not_there_is_told(tmp_path, word, message):
    with pytest.raises(RequestError) as told:
        load(word, tmp_path)
    assert message in str(told.value)


def test_a_file_that_is_no_table_is_told(tmp_path):
    with pytest.raises(RequestError, match="is a file, but no CSV"):
        load(str(write(tmp_path / "a.wav")), tmp_path / "data")


def test_a_cache_is_used_as_it_is_without_audio(tmp_path):
    table = {"clip_id": ["a", "b"], "label": ["x", "y"], "fold": [1, 2], "group": ["g", "h"]}
    bring.create_cache(tmp_path / "brought", table, sample_rate=8_000, duration=2.0)
    dataset = load(str(tmp_path / "brought"), tmp_path / "data")
    assert dataset.table["clip_id"].tolist() == ["a", "b"]
    assert (dataset.name, dataset.samples, dataset.source) == ("brought", 16_000, "brought")
    assert run(SourceOptions(dataset=str(tmp_path / "brought"), data=tmp_path / "data")) == 0


def test_options_without_use_are_named(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    notes = load(folder, tmp_path / "data", url="http://x", audio_dir=tmp_path).notes
    assert [note.split()[0] for note in notes[:2]] == ["URL", "AUDIO_DIR"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    folder = str(class_folders(tmp_path / "mine", each=1))
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match="cannot be written"):
        load(folder, tmp_path / "data")


def test_the_summary_shows_imbalance_and_sources_in_several_folds(tmp_path):
    rows = [f"{n}.wav,1,0,dog,{n},A" for n in range(9)] + ["x.wav,1,1,cat,3,A", "y.wav,2,1,cat,3,B"]
    shown = summary(load(str(esc_layout(tmp_path / "mine", rows)), tmp_path / "data"))
    assert "unbalanced: 9 clips of dog and 2 of cat; look at balanced accuracy" in shown
    assert "in several folds: 1 source recordings (3)" in shown


def test_the_command_summarises_and_tells_what_comes_next(tmp_path):
    folder = class_folders(tmp_path / "my sounds")
    (folder / "dog" / "dog0-A.wav").unlink()
    command = [sys.executable, "-m", "pipeline", "data", f"DATASET={folder}", f"DATA={tmp_path / 'data'}"]
    done = subprocess.run(
        [*command, "GROUP=(.*)-[A-Z]"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "my sounds: 19 clips, 2 classes, 5 folds, 19 source recordings" in done.stdout
    assert f"next: make features 'DATASET={folder}'" in done.stdout
    (tmp_path / "list.csv").write_text("filename,label\nmissing.wav,dog\n" + f"{folder}/dog/dog1-A.wav,dog\n")
    command[4] = f"DATASET={tmp_path / 'list.csv'}"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"missing: {tmp_path / 'missing.wav'}" in done.stdout
