"""Live audio is predicted while it comes in."""

import io
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.extras.listen import BLOCK_SECONDS, ListenOptions, listen_live
from tests.refusal import refused
from tests.train.sounds import RATE, sound


class Live(io.BytesIO):
    """Audio that lasts as long to read as to hear."""

    def read(self, size):
        time.sleep(BLOCK_SECONDS)
        return super().read(size)


def pcm(y):
    return (y * 32767).astype("<i2").tobytes()


@pytest.fixture
def lines_of_stream(sounds_run, monkeypatch, capsys):
    """Listens to a stream of bytes on standard input; returns the lines' words."""

    def command(stream, **given):
        pipe = SimpleNamespace(buffer=stream, isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", pipe)
        assert listen_live(ListenOptions(run=str(sounds_run.path), **given)) == 0
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return command


def test_predicts_live_audio_as_it_changes(lines_of_stream):
    y = np.concatenate([sound("hiss", 70, seconds=1.5), sound("tone", 71, seconds=1.5)])
    lines = lines_of_stream(Live(pcm(y)), hop=0.5)
    early = [predicted for seconds, _, predicted, *_ in lines if float(seconds) <= 1.6]
    assert early[-1] == "hiss" and lines[-1][2] == "tone"


def test_silence_gets_no_answer(lines_of_stream):
    lines = lines_of_stream(io.BytesIO(bytes(4 * RATE)), gate=-60.0)
    assert lines[-1] == ["2.0", "s", "no", "answer"]


def test_an_end_within_a_sample(lines_of_stream):
    raw = pcm(sound("tone", 72, seconds=2))
    assert lines_of_stream(io.BytesIO(raw + b"\x01"))[-1][:3] == ["2.0", "s", "tone"]


def test_a_terminal_on_standard_input_means_the_microphone(
    sounds_run, monkeypatch, capsys
):
    """A stand-in replaces sounddevice, which is not installed for the tests."""
    options = ListenOptions(run=str(sounds_run.path))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with refused("install the extra live, or pipe audio in"):
        listen_live(options)
    raw = io.BytesIO(pcm(sound("tone", 73, seconds=2)))
    read = lambda samples: (raw.read(2 * samples), False)  # noqa: E731
    stream = SimpleNamespace(start=lambda: None, read=read)
    device = SimpleNamespace(RawInputStream=lambda **_: stream)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    assert listen_live(options) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[2] == "tone"
