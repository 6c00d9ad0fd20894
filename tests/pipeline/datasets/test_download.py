"""ESC-50 over the network: whatever a server does, all arrives or nothing is unpacked."""

import pytest

from commandline import RequestError
from pipeline.datasets import download, esc50
from pipeline.datasets.staging import UNFINISHED
from tests.pipeline.datasets.esc50_archive import check_installed, obtain


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
    part = download.Part(tmp_path / "file.zip")
    part.path.write_bytes(server.content)
    part.note.write_text(f'{{"url": "{server.url("whole")}", "validator": ""}}')
    assert download.fetch(server.url("whole"), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.content
    assert not part.note.exists()


def test_a_range_that_ends_too_soon_is_not_taken_for_the_end(tmp_path, server):
    assert download.fetch(server.url("closes-early"), tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.content


def test_a_part_from_another_address_is_not_gone_on_from(tmp_path, server):
    part = download.Part(tmp_path / "file.zip")
    part.path.write_bytes(b"something else")
    part.note.write_text('{"url": "http://elsewhere/", "validator": ""}')
    assert not download.fetch(server.url("whole"), tmp_path / "file.zip")
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
def test_what_does_not_arrive_is_told_and_leaves_nothing_unpacked(
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
def test_an_address_that_leads_nowhere_is_told(tmp_path, url, monkeypatch):
    monkeypatch.setattr(download, "WAIT", 0.001)
    with pytest.raises(RequestError, match=r"cannot be fetched.*ARCHIVE= a zip that is already there"):
        obtain(tmp_path, url=url)
