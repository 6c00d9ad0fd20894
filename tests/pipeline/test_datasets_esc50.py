"""ESC-50 from a real HTTP server, from archives good and bad, and from folders that are there."""

import http.server
import re
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commandline import RequestError
from pipeline.datasets import archive, download, esc50, load
from pipeline.datasets.staging import UNFINISHED
from tests.pipeline.esc50_archive import SMALL, TOP, files, rows, silent_clip, small_archive, zipped

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """Serves one file in the way that the first part of the path says; remembers what was asked."""

    def __init__(self, content: bytes) -> None:
        self.content, self.requests = content, []
        self.address = ""

    def url(self, manner: str) -> str:
        return f"{self.address}/{manner}"

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    server_owner: Server

    def do_GET(self) -> None:
        served = self.server_owner
        served.requests.append((self.path, self.headers))
        getattr(self, self.path.split("/")[1].replace("-", "_"))(served.content)

    def log_message(self, *arguments: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, *, cut: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])

    def asked_from(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def rest(self, content: bytes, cut: int | None = None, **headers: str) -> None:
        """A server that knows ranges."""
        begin = self.asked_from()
        if begin >= len(content):
            self.answer(b"", 416, Content_Range=f"bytes */{len(content)}")
            return
        told = {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        self.answer(content[begin:], 206 if begin else 200, cut=cut, **told, **headers)

    def whole(self, content: bytes) -> None:
        self.rest(content, ETag='"one"')

    def breaks_off(self, content: bytes) -> None:
        self.rest(content, cut=len(content) // 3, ETag='"one"')

    def breaks_off_once_without_ranges(self, content: bytes) -> None:
        self.answer(content, cut=len(content) // 2 if len(self.server_owner.requests) == 1 else None)

    def always_breaks_off_without_ranges(self, content: bytes) -> None:
        self.answer(content, cut=len(content) // 2)

    def closes_early(self, content: bytes) -> None:
        """The second answer names its range and no length, and ends too soon."""
        asked = len(self.server_owner.requests)
        if asked != 2:
            self.rest(content, cut=len(content) // 3 if asked == 1 else None)
            return
        begin = self.asked_from()
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[begin : begin + 100])

    def changes_in_between(self, content: bytes) -> None:
        """Half of another version first; If-Range is what then brings the whole of the new one."""
        if len(self.server_owner.requests) == 1:
            self.answer(b"x" * len(content), cut=len(content) // 2, ETag='"old"')
        else:
            assert self.headers["If-Range"] == '"old"'
            self.answer(content, ETag='"new"')

    def changes_in_between_unnoticed(self, content: bytes) -> None:
        """As before, by a server that ignores If-Range."""
        if len(self.server_owner.requests) == 1:
            self.answer(b"x" * len(content), cut=len(content) // 2)
        else:
            self.rest(content)

    def corrupt(self, content: bytes) -> None:
        middle = len(content) // 2
        self.answer(content[:middle] + bytes(64) + content[middle + 64 :])

    def slow(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()  # no length either: the end of the connection is the end of the file
        for begin in range(0, len(content), 1 + len(content) // 5):
            self.wfile.write(content[begin : begin + 1 + len(content) // 5])
            time.sleep(0.05)

    def chunked(self, content: bytes) -> None:
        """As GitHub sends archives: no length, in pieces; the first connection breaks off."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        broken = len(self.server_owner.requests) == 1
        for begin in range(0, len(content) // 2 if broken else len(content), 1000):
            piece = content[begin : begin + 1000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if not broken:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def silent(self, content: bytes) -> None:
        time.sleep(0.5)

    def busy_twice(self, content: bytes) -> None:
        busy = len(self.server_owner.requests) <= 2
        self.answer(b"" if busy else content, 503 if busy else 200)

    def redirect(self, content: bytes) -> None:
        self.answer(b"", 302, Location="/whole")

    def gone(self, content: bytes) -> None:
        self.answer(b"no such page", 404)

    def page(self, content: bytes) -> None:
        self.answer(b"<html>please log in</html>")

    def endless(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(3 * 2**30))
        self.end_headers()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[bytes], Server]]:
    started = []

    def start(content: bytes) -> Server:
        server = Server(content)
        handler = type("Handler", (Handler,), {"server_owner": server})
        listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.address = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        started.append(listening)
        return server

    yield start
    for listening in started:
        listening.shutdown()
        listening.server_close()


@pytest.fixture
def server(serve, monkeypatch) -> Server:
    monkeypatch.setattr(download, "WAIT", 0.001)
    return serve(small_archive())


def obtain(data: Path, **where: object) -> Path:
    return esc50.obtain(data, contents=SMALL, **where)


def nothing_unpacked(data: Path) -> bool:
    return not [path for path in (data / "esc50").glob("*") if path.name != download.Part(path).path.name]


def check_installed(folder: Path) -> None:
    assert not list(esc50.faults(folder, SMALL))
    assert (folder / "LICENSE").is_file()
    assert {path.name for path in folder.iterdir()} == {"audio", "meta", "LICENSE", ".making.lock"}


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


FIRST = rows()[0][0]
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


def test_a_folder_that_is_there_is_used_without_the_network(tmp_path, server):
    obtain(tmp_path, url=server.url("whole"))
    before = len(server.requests)
    assert len(load("esc50", tmp_path, url=server.url("whole")).table) == 20
    assert len(server.requests) == before


def test_esc10_is_the_marked_part_of_esc50(tmp_path, server):
    obtain(tmp_path, url=server.url("whole"))
    whole, part = load("esc50", tmp_path), load("esc10", tmp_path)
    assert part.name == "esc10"
    assert set(part.table["label"]) == {"dog"}
    assert part.table.equals(whole.table[whole.table["label"] == "dog"].reset_index(drop=True))


def test_audio_and_table_may_lie_in_different_places(tmp_path, server):
    folder = obtain(tmp_path / "first", url=server.url("whole"))
    sounds = (folder / "audio").rename(tmp_path / "elsewhere")
    table = load("esc50", tmp_path / "first", audio_dir=sounds).table
    assert Path(table["path"][0]).is_file()
    with pytest.raises(RequestError, match="needs a folder there and the table"):
        load("esc50", tmp_path / "second", audio_dir=sounds)


def run_data(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "data", f"DATA={data}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_whole_of_esc50_from_an_empty_folder(tmp_path, serve):
    """2,000 clips through the command that a new user types; then damage, which it names."""
    server = serve(zipped(files(rows(classes=50, each=8))))
    done = run_data(tmp_path, f"URL={server.url('breaks-off')}")
    assert done.returncode == 0, done.stderr
    assert "esc50: 2,000 clips, 50 classes, 5 folds" in done.stdout
    assert "balance: 40 to 40 clips a class" in done.stdout
    assert "doi:10.1145/2733373.2806390" in done.stdout
    assert "Traceback" not in done.stderr
    (tmp_path / "esc50" / "audio" / FIRST).write_bytes(b"")
    again = run_data(tmp_path)
    assert again.returncode == 1
    assert f"{FIRST}: empty: the file has 0 bytes" in again.stdout
    assert "doi:" not in again.stdout


def test_a_refused_request_is_one_message(tmp_path, server):
    done = run_data(tmp_path, f"URL={server.url('gone')}")
    assert done.returncode == 2
    assert done.stderr.startswith("error: http://127.0.0.1")
    assert "404" in done.stderr
    assert len(done.stderr.splitlines()) == 1
