"""What C code prints: messages of mpg123, libsndfile's decoder of MP3, on standard
error, and `no_output_of_c`.

mpg123 prints without the file's name, also about whole files after a seek, and no
option keeps it silent. C code prints to the variable `stderr` of the C library, so this
variable is a pipe while an MP3 is read; text of other C code is passed on. All threads
share the variable: a message may belong to any MP3 that is read at the time. A C
library without such a variable continues to print.
"""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

VARIABLE = "__stderrp" if sys.platform == "darwin" else "stderr"  # of the C library
READ_BYTES = 2**16  # bytes, at least what a pipe holds
OURS = re.compile(r"\[src/libmpg123/|Note: |Warning: |$")
# an error in a frame; what else mpg123 prints is about headers and tags
ERROR = re.compile(r"\[src/libmpg123/[^]]*\] error: (.*)")


class _DecoderMessages:
    """The messages of mpg123 in this process, while one or more threads read MP3s. A
    process has one object: two would restore each other's streams.
    """

    readers = 0
    variable: ctypes.c_void_p | None = None

    def begin(self) -> None:
        """Open a new pipe, without readers; a fork's child has none of its parent's."""
        if self.readers and self.variable is not None:
            self.variable.value = self.screen
        self.lock = threading.Lock()
        self.readers = 0
        self.errors: list[str] = []  # all errors so far
        self.screen: int | None = None  # the C library's stream of standard error
        self.variable = None
        # TypeError: Windows has no library without a name
        with suppress(ValueError, OSError, AttributeError, TypeError):
            library = ctypes.CDLL(None)
            variable = ctypes.c_void_p.in_dll(library, VARIABLE)
            self.pipe, end = os.pipe()
            os.set_blocking(self.pipe, False)
            os.set_blocking(end, False)  # text that a full pipe does not take is lost
            library.fdopen.restype = ctypes.c_void_p
            library.fdopen.argtypes = ctypes.c_int, ctypes.c_char_p
            library.setbuf.argtypes = ctypes.c_void_p, ctypes.c_char_p
            self.stream = library.fdopen(end, b"w")
            library.setbuf(self.stream, None)
            self.variable = variable

    @contextmanager
    def kept(self) -> Iterator[list[str]]:
        """A context for a call of the decoder; its list gets all threads' errors."""
        errors = list[str]()
        if self.variable is None:
            yield errors
            return
        with self.lock:
            before = len(self.errors)
            if not self.readers:
                self.screen = self.variable.value
                self.variable.value = self.stream
            self.readers += 1
        try:
            yield errors
        finally:
            with self.lock:
                self._read_pipe()
                errors += self.errors[before:]
                self.readers -= 1
                if not self.readers:
                    self.variable.value = self.screen
                    self.errors.clear()

    def _read_pipe(self) -> None:
        try:
            text = os.read(self.pipe, READ_BYTES)
        except BlockingIOError:
            return
        foreign = []
        for line in text.splitlines(keepends=True):
            words = line.decode(errors="replace")
            if error := ERROR.match(words):
                self.errors.append(error[1].strip(" .!"))
            elif not OURS.match(words):
                foreign.append(line)
        with suppress(OSError):
            os.write(2, b"".join(foreign))


# made on import: two threads that ask first would make two
decoder_messages = _DecoderMessages()
decoder_messages.begin()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=decoder_messages.begin)


@contextmanager
def no_output_of_c() -> Iterator[None]:
    """A context in which nothing that C and C++ code prints reaches the terminal."""
    flush = ctypes.CDLL(None).fflush
    kept = {}
    for number in (1, 2):
        with suppress(OSError):  # there is no such output
            kept[number] = os.dup(number)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - its number is needed
            flush(None)
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        flush(None)
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
