"""A server of a small ESC-50."""

import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.datasets import download
from tests.pipeline.datasets.esc50_archive import (
    small_archive,
)
from tests.pipeline.datasets.server import Handler, Server


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
