"""A data frame as a file: CSV for machines (unrounded), Markdown and LaTeX for readers (rounded)."""

from pathlib import Path

import numpy as np
import pandas as pd

from train.runs import replace_file

DECIMALS = 3


def write(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write <name>.csv, <name>.md and <name>.tex into the folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("csv", csv(table)), ("md", markdown(table)), ("tex", latex(table))):
        replace_file(folder / f"{name}.{suffix}", text.encode("utf-8"))


def csv(table: pd.DataFrame) -> str:
    """Every digit; an unknown number is an empty field."""
    return table.to_csv(index=False, lineterminator="\n")


def markdown(table: pd.DataFrame) -> str:
    """A pipe table, as GitHub and Jupyter show it; nothing in a cell is taken for markup."""
    cells = [[_markdown_cell(word) for word in row] for row in rounded(table).itertuples(index=False)]
    header = [_markdown_cell(str(word)) for word in table.columns]
    rule = ["---:" if _is_number(table[column]) else "---" for column in table.columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *cells])


def latex(table: pd.DataFrame) -> str:
    """A booktabs tabular, every special character escaped.

    Written line by line: pandas' own way goes through a template engine, 50 ms a table.
    """
    alignment = "".join("r" if _is_number(table[column]) else "l" for column in table.columns)
    header = [latex_text(str(column).replace("_", " ")) for column in table.columns]
    cells = [[latex_text(word) for word in row] for row in rounded(table).itertuples(index=False)]
    lines = [" & ".join(row) + r" \\" for row in [header, *cells]]
    begin, end = rf"\begin{{tabular}}{{{alignment}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end, ""])


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The table as words: three decimals, counts as whole numbers, nothing for an unknown number."""
    return pd.DataFrame({column: _words(table[column]) for column in table.columns}, dtype=str)


def _words(column: pd.Series) -> list[str]:
    numbers = [value for value in column if isinstance(value, float) and np.isfinite(value)]
    # A column of shares that all happen to be 0 or 1 still shows its decimals.
    counts = all(value.is_integer() for value in numbers) and max(numbers, default=0) > 1
    return [_word(value, 0 if counts else DECIMALS) for value in column]


def _word(value: object, decimals: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.{decimals}f}"
    return "" if value is None else str(value)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _markdown_cell(text: str) -> str:
    for special in "\\`*_|<>[]":
        text = text.replace(special, "\\" + special)
    return text.replace("\n", " ")


LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{special: "\\" + special for special in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    **{
        special: f"{{{special}}}" for special in "[*"
    },  # after the end of a row TeX takes them for its options
    "\n": " ",
}


def latex_text(text: str) -> str:
    """Any words as LaTeX shows them."""
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text)
