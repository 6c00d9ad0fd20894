"""What is asked of the operating system: space that is really there, whole writes, whole files."""

import errno
import os

import pytest

from features_cache import storage
from features_cache.storage import replaced, write_at


@pytest.mark.parametrize("posix", [True, False])
def test_every_byte_of_a_new_file_has_its_place_on_the_disk(tmp_path, monkeypatch, posix):
    if not posix:
        monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"head")
        file.truncate(5_000_000)
    storage.allocate(path)
    assert path.stat().st_blocks * 512 >= 5_000_000
    assert path.read_bytes() == b"head" + bytes(4_999_996)


@pytest.mark.parametrize(("error", "raised"), [(errno.EOPNOTSUPP, False), (errno.ENOSPC, True)])
def test_a_full_disk_is_told_and_a_file_system_without_the_call_is_not(tmp_path, monkeypatch, error, raised):
    def fallocate(descriptor, offset, length):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    (tmp_path / "file").write_bytes(b"head" + bytes(3_000_000))
    if raised:
        with pytest.raises(OSError, match="No space left"):
            storage.allocate(tmp_path / "file")
    else:
        storage.allocate(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"head" + bytes(3_000_000)


@pytest.mark.parametrize("call", ["pwrite", "write"])
def test_all_bytes_are_written_although_the_system_takes_a_few_at_a_time(tmp_path, monkeypatch, call):
    whole = getattr(os, call)
    if call == "write":
        monkeypatch.delattr(os, "pwrite")
    monkeypatch.setattr(os, call, lambda descriptor, data, *offset: whole(descriptor, data[:3], *offset))
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        write_at(file.fileno(), b"0123456789", 2)
        write_at(file.fileno(), memoryview(b"ab"), 4)
    assert (tmp_path / "file").read_bytes() == b"\0\x0001ab456789"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    storage.draft_of(path).write_bytes(b"of a killed run, and longer")
    with pytest.raises(ValueError, match="in the middle"), replaced(path) as draft:
        assert not draft.exists()
        draft.write_bytes(b"half")
        raise ValueError("in the middle")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    with replaced(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"
