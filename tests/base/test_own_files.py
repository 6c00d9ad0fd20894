"""Only files that a record names, unchanged since, are replaced or removed."""

import errno
import json
import os
import subprocess
import sys

import pytest

from featurestack.base import own_files
from featurestack.base.errors import RequestError
from featurestack.base.files import hash_of, replace_file
from featurestack.base.own_files import RECORD, OwnFiles, Taken, own_file
from tests.golden.commands import flip_bit
from tests.refusal import refused


def test_changed_files_and_the_users_stay_and_are_named(tmp_path):
    (tmp_path / "b").write_text("mine")
    (tmp_path / "c").symlink_to("b")
    first = OwnFiles(tmp_path, ".record")
    first.write({"a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f/g": "1"})
    assert first.remove_others() == ["b", "c"]
    (tmp_path / "a").write_text("edited")
    (tmp_path / "e").write_text("edited")
    second = OwnFiles(tmp_path, ".record")
    second.write({"a": "2", "b": "2"})
    second.keep(["d"])
    assert second.remove_others() == ["a", "b", "e"]
    texts = {file.name: file.read_text() for file in tmp_path.glob("[a-e]")}
    assert texts.pop("a") == texts.pop("e") == "edited"
    assert texts == {"b": "mine", "c": "mine", "d": "1"}


def test_an_edited_file_that_is_written_again_stays_the_users(tmp_path):
    own = OwnFiles(tmp_path, ".record")
    own.write({"a": "1"})
    (tmp_path / "a").write_text("edited")
    own.write({"a": "edited, and a row"}, edited=True)
    assert (tmp_path / "a").read_text() == "edited, and a row"
    assert not OwnFiles(tmp_path, ".record").is_own("a")
    (tmp_path / "a").unlink()
    own.write({"a": "2"})
    assert OwnFiles(tmp_path, ".record").is_own("a")


def test_a_file_of_another_command_is_not_replaced(tmp_path):
    file = tmp_path / "a.csv"
    for text in ("1", "2"):
        own_file(file, ".table.json", "FILE").write({file.name: text})
        assert file.read_text() == text
    with refused("was not written by this command"):
        own_file(file, ".export.json", "OUT")


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_files_before_a_full_disk_are_replaced_by_the_next_call(
    tmp_path, monkeypatch, after
):
    own = OwnFiles(tmp_path, ".record")
    own.write({"a": "1", "b": "2", "c": "3"})
    files_written = []

    def until_full(file, content, **given):
        if len(files_written) == after:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        files_written.append(file)
        replace_file(file, content, **given)

    with monkeypatch.context() as full_disk:
        full_disk.setattr(own_files, "replace_file", until_full)
        with pytest.raises(OSError, match="No space left"):
            own.write({"a": "4", "b": "5", "d": "6"})
    again = OwnFiles(tmp_path, ".record")
    again.write({"a": "7"})
    assert not again.remove_others()
    names = {".record", ".record.lock", "a"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert (tmp_path / "a").read_text() == "7"


def test_a_record_of_files_elsewhere_removes_nothing(tmp_path):
    own = tmp_path / "own"
    (tmp_path / "mine").write_text("mine")
    own.mkdir()
    files = {"../mine": [hash_of(b"mine")]}
    digest = hash_of(json.dumps(["", files]).encode())
    record = {"of": "", "digest": digest, "files": files}
    (own / ".record").write_text(json.dumps(record))
    OwnFiles(own, ".record").remove_others()
    assert (tmp_path / "mine").is_file()


def test_a_registered_name_is_ours_whatever_it_holds_and_the_users_is_refused(tmp_path):
    run = tmp_path / "run"
    (run / "fold1").mkdir(parents=True)
    (run / "fold1/mine.csv").write_text("mine")
    (run / "mine.csv").write_text("mine")
    with refused(r"run/mine.csv was not written .* move it"):
        OwnFiles(run).register(["run.json", "mine.csv"], "move it")
    assert not (run / RECORD).exists()
    OwnFiles(run).register(
        ["run.json", "fold1/history.csv", "fold2/last.pt"], "move it"
    )
    for name in ("run.json", "fold1/history.csv"):
        (run / name).write_text("rewritten again and again")
    OwnFiles(run).register(["run.json"], "move it")
    assert OwnFiles(run).remove() == [run / "fold1/mine.csv", run / "mine.csv"]
    left = {str(path.relative_to(run)) for path in run.rglob("*")}
    assert left == {"fold1", "fold1/mine.csv", "mine.csv"}


def test_nothing_is_removed_through_a_link(tmp_path):
    disk, run = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    run.mkdir()
    (run / "fold1").symlink_to(disk)
    (run / "last.pt").symlink_to(disk / "last.pt")
    own = OwnFiles(run)
    own.register(["fold1/last.pt"], "move it")
    own.register(["last.pt", "fold1/a/b"], "move it", known=lambda file: True)
    (disk / "last.pt").write_text("of the run, on another disk")
    (disk / "a").mkdir()
    assert OwnFiles(run).remove() == [run / "fold1", run / "last.pt"]
    assert (disk / "last.pt").is_file() and (disk / "a").is_dir()


def test_a_folder_that_is_a_link_is_not_emptied(tmp_path):
    OwnFiles(tmp_path / "run").write({"a": "1"})
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with refused("link is a link: name the folder"):
        OwnFiles(tmp_path / "link").remove()
    assert (tmp_path / "run/a").is_file()


def test_every_flipped_byte_of_a_record_is_an_error_by_name(tmp_path):
    OwnFiles(tmp_path).write({"fold1/history.csv": "1"})
    OwnFiles(tmp_path).register(["a"], "move it", identity="hash")
    file = tmp_path / RECORD
    content = file.read_bytes()
    for place in range(len(content)):
        flip_bit(file, place)
        try:
            own = OwnFiles(tmp_path)
        except RequestError as error:
            assert f"{file} is damaged" in str(error) and "\n" not in str(error)
        else:  # a blank between two values
            assert own.hashes.keys() == {"fold1/history.csv", "a"}
            assert own.identity == "hash"
        file.write_bytes(content)


def test_a_record_that_is_a_pipe_is_not_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / RECORD)
    with refused("is not a regular file"):
        OwnFiles(tmp_path)


def test_a_folder_of_another_identity_is_taken(tmp_path):
    first, second = OwnFiles(tmp_path), OwnFiles(tmp_path)  # both find it free
    first.register(["a"], "move it", identity="one")
    with pytest.raises(Taken):
        second.register(["a"], "move it", identity="two")
    second.register(["a"], "", identity="two", is_other=lambda identity: False)
    assert OwnFiles(tmp_path).identity == "two"


MANY = """
import sys
from pathlib import Path
from featurestack.base.own_files import OwnFiles
name, folder = sys.argv[1], Path(sys.argv[2])
for turn in range(30):
    own = OwnFiles(folder, ".record")
    files = {"shared.csv": f"{name} {turn}", f"{name}{turn}.csv": name}
    own.write(files, durable=False)
    own.keep(own.hashes)
    assert not own.remove_others(), own.changed
"""


def test_two_commands_at_once_stay_the_owners_of_all_that_they_write(tmp_path):
    words = [sys.executable, "-c", MANY]
    both = [subprocess.Popen([*words, name, str(tmp_path)]) for name in ("a", "b")]
    assert [one.wait() for one in both] == [0, 0]
    own = OwnFiles(tmp_path, ".record")
    assert len(own.hashes) == 61 and all(map(own.is_own, own.hashes))
    own.write({"shared.csv": "of a later call"})
    assert own.remove_others() == []
    assert {file.name for file in tmp_path.glob("*.csv")} == {"shared.csv"}
