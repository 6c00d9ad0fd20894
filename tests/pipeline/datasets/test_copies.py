"""Altered copies in the table: after all originals, and none changes another."""

import pytest

from commandline import RequestError
from pipeline.datasets import load
from pipeline.datasets.copies import kept_copies
from tests.pipeline.datasets.sounds import class_folders, write


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
