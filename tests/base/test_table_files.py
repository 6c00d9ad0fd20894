"""Tables that are read, of each format, and CSV files that are written."""

from io import StringIO

import pandas as pd
import pytest

from featurestack.base.table_files import TEXT_TABLES, as_csv, csv_text, read_table
from tests.golden.commands import ROOT
from tests.refusal import refused


def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet():
    table = pd.DataFrame(
        {"=1+1": ["=HYPERLINK()", "\td", "dog", "a=b"], "difference": -0.5}
    )
    back = pd.read_csv(StringIO(as_csv(table)))
    assert back["'=1+1"].tolist() == ["'=HYPERLINK()", "'\td", "dog", "a=b"]
    assert back["difference"].tolist() == [-0.5] * 4


PRODUCT = ("featurestack", "pipeline", "features_cache", "train", "analysis")
ODD = [
    "a\r",
    "\ra",
    " a",
    "a ",
    'a"b',
    '"a"',
    "a\\",
    "a,b",
    "a;b",
    "a\tb",
    "a\nb",
    "a\r\nb",
]


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("odd", [[cell] for cell in ODD] + [ODD])
def test_what_is_written_is_read_back(odd, separator, tmp_path):
    table = pd.DataFrame({"clip": [*odd, "plain"], "score": 0.1})
    table = table.assign(**{name: 0.5 for name in odd if name == name.strip()})
    text = csv_text(table, separator)
    assert pd.read_csv(StringIO(text, newline=""), sep=separator).equals(table)
    (tmp_path / "table.csv").write_bytes(text.encode())
    read = read_table(tmp_path / "table.csv")
    assert read.reset_index(drop=True).equals(table.astype(str))


def test_every_table_has_one_writer():
    files = [file for part in PRODUCT for file in (ROOT / part).rglob("*.py")]
    texts = {file.name: file.read_text() for file in files}
    writers = "to_csv(", "csv.writer("
    found = {name for name, text in texts.items() if any(w in text for w in writers)}
    assert found == {"table_files.py"}


ROWS = {"filename": ["a.wav", "b.wav"], "label": ["dog", None], "fold": [1, 2]}
WRITERS = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    ".txt": lambda table, path: table.to_csv(path, index=False, sep=";"),
}


@pytest.mark.parametrize("ending", TEXT_TABLES)
def test_each_format_gives_the_same_text_by_line(ending, tmp_path):
    path = tmp_path / f"clips{ending}"
    WRITERS[ending](pd.DataFrame(ROWS), path)
    table = read_table(path, ["filename", "label"])
    assert table.to_dict("index") == {
        2: {"filename": "a.wav", "label": "dog", "fold": "1"},
        3: {"filename": "b.wav", "label": "", "fold": "2"},
    }
    with refused("has the columns filename, label, fold; expected clip"):
        read_table(path, ["clip"])
