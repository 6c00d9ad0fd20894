"""CSV files that are written."""

from io import StringIO

import pandas as pd

from featurestack.base.csv_files import as_csv


def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet():
    table = pd.DataFrame(
        {"=1+1": ["=HYPERLINK()", "\td", "dog", "a=b"], "difference": -0.5}
    )
    back = pd.read_csv(StringIO(as_csv(table)))
    assert back["'=1+1"].tolist() == ["'=HYPERLINK()", "'\td", "dog", "a=b"]
    assert back["difference"].tolist() == [-0.5] * 4
