"""Tables as files: CSV keeps every digit, Markdown and LaTeX show any name as it is written."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import formats

TABLE = pd.DataFrame(
    {
        "run": ["<script>alert(1)</script>", "a|b_c & 50 % #1 ~^\\{}$"],
        "accuracy": [1 / 3, np.nan],
        "clips": [40.0, 7.0],
        "n": [5, 3],
        "synthetic": [True, False],
    }
)


def test_csv_keeps_every_digit() -> None:
    back = pd.read_csv(StringIO(formats.csv(TABLE)))
    assert back["accuracy"][0] == 1 / 3
    assert np.isnan(back["accuracy"][1])
    assert back["run"].tolist() == TABLE["run"].tolist()


def test_markdown_rounds_and_escapes() -> None:
    lines = formats.markdown(TABLE).splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: | --- |"
    assert lines[2] == r"| \<script\>alert(1)\</script\> | 0.333 | 40 | 5 | yes |"
    assert lines[3].startswith(r"| a\|b\_c & 50 % #1 ~^\\{}$ |  | 7 | 3 | no")
    assert len(lines) == 4


def test_latex_escapes_and_aligns() -> None:
    text = formats.latex(TABLE)
    assert r"\begin{tabular}{lrrrl}" in text
    assert r"\textless{}script\textgreater{}alert(1)" in text
    assert r"a|b\_c \& 50 \% \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}\{\}\$" in text
    assert "0.333 & 40 & 5 & yes" in text


def test_latex_is_a_booktabs_table_line_by_line() -> None:
    table = pd.DataFrame({"a_b": ["[x]", "*y"], "n": [1.5, np.nan]})
    assert formats.latex(table).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a b & n \\",
        r"\midrule",
        r"{[}x] & 1.500 \\",
        r"{*}y &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1.0, 0.0], ["1.000", "0.000"]),  # shares, though whole
        ([1.0, 2.0], ["1", "2"]),  # counts
        ([2.5, 2.0], ["2.500", "2.000"]),
        ([np.nan, np.nan], ["", ""]),
    ],
)
def test_decimals_belong_to_a_column(numbers: list[float], words: list[str]) -> None:
    assert formats.rounded(pd.DataFrame({"x": numbers}))["x"].tolist() == words


def test_write_leaves_three_whole_files(tmp_path: Path) -> None:
    formats.write(TABLE, tmp_path / "tables", "comparison")
    written = sorted(file.name for file in (tmp_path / "tables").iterdir())
    assert written == ["comparison.csv", "comparison.md", "comparison.tex"]
    assert (tmp_path / "tables" / "comparison.csv").read_text() == formats.csv(TABLE)


def test_an_empty_table_has_its_header() -> None:
    empty = TABLE.iloc[:0]
    assert formats.markdown(empty).startswith("| run | accuracy |")
    assert r"\begin{tabular}" in formats.latex(empty)
