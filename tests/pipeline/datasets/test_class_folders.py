"""Folders with one sub-folder a class."""

import pytest

from commandline import RequestError
from pipeline.datasets import load
from tests.pipeline.datasets.sounds import class_folders, write


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


def test_class_folders_without_sounds_are_named(tmp_path):
    class_folders(tmp_path / "mine", each=2)
    for name in ("owl/deeper", "bear", ".hidden"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    (tmp_path / "mine" / "bear" / "notes.txt").write_text("x")
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert set(dataset.table["label"]) == {"dog", "cat"}
    assert "no sounds in bear, owl: left out as classes" in dataset.notes


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
