"""Progress, tables and messages on the terminal."""

import io
import os
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from featurestack.base import terminal
from featurestack.base.quantities import points
from featurestack.base.terminal import text_table
from tests.golden.commands import ROOT, done
from tests.pipeline.datasets.folders import write
from tests.processes import forked, python
from tests.train.sounds import write_dataset


def test_short_work_shows_nothing(capsys):
    assert [*terminal.progress("abc", label="features", unit="clips")] == [*"abc"]
    assert capsys.readouterr().err == ""


def test_a_log_has_speed_and_remaining_time(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0)
    bar = terminal.progress(total=1000, label="features", unit="clips")
    for seconds in (60, 60, 60):
        now[0] += seconds
        bar.update(60)
        assert bar.miniters <= 1  # else tqdm's monitor prints a state twice
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "features: 180 of 1000 clips,  1.00 clips/s, 13:40 left"


def test_a_warning_of_a_library_is_one_line_and_arithmetic_says_nothing():
    script = (
        "import warnings, numpy\n"
        "from featurestack.base.terminal import tell_warnings;"
        " tell_warnings()\nnumpy.zeros(1) / numpy.zeros(1)\nfor _ in range(2):"
        " warnings.warn('old\\nuse', UserWarning)\n"
    )
    names = os.environ.keys() - {"PYTHONWARNINGS"}
    environment = {name: os.environ[name] for name in names}
    done = python("-c", script, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "warning: old use\n")


HOSTILE = "dog\x1b]0;owned\x07\u202e\udcff"  # the last one is a byte that is not UTF-8


def test_a_message_sends_no_control_character_to_the_terminal(capsys):
    terminal.tell(f"no class {HOSTILE}")
    assert capsys.readouterr().err == "no class dog\\x1b]0;owned\\x07\\u202e\\udcff\n"


@pytest.mark.parametrize(
    ("encoding", "printed"), [("latin-1", b"\xb1 \\u2026"), ("utf-8", b"\xc2\xb1")]
)
def test_a_character_that_the_output_lacks_is_escaped(monkeypatch, encoding, printed):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding))
    terminal.open_output()
    print("\u00b1 \u2026", flush=True)
    assert content.getvalue().startswith(printed)


@pytest.mark.parametrize(
    ("words", "name"),
    [("data", "DATASET"), ("predict", "AUDIO"), ("predict", "OUT"), ("train", "RUNS")],
)
def test_an_empty_variable_is_not_the_current_folder(words, name):
    assert f"{name}= is empty" in done(words, 2, **{name: ""}).err


def test_a_command_prints_no_control_character(tmp_path):
    for clip in ("dog/1", "dog/2", "cat/1", "cat/2"):
        write(tmp_path / HOSTILE[:-1] / f"{clip}.wav")
    given = {"DATASET": tmp_path / HOSTILE[:-1], "DATA": tmp_path / "data"}
    shown = done("data", **given).out
    assert "dog\\x1b]0;owned\\x07" in shown
    assert "\x1b" not in shown


def test_a_table_aligns_numbers_to_the_right_and_escapes_control_characters():
    rows = [["mel\x1b", points(-0.095)], ["chroma", "10.25"]]
    table = text_table(rows, ["feature", "ms"])
    assert table == "feature     ms\nmel\\x1b   −9.5\nchroma   10.25"


def test_calls_in_threads_give_standard_output_back(capsys):
    barrier = threading.Barrier(4, timeout=20)
    lengths = [0.05, 0.01, 0.03, 0.02]

    def call(seconds):
        with terminal.silenced():
            barrier.wait()
            print("nobody reads this")
            time.sleep(seconds)

    before = sys.stdout
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(call, lengths))
    assert sys.stdout is before and not terminal.quiet
    print("heard")
    terminal.tell("told")
    assert capsys.readouterr() == ("heard\n", "told\n")


WITHOUT_OUTPUT = """
import os, sys
error = os.dup(2)
sys.stdout = sys.stderr = None
try:
    import featurestack as fs
    from featurestack.base import terminal
    fs.extract("clips/little.csv", "rms", jobs=1)
    fs.fit(dataset="clips/little.csv", features="rms", model="linear")
    terminal.QUIET_SECONDS = 0
    list(terminal.progress("abc", label="clips", unit="clips"))
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")
    fs.extract(features="rms")
except Exception as last:
    os.write(error, f"{type(last).__name__}: {last}".encode())
"""


def test_without_an_output_and_without_a_folder(tmp_path):
    write_dataset(tmp_path / "clips")
    ended = forked("-c", WITHOUT_OUTPUT, cwd=tmp_path)
    assert ended.stderr.startswith("RequestError: the current folder was removed")
    # in a shell, whose output may be closed
    line = f"{shlex.quote(sys.executable)} -m featurestack"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    closed = subprocess.run(["sh", "-c", f"{line} --help >&-"], **how)
    assert (closed.returncode, closed.stderr) == (0, "")
    line = f"mkdir g; cd g; rmdir ../g; {line} data DATASET=x"
    gone = subprocess.run(["sh", "-c", line], **how)
    assert gone.returncode == 2 and "Traceback" not in gone.stderr
    assert gone.stderr.startswith("error: the current folder was removed")
