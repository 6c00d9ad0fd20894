"""Tables as aligned text and as CSV."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestack.commandline.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

# first characters that make a spreadsheet compute
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def text_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Aligned columns, numbers to the right; control characters are escapes."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    columns = []
    for column in zip(header, *cells, strict=True):
        width = max(map(len, column))
        values = column[1:]
        if values and all(map(_number_or_none, values)):
            columns.append([cell.rjust(width) for cell in column])
        else:
            columns.append([cell.ljust(width) for cell in column])
    lines = ["  ".join(row).rstrip() for row in zip(*columns)]
    return "\n".join(lines)


def _number_or_none(cell: str) -> bool:
    """Whether the text is a number, or the sign for a missing number."""
    if cell in ("", "-"):
        return True
    digits = cell.lstrip("+-−")
    return digits[:1].isdigit()


def no_formula(cell: object) -> object:
    """The cell, with an apostrophe in front if a spreadsheet would compute it, as
    =HYPERLINK("…") in a class name (OWASP, CSV injection).
    """
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return cell


def as_csv(table: "pd.DataFrame") -> str:
    """CSV with every digit, an empty field for an unknown number, and no formula."""
    safe = table.rename(columns=no_formula)
    for place, dtype in enumerate(table.dtypes):
        if dtype.kind not in "biuf":  # no number
            column = safe.iloc[:, place]
            safe.isetitem(place, column.map(no_formula))
    return safe.to_csv(index=False, lineterminator="\n")
