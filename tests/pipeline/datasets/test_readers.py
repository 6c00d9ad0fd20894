"""Class folders, ESC-50's layout, CSV files: what clips are called, what is read, what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from commandline.registry import RequestError
from features_cache.table import CLIP_COLUMNS, NO_CLASS_NAMES
from pipeline.datasets import load
from pipeline.datasets.readers import describe_labels, ids_by_name, ids_by_path
from results.run_folder import PREDICTION_COLUMNS
from tests.pipeline.datasets.folders import class_folders, csv, esc_layout, write


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
    assert ids_by_name(names) == expected


def test_with_class_folders_the_folder_belongs_to_the_id():
    paths = ["dog/1.wav", "dog/1.ogg", "cat/1.wav", "cat/new/2.wav"]
    assert ids_by_path(paths) == ["dog/1.wav", "dog/1.ogg", "cat/1", "cat/new/2"]


def test_a_clip_that_is_listed_twice_is_reported():
    with pytest.raises(RequestError, match="is listed twice"):
        ids_by_name(["a.wav", "a.wav"])


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
    assert "in no class folder: 1 audio file" in dataset.notes[1]


def test_class_folders_without_audio_files_are_named(tmp_path):
    class_folders(tmp_path / "mine", each=2)
    for name in ("owl/deeper", "bear", ".hidden"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    (tmp_path / "mine" / "bear" / "notes.txt").write_text("x")
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert set(dataset.table["label"]) == {"dog", "cat"}
    assert "no audio files in bear, owl: left out as classes" in dataset.notes


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
def test_a_folder_without_class_folders_is_reported(tmp_path, content):
    for name in content:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "mine").mkdir(exist_ok=True)
    with pytest.raises(RequestError, match="expected one sub-folder a class"):
        load(str(tmp_path / "mine"), tmp_path / "data")


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


def test_a_layout_with_other_classes_has_no_categories_and_its_own_rate_when_asked(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A", "b.wav,2,0,owl,8,A"])
    dataset = load(str(folder), tmp_path / "data", sample_rate=8_000, duration=0.25)
    assert dataset.table["category"].tolist() == ["", ""]
    assert (dataset.sample_rate, dataset.samples) == (8_000, 2_000)
    assert load(str(folder), tmp_path / "data").sample_rate == 44_100


@pytest.mark.parametrize("fold", ["", "x", "0", "1.5", "-1"])
def test_a_fold_that_is_no_number_is_reported(tmp_path, fold):
    folder = esc_layout(tmp_path / "mine", [f"a.wav,{fold},0,owl,7,A"])
    with pytest.raises(RequestError, match="has fold"):
        load(str(folder), tmp_path / "data")


def test_a_blank_class_in_esc50s_layout_is_reported(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A", "b.wav,2,0, ,8,A"])
    with pytest.raises(RequestError, match=r"any name\.csv: b\.wav has no label"):
        load(str(folder), tmp_path / "data")


def test_two_tables_are_named_and_one_of_them_can_be_chosen(tmp_path):
    folder = esc_layout(tmp_path / "mine", ["a.wav,1,0,owl,7,A"])
    (folder / "meta" / "other.csv").write_text((folder / "meta" / "any name.csv").read_text())
    with pytest.raises(RequestError, match="AUDIO_DIR="):
        load(str(folder), tmp_path / "data")
    chosen = load(str(folder / "meta" / "other.csv"), tmp_path / "data", audio_dir=folder / "audio")
    assert chosen.name == "other"
    assert chosen.sample_rate == 8_000  # a CSV's clips are measured


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


def test_columns_that_are_not_used_are_named_but_for_the_one_that_groups(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    text = ",filename,label,split,recording\n0,a.wav,dog,train,1\n1,b.wav,cat,test,2\n"  # as pandas writes it
    path = csv(tmp_path / "mine.csv", text)
    said = "columns that are not used: split, recording; GROUP= takes one of them as the group"
    assert said in load(path, tmp_path / "data").notes
    notes = load(path, tmp_path / "data", group="recording").notes
    assert [note for note in notes if "not used" in note] == ["columns that are not used: split"]


def test_labels_lose_blanks_at_their_ends_and_doubtful_ones_are_named(tmp_path):
    for name in "abcd":
        write(tmp_path / f"{name}.wav")
    rows = 'a.wav,"dog "\nb.wav,rain\nc.wav," Dog"\nd.wav,dog; rain'
    dataset = load(csv(tmp_path / "mine.csv", f"filename,label\n{rows}\n"), tmp_path / "data")
    assert dataset.table["label"].tolist() == ["dog", "rain", "Dog", "dog; rain"]
    assert "classes that differ by case alone: Dog and dog; each is a class" in dataset.notes
    assert "one label a clip is read, so each of 'dog; rain' is a class of its own" in dataset.notes
    assert describe_labels(["a,b", "b|c", "c;a"])[0].startswith("one label a clip is read, so each of 'a,b',")
    assert describe_labels(["speech", "music, classical", "music"]) == []


def test_classes_called_like_columns_of_predictions_are_refused_at_once_and_all_of_them(tmp_path):
    assert {*PREDICTION_COLUMNS, "fold", "file", "predicted", "start", "end"} == set(NO_CLASS_NAMES)
    folder = class_folders(tmp_path / "mine", "dog split predicted", each=2)
    with pytest.raises(
        RequestError, match=r"^predicted, split: no class may have the name of a column.*rename them"
    ):
        load(str(folder), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class\na.wav,dog\n", "it has|has the columns name, class; expected filename,label"),
        ("filename,label\n", "lists no clip"),
        ("filename,label\na.wav,\n", "a.wav has no label"),
        ('filename,label\na.wav," "\n', "a.wav has no label"),
        ('filename,fold,category,src_file\na.wav,1," ",77\n', "mine.csv: a.wav has no label"),
        ("filename,label,fold\na.wav,dog,first\n", "has fold 'first'"),
        ("", "cannot be read as a CSV"),
        ('filename,label\n"a.wav,dog\n', "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_is_wrong_is_reported(tmp_path, text, message):
    write(tmp_path / "a.wav")
    with pytest.raises(RequestError, match=message):
        load(csv(tmp_path / "mine.csv", text), tmp_path / "data")
