"""Run commands as a user does: in a separate process, on a full disk, with a server."""

import contextlib
import ctypes
import http.server
import io
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings

from tests.golden.commands import ROOT


def python(*words, check=True, environment=os.environ, **how):
    """The finished process of `python <words>`, run in the project's folder."""
    how = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, **how}
    return subprocess.run([sys.executable, *words], check=check, **how)


class Fork:
    """`python <words>` in a fork of this process, which has loaded the libraries;
    the fork calls `before` first.
    """

    def __init__(self, *words, cwd=ROOT, before=lambda: None):
        self.words = words
        # `finished` closes them
        self.files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads
            self.child = os.fork()
        if not self.child:
            for number, file in enumerate(self.files, start=1):
                os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(number, "w", closefd=False))
                for number in (1, 2)
            )
            os._exit(status_of(words, cwd, before))

    def kill(self):
        """Kill the process, and return it with its output so far."""
        os.kill(self.child, signal.SIGKILL)
        return self.finished()

    def finished(self):
        """Wait for the process, and return it with its output."""
        _, status = os.waitpid(self.child, 0)
        shown = []
        for file in self.files:
            with file:
                file.seek(0)
                shown.append(file.read())
        ended = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(self.words, ended, *shown)


def forked(*words, **how):
    """The finished process of `python <words>`, forked from this one."""
    return Fork(*words, **how).finished()


def at_once(*commands):
    """Run commands, pairs of a folder and words, at the same time; return their
    finished processes.
    """
    begun = [Fork("-m", "featurestack", *words, cwd=cwd) for cwd, words in commands]
    return [each.finished() for each in begun]


def status_of(words, cwd, before):
    """The exit status of `python <words>`, -m MODULE, -c CODE or a file, run here."""
    status = 0
    kind, what, *given = words if words[0].startswith("-") else ("", *words)
    sys.argv = [what, *given]
    try:
        os.chdir(cwd)
        before()
        if kind == "-m":
            sys.modules.pop(f"{what}.__main__", None)  # a test has imported it
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        elif not kind:
            runpy.run_path(what, run_name="__main__")
        else:
            exec(what, {"__name__": "__main__"})
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    return status


def no_override():
    """Take from this process root's right to read and write every file."""
    library = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable
    assert library.capget(header, sets) == 0
    for number in (0, 1):
        sets[number] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert library.capset(header, sets) == 0


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
