"""Locks: shared or alone, given up with the process that held them, granted where there are none."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from commandline import RequestError
from features_cache.locks import FOLDER, Lock, lock

HOLDS = """
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_many_share_it_and_one_has_it_alone(tmp_path):
    one, other, third = (lock(tmp_path, "mel") for _ in range(3))
    assert one.take(shared=True)
    assert other.take(shared=True)
    assert not third.take()
    other.drop()
    assert one.take()
    assert not third.take(shared=True)
    one.release()
    assert third.take(shared=True)
    assert not lock(tmp_path, "mel").take()
    assert lock(tmp_path, "mfcc").take()


def test_it_goes_with_the_process_that_held_it_and_its_file_stays(tmp_path):
    held = lock(tmp_path, "mel")
    words = [sys.executable, "-c", HOLDS, str(held.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        assert not held.take(shared=True)
        other.kill()
        other.wait()
        assert held.take(shared=True)
    held.release()
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["mel.lock"]


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_grants_every_request(tmp_path, monkeypatch, error):
    def flock(descriptor, kind):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock)
    one, other = lock(tmp_path, "mel"), lock(tmp_path, "mel")
    assert one.take()
    assert other.take()
    one.drop()


def test_another_error_is_no_grant(tmp_path, monkeypatch):
    def flock(descriptor, kind):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"):
        lock(tmp_path, "mel").take()


def test_a_folder_that_cannot_hold_locks_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be written: Not a directory"):
        lock(tmp_path / "file", "mel")
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "nothing", create=False)
