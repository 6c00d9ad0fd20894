"""Durations, sizes, tables, the nearest name."""

import os
import re
import subprocess
import sys
import time
from io import StringIO

import pandas as pd
import pytest

from commandline import terminal
from commandline.registry import nearest
from commandline.terminal import (
    Stages,
    as_csv,
    count,
    duration,
    mean_percent,
    percent,
    points,
    progress,
    size,
    text_table,
)


def test_durations_read_naturally() -> None:
    assert [duration(s) for s in (0.04, 9.9, 9.96, 59.4, 59.6, 192, 7500)] == [
        "0.0 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "3 min 12 s", "2 h 05 min",
    ]  # fmt: skip


def test_sizes_read_naturally() -> None:
    assert [size(b) for b in (0, 512, 1234, 99_960, 12_300_000, 1.2e9, 3e12)] == [
        "0 B", "512 B", "1.2 kB", "100 kB", "12.3 MB", "1.2 GB", "3.0 TB",
    ]  # fmt: skip


def test_counts_read_naturally() -> None:
    assert [count(n) for n in (0, 2000, 11_175_370, 1.82e9)] == ["0", "2,000", "11.2 M", "1.8 G"]


def test_halves_are_rounded_up_in_every_percentage() -> None:
    assert [percent(hits / 40, 0) for hits in (37, 1, 3, 5, 40)] == ["93", "3", "8", "13", "100"]
    assert [percent(share) for share in (0.285, 0.1125, 0.0875, 0)] == ["28.5", "11.3", "8.8", "0.0"]
    assert percent(0.285, 0) == "29"  # 100 * 0.285 is a little less than 28.5
    assert [points(one) for one in (0.031, -0.0085, 0.0, -0.0004)] == ["+3.1", "−0.9", "0.0", "0.0"]


def test_accuracies_read_as_mean_and_deviation_in_percent() -> None:
    assert mean_percent([0.9, 0.95]) == "92.5 ± 3.5 %"
    assert mean_percent([0.925]) == "92.5 %"


def test_a_table_aligns_numbers_to_the_right() -> None:
    assert text_table([["mel", "9.5"], ["chroma", "10.25"]], ["feature", "ms"]) == (
        "feature     ms\nmel        9.5\nchroma   10.25"
    )


def test_the_nearest_name_is_proposed_whatever_its_case() -> None:
    assert nearest("model", "ResNet8", ["resnet18", "cnn4"]).startswith(
        "unknown model 'ResNet8'; did you mean 'resnet18'? Known: cnn4, resnet18"
    )
    assert nearest("model", "zzz", ["cnn4"]) == "unknown model 'zzz'. Known: cnn4"


def test_a_log_gets_whole_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = {"delay": 0, "mininterval": 0.01, "maxinterval": 0.01}
    monkeypatch.setattr(terminal, "IN_A_LOG", terminal.IN_A_LOG | at_once)
    for _ in progress(range(5), label="features", unit="clips"):
        time.sleep(0.02)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    assert all(re.match(r"features: \d of 5 clips, .*/s, .* left", line) for line in lines)


def test_a_log_names_the_parts_of_work_that_begin_after_two_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 5.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(now))
    stage = Stages("report", 3)
    stage("statistics")
    stage("figures")
    stage.end()
    assert capsys.readouterr().err == "report: figures (2 of 3, 5.0 s)\n"


def test_a_terminal_shows_the_part_at_work_and_nothing_afterwards(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    stage = Stages("report", 3)
    stage("statistics")
    stage.end()
    shown = capsys.readouterr().err
    assert "report: statistics (1 of 3, " in shown and shown.endswith("\r\x1b[K") and "\n" not in shown


def test_short_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), label="features", unit="clips")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_a_warning_of_a_library_is_one_line_and_arithmetic_says_nothing() -> None:
    script = (
        "import warnings, numpy\n"
        "from commandline.commands import main\n"
        "from commandline.options import Options\n"
        "def warn(options: Options) -> None:\n"
        "    numpy.zeros(1) / numpy.zeros(1)\n"
        "    for _ in range(2): warnings.warn('old\\nuse', UserWarning)\n"
        "main([warn], [])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "warning: old use\n")


def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet() -> None:
    names = ['=HYPERLINK("x")', "+a", "-b", "@c", "\td", "dog", "a=b"]
    table = pd.DataFrame([[0.1, -0.5]] * 7, columns=["=1+1", "difference"]).assign(name=names)
    back = pd.read_csv(StringIO(as_csv(table)))
    assert back["name"].tolist() == [*(f"'{name}" for name in names[:5]), "dog", "a=b"]
    assert list(back.columns) == ["'=1+1", "difference", "name"]
    assert back["difference"].tolist() == [-0.5] * 7
