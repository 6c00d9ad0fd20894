"""Tables as text and as CSV."""

from io import StringIO

import pandas as pd

from featurestack.commandline.quantities import points
from featurestack.commandline.tables import as_csv, text_table


def test_a_table_aligns_numbers_to_the_right():
    table = text_table(
        [["mel", points(-0.095)], ["chroma", "10.25"]], ["feature", "ms"]
    )
    assert table == "feature     ms\nmel       −9.5\nchroma   10.25"


def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet():
    table = pd.DataFrame(
        {"=1+1": ["=HYPERLINK()", "\td", "dog", "a=b"], "difference": -0.5}
    )
    back = pd.read_csv(StringIO(as_csv(table)))
    assert back["'=1+1"].tolist() == ["'=HYPERLINK()", "'\td", "dog", "a=b"]
    assert back["difference"].tolist() == [-0.5] * 4


def test_control_characters_in_a_cell_are_escapes():
    shown = text_table([["\x1b]0;owned\x07dog\u202e"]], ["label"]).splitlines()[1]
    assert shown == r"\x1b]0;owned\x07dog\u202e"
