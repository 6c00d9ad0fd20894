"""An HTTP server with the manners, good and bad, of real ones."""

import http.server
import re
import time


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
