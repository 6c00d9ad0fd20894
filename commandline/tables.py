"""Tables as aligned text and as CSV."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestack.commandline.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

# first characters that make a spreadsheet compute
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def text_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Aligned columns with two blanks between them; columns of numbers are aligned to
    the right, control characters are escapes.
    """
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    columns = []
    for column in zip(header, *cells, strict=True):
        width = max(map(len, column))
        numbers = bool(cells) and all(
            cell in ("", "-") or cell.lstrip("+-−")[:1].isdigit() for cell in column[1:]
        )
        columns.append(
            [cell.rjust(width) if numbers else cell.ljust(width) for cell in column]
        )
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns))


def no_formula(cell: object) -> object:
    """The cell, with an apostrophe in front if a spreadsheet would compute it.

    Excel and LibreOffice would carry out a class name such as =HYPERLINK("…"); the
    apostrophe is their own mark of text (OWASP, CSV injection).
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def as_csv(table: "pd.DataFrame") -> str:
    """CSV with every digit, an empty field for an unknown number, and no text that is a
    formula.
    """
    safe = table.rename(columns=no_formula)
    for place, kind in enumerate(table.dtypes):
        if kind.kind not in "biuf":  # no number
            safe.isetitem(place, safe.iloc[:, place].map(no_formula))
    return safe.to_csv(index=False, lineterminator="\n")
