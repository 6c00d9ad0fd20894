"""Audio piped in at its own speed is predicted while it goes on, in a process as a user would start it."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from commandline.registry import RequestError
from tests.train.sounds import RATE, sound
from train.extras.listen import PCM, listen_live, pcm_blocks
from train.options import ListenOptions

ROOT = Path(__file__).resolve().parents[2]


def start(run: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "train", "listen", str(run), "THREADS=1", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def test_predicts_live_audio_as_it_changes(sounding):
    y = np.concatenate([sound("hiss", 70, seconds=1.5), sound("tone", 71, seconds=1.5)])
    raw = (y * 32767).astype("<i2").tobytes()
    process = start(sounding.path, "HOP=0.5", "JSON=1")
    assert b"predicted by " in process.stderr.readline()
    assert b"latency" in process.stderr.readline()  # it is ready
    tenth = 2 * RATE // 10
    for begin in range(0, len(raw), tenth):
        process.stdin.write(raw[begin : begin + tenth])
        process.stdin.flush()
        time.sleep(0.1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    answers = [json.loads(line) for line in out.splitlines()]
    seconds = [answer["seconds"] for answer in answers]
    assert len(seconds) >= 3 and seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(3, abs=0.01)
    assert next(iter(answers[-1]["probabilities"])) == "tone"
    early = [answer for answer in answers if answer["seconds"] <= 1.6]
    assert early and next(iter(early[-1]["probabilities"])) == "hiss"


def test_another_rate_and_format_and_lines_for_people(sounding, monkeypatch, capsys):
    y = sound("tone", 72, seconds=2, rate=8000).astype("<f4")
    piped = SimpleNamespace(buffer=io.BytesIO(y.tobytes()), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", piped)
    assert (
        listen_live(ListenOptions(run=str(sounding.path), rate=8000, format="f32", top=1, threads="1")) == 0
    )
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:3] == ["2.0", "s", "tone"]


def test_a_pipe_without_audio_is_told(sounding, monkeypatch, capsys):
    piped = SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", piped)
    assert listen_live(ListenOptions(run=str(sounding.path), threads="1")) == 1
    out, err = capsys.readouterr()
    assert not out and "ended before there was any audio" in err


def test_nothing_to_read_is_told(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(RequestError, match="pipe a microphone in"):
        listen_live(ListenOptions())
    with pytest.raises(RequestError, match="HOP=0"):
        listen_live(ListenOptions(hop=0))


@pytest.mark.parametrize("form", PCM)
def test_raw_pcm_becomes_samples(form):
    y = np.array([0, 0.5, -0.5, -1], np.float32)
    kind = PCM[form]
    raw = y.astype(kind) if kind.kind == "f" else (y * (np.iinfo(kind).max + 1.0)).astype(kind)
    stream = io.BytesIO(raw.tobytes() + b"\x01")  # half a sample behind the last
    assert np.allclose(np.concatenate(list(pcm_blocks(stream, form, 3))), y, atol=1e-4)


def test_silence_is_no_answer(sounding, monkeypatch, capsys):
    y = np.concatenate([sound("tone", 72, seconds=1.5), np.zeros(3 * RATE)]).astype("<f4")
    piped = SimpleNamespace(buffer=io.BytesIO(y.tobytes()), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", piped)
    options = ListenOptions(
        run=str(sounding.path), format="f32", window=0.5, gate=-60.0, json=True, threads="1"
    )
    assert listen_live(options) == 0
    out, err = capsys.readouterr()
    assert "for the last 0.5 s" in err
    assert json.loads(out.splitlines()[-1])["predicted"] == ""
