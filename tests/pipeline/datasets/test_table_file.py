"""CSV files as spreadsheets write them."""

from pathlib import Path

import pytest

from commandline import RequestError
from pipeline.datasets import load
from tests.pipeline.datasets.sounds import csv, write


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
