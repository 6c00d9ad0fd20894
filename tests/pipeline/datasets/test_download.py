"""Downloads go on where they broke off; archives are unpacked safely or not at all."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from commandline.registry import RequestError
from pipeline.datasets import download, esc50
from pipeline.datasets.download import UNFINISHED
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

TABLE = files(rows())[f"{TOP}/meta/esc50.csv"]
UNFIT = {
    "a clip is missing": ({f"audio/{FIRST}": None}, "missing: 1 clip, such as"),
    "a clip too many": ({"audio/1-1-A-1.wav": silent_clip()}, "not in the table"),
    "a clip is short": ({f"audio/{FIRST}": silent_clip(220_499)}, "has 220499 samples"),
    "a clip has another rate": ({f"audio/{FIRST}": silent_clip(220_500, 48_000)}, "at 48000 Hz"),
    "a clip is no sound": ({f"audio/{FIRST}": b"text"}, "not audio"),
    "no table": ({"meta/esc50.csv": None}, "no meta/esc50.csv"),
    "other columns": ({"meta/esc50.csv": b"filename,label\na.wav,dog\n"}, "lacks the columns"),
    "rows of another fold": ({"meta/esc50.csv": TABLE.replace(b"wav,1,", b"wav,2,", 1)}, "differ in fold"),
    "rows are missing": ({"meta/esc50.csv": TABLE[: TABLE.rindex(b"5-")]}, "has 19 clips, expected 20"),
}


@pytest.mark.parametrize(
    ("manner", "requests"),
    [
        ("whole", 1),
        ("redirect", 2),
        ("breaks-off", None),
        ("breaks-off-once-without-ranges", 2),
        ("changes-in-between", 2),
        ("changes-in-between-unnoticed", 3),
        ("slow", 1),
        ("chunked", 2),
        ("busy-twice", 3),
    ],
)
def test_it_arrives_whole(tmp_path, server, manner, requests, capsys):
    check_installed(obtain(tmp_path, url=server.url(manner)))
    assert requests is None or len(server.requests) == requests
    assert "Licence: Creative Commons" in capsys.readouterr().out


def test_a_broken_download_goes_on_where_it_stopped(tmp_path, server):
    obtain(tmp_path, url=server.url("breaks-off"))
    begins = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.ranges()[1:]]
    assert begins == sorted(set(begins))
    assert len(begins) >= 2


def test_a_stopped_program_goes_on_where_it_stopped(tmp_path, server, monkeypatch):
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(download.time, "sleep", stop)
        with pytest.raises(KeyboardInterrupt):
            obtain(tmp_path, url=server.url("breaks-off"))
    obtain(tmp_path, url=server.url("breaks-off"))
    assert server.ranges()[1] == f"bytes={len(server.content) // 3}-"


def test_all_bytes_there_and_only_the_name_missing_is_complete(tmp_path, server):
    part = download.PartialFile(tmp_path / "file.zip")
    part.path.write_bytes(server.content)
    part.note.write_text(f'{{"url": "{server.url("whole")}", "validator": ""}}')
    assert download.download_file(server.url("whole"), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.content
    assert not part.note.exists()


def test_a_range_that_ends_too_soon_is_not_taken_for_the_end(tmp_path, server):
    assert download.download_file(server.url("closes-early"), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.content


def test_a_part_from_another_address_is_not_gone_on_from(tmp_path, server):
    part = download.PartialFile(tmp_path / "file.zip")
    part.path.write_bytes(b"something else")
    part.note.write_text('{"url": "http://elsewhere/", "validator": ""}')
    assert not download.download_file(server.url("whole"), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.content


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        ("gone", "404"),
        ("always-breaks-off-without-ranges", "5 attempts"),
        ("silent", "5 attempts"),
        ("corrupt", "no whole zip archive"),
        ("page", "no whole zip archive"),
        ("endless", "the file there has 3.2 GB"),
    ],
)
def test_what_does_not_arrive_is_reported_and_leaves_nothing_unpacked(
    tmp_path, server, manner, message, monkeypatch
):
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.1))
    with pytest.raises(RequestError) as told:
        obtain(tmp_path, url=server.url(manner))
    assert message in str(told.value)
    assert not (tmp_path / "esc50" / "audio").exists()
    assert not (tmp_path / "esc50" / "meta").exists()
    assert not (tmp_path / "esc50" / UNFINISHED).exists()
    assert not (tmp_path / "esc50" / esc50.ARCHIVE).exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x.zip", "nonsense", "ftp://example.org/x.zip"])
def test_an_address_that_leads_nowhere_is_reported(tmp_path, url, monkeypatch):
    monkeypatch.setattr(download, "WAIT", 0.001)
    with pytest.raises(RequestError, match=r"cannot be fetched.*ARCHIVE= a zip that is already there"):
        obtain(tmp_path, url=url)


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
    monkeypatch.setattr(download, "MOST_UNPACKED", 50_000)
    given = write(tmp_path / "bomb.zip", zipped({f"{number}.bin": bytes(9_000) for number in range(6)}))
    with pytest.raises(download.Refused, match=r"54\.0 kB unpacked"):
        download.unpack(given, tmp_path / "declared")
    with zipfile.ZipFile(given) as file, pytest.raises(download.Refused, match="it unpacks to more than"):
        (tmp_path / "counted").mkdir()
        download._write_entries(file, file.infolist(), given, tmp_path / "counted")
    assert sum(path.stat().st_size for path in (tmp_path / "counted").iterdir()) <= 50_000


def test_too_many_entries_are_refused(tmp_path):
    many = write(tmp_path / "many.zip", zipped({str(number): b"" for number in range(10_001)}))
    with pytest.raises(download.Refused, match="10,001 entries"):
        download.unpack(many, tmp_path / "many")


def test_a_list_of_entries_too_long_to_read_is_refused_unread(tmp_path):
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**31, 0, 0)
    given = write(tmp_path / "long.zip", bytes(100) + end)
    with pytest.raises(download.Refused, match="lists more than 10,000 entries"):
        download.unpack(given, tmp_path / "long")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_cut_off_archive_is_refused(tmp_path, kept):
    content = small_archive()
    given = write(tmp_path / "cut.zip", content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(RequestError, match="no whole zip archive"):
        obtain(tmp_path, archive=given)


def test_an_archive_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(RequestError, match="there is no such file"):
        obtain(tmp_path, archive=tmp_path / "none.zip")
