"""A network's file, opened in a process of its own, whose memory and time have bounds.

A file from elsewhere can ask for any memory, never end, or crash the library that reads
it. In its own process it takes nothing else with it, and every such end is a sentence.

    network = NetworkProcess(Path("models/yamnet.tflite"))
    vectors = network.run(windows)

serve.py is the inside. The process ends with its parent, or when the call that runs has
used up its time.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.packages import HOME
from featurestack.commandline.quantities import size
from featurestack.pipeline.axes import Impossible
from featurestack.rooms.embeddings.networks import LIBRARIES
from featurestack.rooms.embeddings.serve import REFUSED

SECONDS = 120.0  # of one call, before it is ended
MOST_MEMORY = 4 * 10**9  # bytes of a network and its values
# the libraries' words for it
NO_MEMORY = re.compile(
    r"(?:(?:failed|unable|not able|could not|cannot)[\w ]* allocate|bad_alloc|"
    r"memoryerror|out of memory)[^.;\n]*",
    re.IGNORECASE,
)
SERVE = "featurestack.rooms.embeddings.serve"
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")
}


class Ended(Exception):
    """The process ended without an answer."""


class NetworkProcess:
    """A network in its process, which is started again if it ended.

    path    an .onnx or .tflite file
    output  name of the output, in a .tflite also of an inner tensor or its number; by
            default the first output
    axes    lengths of the input's axes, None where a length may vary

    Threads may share one. RequestError if the file is no network that its library
    opens.
    """

    def __init__(self, path: Path, output: str = "") -> None:
        self.path, self.output = path, output
        self.lock = threading.Lock()
        self.end: Callable[[], object] = lambda: None
        self.axes: list[int | None] = self._start()

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The answer to one input; Impossible if the network refuses it, crashes or
        does not end.
        """
        request = io.BytesIO()
        np.save(request, np.ascontiguousarray(x), allow_pickle=False)
        with self.lock:
            try:
                self.pipe.send_bytes(request.getvalue())
                answer = self._answer()
            except (Ended, OSError):
                reason = self._reason()
                self._start()
                raise Impossible(f"{self.path}: {reason}") from None
        if answer[:1] == REFUSED:
            reason = answer[1:].decode()
            raise Impossible(
                self._too_large(reason)
                or f"{self.path} refuses an input of {x.shape}: {reason}"
            )
        values: NDArray[np.float32] = np.load(
            io.BytesIO(answer[1:]), allow_pickle=False
        )
        return values

    def _answer(self) -> bytes:
        try:
            return self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise Ended from None

    def _start(self) -> list[int | None]:
        """Start the process, which opens the file; the input's axes."""
        self.end()
        self.pipe, theirs = Pipe()
        free = psutil.virtual_memory().available // 2
        self.memory = min(MOST_MEMORY, free)
        words = (theirs.fileno(), self.path, self.output, SECONDS, self.memory)
        folders = filter(None, [str(HOME), os.environ.get("PYTHONPATH")])
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", SERVE, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(folders)},
        )
        theirs.close()
        self.end = weakref.finalize(self, _end, self.process, self.pipe)
        try:
            answer = self._answer()
        except Ended:
            answer = REFUSED + self._reason().encode()
        if answer[:1] == REFUSED:
            self.end()
            reason = answer[1:].decode()
            raise RequestError(
                self._too_large(reason)
                or f"{self.path} is no network that {LIBRARIES[self.path.suffix]}"
                f" opens: {reason}"
            )
        axes: list[int | None] = json.loads(answer[1:])
        return axes

    def _too_large(self, reason: str) -> str:
        """The sentence on a network that lacks memory; '' for any other reason."""
        words = NO_MEMORY.search(reason)
        if not words:
            return ""
        library = LIBRARIES[self.path.suffix]
        return (
            f"{self.path} needs more memory than the {size(self.memory)} that a network"
            " may take: give a smaller network, or shorter windows in its card"
            f" ({library}: {words[0].strip()})"
        )

    def _reason(self) -> str:
        """The reason of the process's end, from its exit status."""
        status = self.process.wait()
        if status == -signal.SIGALRM:
            return f"a call did not end within {SECONDS:g} s"
        if status == -signal.SIGKILL:
            return "its process was killed, as the system does if memory runs out"
        return (
            f"it ended its process (exit status {status}): it is damaged, or needs more"
            f" than {size(self.memory)} of memory"
        )


def _end(process: subprocess.Popen[bytes], pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.wait()
