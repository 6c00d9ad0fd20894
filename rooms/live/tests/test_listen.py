"""Live audio is predicted while it comes in."""

import io
import json
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.rooms.live.listen import BLOCK, PCM
from featurestack.rooms.live.options import ListenOptions, listen
from tests.refusal import refused
from tests.train.sounds import RATE, sound


class Live(io.BytesIO):
    """Audio that lasts as long to read as to hear."""

    def read(self, size):
        time.sleep(BLOCK)
        return super().read(size)


@pytest.fixture
def piped(sounding, monkeypatch):
    """Listens to this stream of bytes on standard input."""

    def command(stream, **given):
        monkeypatch.setattr(
            "sys.stdin", SimpleNamespace(buffer=stream, isatty=lambda: False)
        )
        return listen(ListenOptions(run=str(sounding.path), threads="1", **given))

    return command


def test_predicts_live_audio_as_it_changes(piped, capsys):
    y = np.concatenate([sound("hiss", 70, seconds=1.5), sound("tone", 71, seconds=1.5)])
    assert piped(Live((y * 32767).astype("<i2").tobytes()), hop=0.5, json=True) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    early = [answer for answer in answers if answer["seconds"] <= 1.6]
    assert early[-1]["predicted"] == "hiss" and answers[-1]["predicted"] == "tone"


def test_silence_and_a_pipe_without_audio_get_no_answer(piped, capsys):
    assert piped(io.BytesIO(bytes(4 * RATE)), window=0.5, gate=-60.0, json=True) == 0
    out, err = capsys.readouterr()
    assert (
        "for the last 0.5 s" in err
        and json.loads(out.splitlines()[-1])["predicted"] == ""
    )
    assert piped(io.BytesIO()) == 1 and not capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "scale"), [("s16", 2**15), ("s32", 2**31), ("f32", 1)]
)
def test_another_rate_and_format_and_lines_for_people(piped, capsys, form, scale):
    raw = (sound("tone", 72, seconds=2, rate=8000) * scale).astype(PCM[form]).tobytes()
    # ends within a sample
    assert piped(io.BytesIO(raw + b"\x01"), rate=8000, format=form, top=1) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["2.0", "s", "tone"]


def test_bytes_that_are_no_audio_in_this_format_are_refused(piped):
    with refused(r"FORMAT=f32: .* no audio in this format"):
        piped(io.BytesIO(np.full(RATE, np.nan, "<f4")), format="f32")


def test_a_terminal_on_standard_input_means_the_microphone(
    sounding, monkeypatch, capsys
):
    """A stand-in replaces sounddevice, which is not installed for the tests."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused("pipe a microphone in, or install the extra live"):
        listen(ListenOptions())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    raw = io.BytesIO((sound("tone", 73, seconds=2) * 32767).astype("<i2").tobytes())
    stream = SimpleNamespace(
        start=lambda: None, read=lambda samples: (raw.read(2 * samples), False)
    )
    monkeypatch.setitem(
        sys.modules, "sounddevice", SimpleNamespace(RawInputStream=lambda **_: stream)
    )
    assert listen(ListenOptions(run=str(sounding.path), top=1, threads="1")) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[2] == "tone"
