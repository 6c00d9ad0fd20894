"""The surroundings of a user's commands: Python in a process of its own, a full disk, a
server.
"""

import contextlib
import http.server
import os
import resource
import subprocess
import sys
import threading

from tests.golden.commands import ROOT


def python(*words, check=True, environment=os.environ, **how):
    """The finished process of `python <words>`, run in the project's folder."""
    how = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, **how}
    return subprocess.run([sys.executable, *words], check=check, **how)


@contextlib.contextmanager
def files_end_at(most):
    """A disk that is full: no file of this process can become larger than so many
    bytes.
    """
    before, limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limit))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, limit))


@contextlib.contextmanager
def serving(handler):
    """The address of a server on this machine whose requests `handler` answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
