"""Durations, sizes, tables, progress; registries and the nearest name."""

import os
from io import StringIO

import pandas as pd
import pytest

from featurestack.commandline import terminal
from featurestack.commandline.errors import closest
from featurestack.commandline.registry import Registry
from featurestack.commandline.terminal import (
    as_csv,
    count,
    duration,
    mean_percent,
    percent,
    points,
    size,
    text_table,
)
from tests.processes import python
from tests.refusal import refused


@pytest.mark.parametrize(
    ("shown", "values", "texts"),
    [
        (
            duration,
            [0.04, 9.96, 59.6, 192, 7500],
            "0.0 s|10 s|1 min 00 s|3 min 12 s|2 h 05 min",
        ),
        (size, [512, 1234, 99_960, 1.2e9, 3e12], "512 B|1.2 kB|100 kB|1.2 GB|3.0 TB"),
        (count, [0, 2000, 11_175_370, 1.82e9], "0|2,000|11.2 M|1.8 G"),
        (percent, [0.285, 0.1125, 0.0875], "28.5|11.3|8.8"),  # halves go up
        (lambda share: percent(share, 0), [0.285, 1 / 40, 5 / 40], "29|3|13"),
        (points, [0.031, -0.0085, -0.0004], "+3.1|−0.9|0.0"),
        (mean_percent, [[0.9, 0.95], [0.925]], "92.5 ± 3.5 %|92.5 %"),
    ],
)
def test_numbers_read_naturally(shown, values, texts):
    assert [shown(value) for value in values] == texts.split("|")


def test_a_table_aligns_numbers_to_the_right():
    table = text_table(
        [["mel", points(-0.095)], ["chroma", "10.25"]], ["feature", "ms"]
    )
    assert table == "feature     ms\nmel       −9.5\nchroma   10.25"


def test_short_work_shows_nothing(capsys):
    assert list(terminal.progress("abc", label="features", unit="clips")) == [
        "a",
        "b",
        "c",
    ]
    assert capsys.readouterr().err == ""


def test_a_log_counts_speed_and_remaining_time_from_the_end_of_the_first_step(
    capsys, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0)
    bar = terminal.progress(total=1000, label="features", unit="clips")
    for seconds in (500, 60, 60):  # the first step compiles
        now[0] += seconds
        bar.update(60)
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "features: 120 of 1000 clips,  1.00 clips/s, 14:40 left"


def test_a_warning_of_a_library_is_one_line_and_arithmetic_says_nothing():
    script = (
        "import warnings, numpy\n"
        "from featurestack.commandline.terminal import tell_warnings;"
        " tell_warnings()\nnumpy.zeros(1) / numpy.zeros(1)\nfor _ in range(2):"
        " warnings.warn('old\\nuse', UserWarning)\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"
    }
    done = python("-c", script, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "warning: old use\n")


def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet():
    table = pd.DataFrame(
        {"=1+1": ["=HYPERLINK()", "\td", "dog", "a=b"], "difference": -0.5}
    )
    back = pd.read_csv(StringIO(as_csv(table)))
    assert back["'=1+1"].tolist() == ["'=HYPERLINK()", "'\td", "dog", "a=b"]
    assert back["difference"].tolist() == [-0.5] * 4


def test_a_registry_takes_a_name_once_and_proposes_the_nearest():
    models = Registry("model", {"resnet18": 18})

    @models.register(entry=lambda builder: builder())
    def cnn4():
        return 4

    assert models == {"resnet18": 18, "cnn4": 4}
    with pytest.raises(ValueError, match="model 'cnn4' is registered twice: 4 and 5"):
        models["cnn4"] = 5
    with refused(
        r"^unknown model 'ResNet8'; did you mean 'resnet18'\? Known: cnn4, resnet18$"
    ):
        models["ResNet8"]
    assert models.get("resnet8") is None and closest("xyz", models) is None
