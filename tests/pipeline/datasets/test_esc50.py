"""The download of ESC-50 begins again after an interruption; its archive is checked,
and unpacked completely or not at all.

The archives here have ESC-50's names and folds but contain silence: FLAC data, a
kilobyte per clip. The server behaves as real servers do, well and badly.
"""

import contextlib
import http.server
import io
import zipfile
from functools import cache

import numpy as np
import pytest
import soundfile

from featurestack.base import download
from featurestack.pipeline.datasets import esc50
from featurestack.pipeline.datasets.load import summarise_dataset
from featurestack.pipeline.datasets.readers import CATEGORY_OF
from featurestack.pipeline.options import SourceOptions
from tests.cases import cases
from tests.pipeline.datasets.folders import dataset
from tests.processes import serving
from tests.refusal import refused

TOP = "ESC-50-master"


@cache
def silent_clip(samples=220_500):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(samples, np.int16), 44_100, format="FLAC")
    return buffer.getvalue()


@cache
def files():
    """The archive's files by path: two clips of two classes in each of five folds."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    sounds = {}
    labels = list(CATEGORY_OF)[:50]
    for target, fold, number in np.ndindex(2, 5, 2):
        source = 100_000 + 1000 * target + 100 * fold + number
        name = f"{fold + 1}-{source}-A-{target}.wav"
        rows.append(
            f"{name},{fold + 1},{target},{labels[target]},{number == 0},{source},A"
        )
        sounds[f"audio/{name}"] = silent_clip()
    table = "\n".join([*rows, ""]).encode()
    return {"meta/esc50.csv": table, "LICENSE": b"CC BY-NC", **sounds}


def zipped(content, compression=zipfile.ZIP_STORED, top=f"{TOP}/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(top + name, data)
    return buffer.getvalue()


WHOLE = zipped(files())


MANNERS = {
    "whole": lambda n: (200, WHOLE, len(WHOLE)),
    "breaks-off": lambda n: (200, WHOLE[: len(WHOLE) // 4], len(WHOLE)),
    # GitHub sends archives in pieces, without a length. Here the first connection
    # breaks off.
    "chunked": lambda n: (200, WHOLE[: None if n else len(WHOLE) // 2], None),
    "gone": lambda n: (404, b"", 0),
    "page": lambda n: (200, b"<html>please log in</html>", 26),
}


requested: list[str] = []  # addresses


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves WHOLE in the way, one of MANNERS, that the address names."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = len(requested)
        requested.append(self.path)
        status, body, length = MANNERS[self.path.strip("/")](number)
        self.send_response(status)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
            size = f"{len(body):x}\r\n".encode()
            body = size + body + b"\r\n" + b"0\r\n\r\n" * bool(number)
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        # the client gave up
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def small(monkeypatch):
    """An ESC-50 with 20 clips of two classes, and retries without a pause."""
    monkeypatch.setattr(esc50, "CLIP_COUNT", 20)
    monkeypatch.setattr(download, "PAUSES", (0, 0))
    monkeypatch.setattr(download, "DOWNLOAD_BYTES", 1000)


@pytest.fixture
def server(small, monkeypatch):
    """Serves the archive in the manner given to it."""
    requested.clear()
    with serving(Handler) as address:
        yield lambda manner: monkeypatch.setattr(esc50, "URL", f"{address}/{manner}")


def obtain(data, **given):
    return esc50.obtain(SourceOptions(data=data, **given))


def left_in(data):
    return sorted(path.name for path in (data / "esc50").iterdir())


@pytest.mark.parametrize(("manner", "requests"), [("whole", 1), ("chunked", 2)])
def test_esc50_arrives_whole(tmp_path, server, manner, requests, capsys):
    server(manner)
    folder = obtain(tmp_path)
    assert not list(esc50.faults(folder))
    assert left_in(tmp_path) == ["LICENSE", "audio", "meta"]
    assert len(requested) == requests
    assert esc50.CREDIT in capsys.readouterr().out


@cases("manner", "message", "requests")
def test_what_does_not_arrive_is_reported_and_leaves_nothing_unpacked(
    tmp_path, server, manner, message, requests
):
    server(manner)
    with refused(message):
        obtain(tmp_path)
    assert len(requested) == requests
    # hidden: the lock and the record
    left = [path.name for path in tmp_path.iterdir()]
    assert not [name for name in left if name[0] != "." or name.endswith(".part")]


def test_an_archive_that_is_there_is_unpacked_and_kept_also_without_a_folder_around_it(
    tmp_path, small
):
    (tmp_path / "my.zip").write_bytes(zipped(files(), top=""))
    assert not list(esc50.faults(obtain(tmp_path, archive=str(tmp_path / "my.zip"))))
    assert (tmp_path / "my.zip").exists()


def test_no_entry_of_an_archive_is_written_outside_of_its_folder(tmp_path, small):
    names = "../outside.txt", "meta/../../../outside.txt", "/tmp/outside.txt"
    (tmp_path / "my.zip").write_bytes(zipped(files() | dict.fromkeys(names, b"x")))
    obtain(tmp_path / "data", archive=str(tmp_path / "my.zip"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "my.zip"]
    assert left_in(tmp_path / "data") == ["LICENSE", "audio", "meta"]


FIRST = "audio/1-100000-A-0.wav"


def overwritten(archive):
    """The archive with some compressed bytes of the first entry set to 0."""
    begin = 30 + len(f"{TOP}/meta/esc50.csv") + 30
    return archive[:begin] + bytes(100) + archive[begin + 100 :]


REFUSED = [
    (zipped({k: v for k, v in files().items() if k != FIRST}), "missing: "),
    (WHOLE[: len(WHOLE) // 2], "not a whole zip"),
    (overwritten(zipped(files(), zipfile.ZIP_DEFLATED)), "not a whole zip archive"),
]


@pytest.mark.parametrize(("content", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_an_archive_that_is_damaged_or_not_esc50_is_refused_and_leaves_nothing(
    tmp_path, small, content, reason
):
    (tmp_path / "my.zip").write_bytes(content)
    with refused(reason):
        obtain(tmp_path / "data", archive=str(tmp_path / "my.zip"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "my.zip"]
    assert not (tmp_path / "data" / "esc50").exists()


def test_a_folder_that_is_there_is_used_holds_esc10_and_its_damage_is_named(
    tmp_path, server, capsys
):
    server("whole")
    options = SourceOptions(data=tmp_path / "data")
    assert summarise_dataset(options) == 0
    assert (
        "esc50: 20 clips of 20 source recordings, 2 classes" in capsys.readouterr().out
    )
    whole = dataset("esc50", tmp_path)
    part = dataset("esc10", tmp_path)
    assert part.name == "esc10"
    marked = whole.table["group"].str.endswith("0")
    assert part.table.equals(whole.table[marked].reset_index(drop=True))
    (tmp_path / "data" / "esc50" / FIRST).write_bytes(silent_clip(8_000))
    assert summarise_dataset(options) == 1 and len(requested) == 1
    shown = capsys.readouterr().out
    assert "1-100000-A-0.wav has 8000 samples at 44100 Hz, expected 220500" in shown


@pytest.mark.parametrize(("limit", "value"), [("MOST_ENTRIES", 3), ("MOST_BYTES", 99)])
def test_an_archive_of_too_much_is_refused_before_a_file_is_written(
    tmp_path, small, monkeypatch, limit, value
):
    monkeypatch.setattr(esc50, limit, value)
    monkeypatch.setattr(zipfile.ZipFile, "extract", None)
    (tmp_path / "my.zip").write_bytes(WHOLE)
    with refused(r"my\.zip has \d+ entries of .*; expected at most"):
        obtain(tmp_path / "data", archive=str(tmp_path / "my.zip"))
    assert not (tmp_path / "data" / "esc50").exists()
