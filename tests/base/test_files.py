"""Requests to the operating system: space, whole writes, whole files, locks."""

import errno
import fcntl
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from featurestack.base.files import Lock, content_hash, replace_file, replaced
from tests.refusal import refused


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    killed = path.with_name(f".file.{socket.gethostname()}.999999999.1")
    killed.write_bytes(b"of a killed run, and longer")
    with pytest.raises(ValueError, match="in the middle"), replaced(path) as draft:
        assert not draft.exists()
        draft.write_bytes(b"half")
        raise ValueError("in the middle")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    full = pytest.raises(OSError, match=r"No space left on device: .*file'")
    with full, replaced(path) as draft:
        raise OSError(errno.ENOSPC, "of a write, which names no file")
    with replaced(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


@pytest.fixture
def locks(tmp_path):
    return [Lock(tmp_path / "locks/mel.lock") for _ in range(3)]


def test_many_share_a_lock_and_one_has_it_alone(locks, monkeypatch):
    first, other, third = locks
    assert first.take(shared=True) and other.take(shared=True) and not third.take()
    other.drop()
    assert first.take() and not third.take(shared=True)
    with refused("somebody"), Lock(first.path, busy="somebody has it"):
        pass
    first.release()
    assert third.take(shared=True) and third.path.exists()
    # a file system without locks grants every request
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "")))
    assert other.take() and third.take()
    other.drop()


@pytest.mark.parametrize("name", ["fifo", "folder", "link"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("fifo")
    before = {path: path.lstat().st_ino for path in tmp_path.iterdir()}
    with refused("not a regular file"), replaced(tmp_path / name):
        pytest.fail("a draft was handed out")
    assert {path: path.lstat().st_ino for path in tmp_path.iterdir()} == before
    with pytest.raises(OSError, match="no regular file"):  # and not waited for
        content_hash(tmp_path / name)


def test_without_a_lock_only_drafts_of_processes_that_are_gone_are_removed(tmp_path):
    here = socket.gethostname()
    of_others = ["file.tmp", ".file.mine", f".file.{here}.1.1", ".file.n2.a.9.9"]
    for name in (*of_others, f".file.{here}.999999999.1"):
        (tmp_path / name).touch()
    replace_file(tmp_path / "file", b"new")
    assert {one.name for one in tmp_path.iterdir()} == {"file", *of_others}
    with replaced(tmp_path / "file") as draft:
        draft.touch()
    assert {one.name for one in tmp_path.iterdir()} == {"file", *of_others[:3]}


def test_threads_that_write_one_file_do_not_share_a_draft(tmp_path):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            list(threads.map(lambda c: replace_file(tmp_path / "file", c), contents))
            assert (tmp_path / "file").read_bytes() in contents
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
