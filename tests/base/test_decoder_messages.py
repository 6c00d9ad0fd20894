"""Messages that C code prints on standard error while an MP3 is read."""

import ctypes
import os
import sys

import pytest

from featurestack.base.decoder_messages import decoder_messages

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the variable has another name elsewhere"
)
DECODERS = (
    b"Note: Trying to resync...\n",
    b"[src/libmpg123/layer3.c:do():7] error: big_values too large!\n",
    b"[src/libmpg123/layer3.c:do():8] warning: loud\n",
)


def print_in_c(text):
    library = ctypes.CDLL(None)
    library.fputs.argtypes = ctypes.c_char_p, ctypes.c_void_p
    library.fputs(text, ctypes.c_void_p.in_dll(library, "stderr"))


def test_errors_of_the_decoder_are_kept_and_text_of_other_code_is_shown(capfd):
    with decoder_messages.kept() as errors:
        for line in DECODERS:
            print_in_c(line)
        print_in_c(b"disk is full\n")
        print("from Python", file=sys.stderr)
    print_in_c(b"afterwards\n")
    assert errors == ["big_values too large"]
    told = capfd.readouterr().err.splitlines()
    assert sorted(told) == ["afterwards", "disk is full", "from Python"]


def in_child(check):
    """Whether `check()` holds in a fork of this process."""
    child = os.fork()
    if not child:
        os._exit(0 if check() else 1)
    return os.waitpid(child, 0)[1] == 0


def test_a_child_of_a_process_that_reads_has_its_own_pipe_and_the_screen(capfd):
    pipe = decoder_messages.pipe

    def check():
        print_in_c(b"from the child\n")
        with decoder_messages.kept() as errors:
            print_in_c(DECODERS[1])
        print_in_c(b"afterwards\n")
        return decoder_messages.pipe != pipe and len(errors) == 1

    with decoder_messages.kept() as errors:
        assert in_child(check)
    assert errors == []
    assert capfd.readouterr().err.splitlines() == ["from the child", "afterwards"]
