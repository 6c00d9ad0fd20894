"""Archives good and bad: what does not pass leaves nothing unpacked."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from commandline import RequestError
from pipeline.datasets import archive
from tests.pipeline.datasets.esc50_archive import (
    FIRST,
    TOP,
    check_installed,
    files,
    obtain,
    rows,
    silent_clip,
    small_archive,
    zipped,
)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("top", [TOP, "ESC-50", "."])
def test_an_archive_that_is_there_is_unpacked_and_kept(tmp_path, top):
    content = {name.removeprefix("./"): data for name, data in files(rows(), top).items()}
    given = write(tmp_path / "my.zip", zipped(content))
    check_installed(obtain(tmp_path, archive=given))
    assert given.exists()


def changed(**changes: bytes | None) -> bytes:
    content = files(rows())
    for name, data in changes.items():
        content[f"{TOP}/{name}"] = data
    return zipped({name: data for name, data in content.items() if data is not None})


TABLE = files(rows())[f"{TOP}/meta/esc50.csv"]

UNFIT = {
    "a clip is missing": ({f"audio/{FIRST}": None}, "1 clips are missing"),
    "a clip too many": ({"audio/1-1-A-1.wav": silent_clip()}, "not in the table"),
    "a clip is short": ({f"audio/{FIRST}": silent_clip(220_499)}, "has 220499 samples"),
    "a clip has another rate": ({f"audio/{FIRST}": silent_clip(220_500, 48_000)}, "at 48000 Hz"),
    "a clip is no sound": ({f"audio/{FIRST}": b"text"}, "not audio"),
    "no table": ({"meta/esc50.csv": None}, "no meta/esc50.csv"),
    "other columns": ({"meta/esc50.csv": b"filename,label\na.wav,dog\n"}, "lacks the columns"),
    "rows of another fold": ({"meta/esc50.csv": TABLE.replace(b"wav,1,", b"wav,2,", 1)}, "differ in fold"),
    "rows are missing": ({"meta/esc50.csv": TABLE[: TABLE.rindex(b"5-")]}, "has 19 clips, expected 20"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_archive_whose_contents_do_not_pass_is_refused(tmp_path, case):
    changes, message = UNFIT[case]
    given = write(tmp_path / "my.zip", changed(**changes))
    with pytest.raises(RequestError) as told:
        obtain(tmp_path, archive=given)
    assert message in str(told.value)
    assert [path.name for path in (tmp_path / "esc50").iterdir()] == [".making.lock"]


def with_entry(name: str, kind: int = stat.S_IFREG, content: bytes = b"../../../etc/passwd") -> bytes:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o644) << 16
    return zipped({entry: content})  # type: ignore[dict-item]


UNSAFE = {
    "above": with_entry("../outside.txt"),
    "above, deep inside": with_entry(f"{TOP}/audio/../../../outside.txt"),
    "absolute": with_entry("/tmp/outside.txt"),
    "a drive": with_entry("C:outside.txt"),
    "backslashes": with_entry("..\\outside.txt"),
    "a link": with_entry(f"{TOP}/audio", stat.S_IFLNK),
    "a device": with_entry(f"{TOP}/device", stat.S_IFCHR),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_paths_and_links_outside_are_refused(tmp_path, case):
    given = write(tmp_path / "my.zip", UNSAFE[case])
    with pytest.raises(RequestError, match="is refused"):
        obtain(tmp_path / "data", archive=given)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "my.zip"]
    assert [path.name for path in (tmp_path / "data" / "esc50").iterdir()] == [".making.lock"]


def test_bytes_are_counted_while_unpacking_whatever_the_zip_says(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 50_000)
    given = write(tmp_path / "bomb.zip", zipped({f"{number}.bin": bytes(9_000) for number in range(6)}))
    with pytest.raises(archive.Refused, match=r"54\.0 kB unpacked"):
        archive.unpack(given, tmp_path / "declared")
    with zipfile.ZipFile(given) as file, pytest.raises(archive.Refused, match="it unpacks to more than"):
        (tmp_path / "counted").mkdir()
        archive._unpack(file, file.infolist(), given, tmp_path / "counted")
    assert sum(path.stat().st_size for path in (tmp_path / "counted").iterdir()) <= 50_000


def test_too_many_entries_are_refused(tmp_path):
    many = write(tmp_path / "many.zip", zipped({str(number): b"" for number in range(10_001)}))
    with pytest.raises(archive.Refused, match="10,001 entries"):
        archive.unpack(many, tmp_path / "many")


def test_a_list_of_entries_too_long_to_read_is_refused_unread(tmp_path):
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**31, 0, 0)
    given = write(tmp_path / "long.zip", bytes(100) + end)
    with pytest.raises(archive.Refused, match="lists more than 10,000 entries"):
        archive.unpack(given, tmp_path / "long")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_cut_off_archive_is_refused(tmp_path, kept):
    content = small_archive()
    given = write(tmp_path / "cut.zip", content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(RequestError, match="no whole zip archive"):
        obtain(tmp_path, archive=given)


def test_an_archive_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RequestError, match="there is no such file"):
        obtain(tmp_path, archive=tmp_path / "none.zip")
