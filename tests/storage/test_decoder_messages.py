"""Messages that C code prints on standard error while an MP3 is read."""

import ctypes
import os
import sys

import pytest

from featurestack.storage.decoder_messages import DecoderMessages

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


def test_errors_of_the_decoder_are_kept_off_the_screen(capfd):
    with DecoderMessages().kept() as errors:
        for line in DECODERS:
            print_in_c(line)
    assert errors == ["big_values too large"]
    assert capfd.readouterr().err == ""


def test_text_of_other_code_reaches_the_screen(capfd):
    with DecoderMessages().kept() as errors:
        print_in_c(b"disk is full\n")
        print("from Python", file=sys.stderr)
    print_in_c(b"afterwards\n")
    assert errors == []
    told = capfd.readouterr().err.splitlines()
    assert sorted(told) == ["afterwards", "disk is full", "from Python"]


def test_calls_at_the_same_time_get_each_others_errors_and_no_former_ones():
    messages = DecoderMessages()
    with messages.kept() as first:
        print_in_c(DECODERS[1])
        with messages.kept() as second:
            print_in_c(DECODERS[1])
    with messages.kept() as third:
        pass
    assert len(first) == 2 and len(second) in (1, 2) and third == []


def test_more_text_than_the_pipe_holds_is_no_wait():
    messages = DecoderMessages()
    with messages.kept() as errors:
        for _ in range(5000):
            print_in_c(DECODERS[1])
    assert 100 < len(errors) < 5000
    with messages.kept() as errors:
        print_in_c(DECODERS[1])
    assert errors == ["big_values too large"]


def test_a_child_has_a_pipe_of_its_own():
    from featurestack.storage.decoder_messages import decoder_messages

    before = decoder_messages()
    child = os.fork()
    if not child:
        os._exit(int(decoder_messages() is before))
    assert os.waitpid(child, 0)[1] == 0
