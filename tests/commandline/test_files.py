"""What is asked of the operating system: space, whole writes, whole files, locks."""

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
from unittest.mock import Mock

import pytest

from commandline import system
from commandline.files import Lock, draft_of, replace_file, replaced
from commandline.registry import RequestError

DISK_FULL = OSError(errno.ENOSPC, "No space left on device")
HOLDS = """
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("error", [None, AttributeError(), OSError(errno.EOPNOTSUPP, ""), DISK_FULL])
def test_every_byte_of_a_new_file_has_its_place_on_the_disk(tmp_path, monkeypatch, error):
    """Also on a system, or a file system, without the call; a full disk is reported."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"head")
        file.truncate(5_000_000)
    if error:
        monkeypatch.setattr(os, "posix_fallocate", Mock(side_effect=error))
    if error is DISK_FULL:
        with pytest.raises(OSError, match="No space left"):
            system.allocate(path)
    else:
        system.allocate(path)
        assert path.stat().st_blocks * 512 >= 5_000_000
    assert path.read_bytes() == b"head" + bytes(4_999_996)


@pytest.mark.parametrize("call", ["pwrite", "write"])
def test_all_bytes_are_written_although_the_system_takes_a_few_at_a_time(tmp_path, monkeypatch, call):
    whole = getattr(os, call)
    if call == "write":
        monkeypatch.delattr(os, "pwrite")
    monkeypatch.setattr(os, call, lambda descriptor, data, *offset: whole(descriptor, data[:3], *offset))
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        system.write_at(file.fileno(), b"0123456789", 2)
        system.write_at(file.fileno(), memoryview(b"ab"), 4)
    assert (tmp_path / "file").read_bytes() == b"\0\x0001ab456789"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    draft_of(path).write_bytes(b"of a killed run, and longer")
    with pytest.raises(ValueError, match="in the middle"), replaced(path) as draft:
        assert not draft.exists()
        draft.write_bytes(b"half")
        raise ValueError("in the middle")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    with pytest.raises(OSError, match=r"No space left on device: .*file'"), replaced(path) as draft:
        raise OSError(errno.ENOSPC, "of a write, which names no file")
    with replaced(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


@pytest.fixture
def locks(tmp_path):
    return [Lock(tmp_path / "locks/mel.lock") for _ in range(3)]


def test_many_share_a_lock_and_one_has_it_alone(locks):
    one, other, third = locks
    assert one.take(shared=True) and other.take(shared=True) and not third.take()
    other.drop()
    assert one.take() and not third.take(shared=True)
    with pytest.raises(RequestError, match="somebody"), Lock(one.path, busy="somebody has it"):
        pass
    one.release()
    assert third.take(shared=True)


def test_a_lock_goes_with_the_process_that_held_it_and_its_file_stays(locks):
    words = [sys.executable, "-c", HOLDS, str(locks[0].path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert not locks[0].take(shared=True)
        other.kill()
        other.wait()
        assert locks[0].take(shared=True)
    assert locks[0].path.exists()


@pytest.mark.parametrize(("error", "granted"), [(errno.ENOLCK, True), (errno.EIO, False), (None, True)])
def test_only_a_system_without_locks_grants_every_request(locks, monkeypatch, error, granted):
    def flock(descriptor, kind):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock) if error else monkeypatch.setattr(system, "fcntl", None)
    if granted:
        assert locks[0].take() and locks[1].take()
        locks[0].drop()
    else:
        with pytest.raises(OSError, match="error"):
            locks[0].take()


def test_a_lock_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be written: Not a directory"):
        Lock(tmp_path / "file/locks/mel.lock")
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "nothing", create=False)

    def full(path, flags, mode):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left on device"):  # exit status 1, not 2
        Lock(tmp_path / "locks/mel.lock")


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFDIR])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, kind, link):
    path = tmp_path / "place"
    path.mkdir() if kind == stat.S_IFDIR else os.mkfifo(path)
    target = tmp_path / "link" if link else path
    if link:
        target.symlink_to(path)
    with pytest.raises(RequestError, match="no ordinary file"), replaced(target):
        pytest.fail("a draft was handed out")
    assert stat.S_IFMT(path.stat().st_mode) == kind and target.is_symlink() == link
    assert len(list(tmp_path.iterdir())) == 1 + link


@pytest.mark.parametrize("name", ["/proc/self/mem", "/proc/self/new", "stdout"])
def test_files_of_the_system_and_links_to_them_are_never_replaced(tmp_path, name):
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    with pytest.raises(RequestError, match="no ordinary file"), replaced(tmp_path / name):
        pytest.fail("a draft was handed out")


def test_without_a_lock_only_drafts_of_processes_that_are_gone_are_removed(tmp_path):
    drafts = [tmp_path / f".file.{socket.gethostname()}.{number}" for number in (1, 999_999_999)]
    for draft in drafts:
        draft.touch()
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [draft.exists() for draft in drafts] == [True, False]
