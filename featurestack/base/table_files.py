"""Tables in files: CSV as people and programs write it, with any separator, quotes and
blank lines; and CSV as a report and predictions have it.

Whatever reads a table of a dataset, or compares
it with what was read before, calls `read_table`.
"""

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base.errors import CLOSED, RequestError
from featurestack.base.quantities import listed

# bytes from 80 to 9F except quotation marks, dashes, dots, euro and oe; four letters
# beyond ASCII in a row
STRANGE = re.compile(
    rb"[\x81-\x84\x86-\x8b\x8d-\x90\x95\x98-\x9b\x9d-\x9f]|[\xa0-\xff]{4}"
)
# first characters that make a spreadsheet compute
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# usual names of the column of audio files, in small letters, without punctuation; if a
# table has several of them, the first one listed here counts
FILE_COLUMNS = (
    "beginpath beginfile file filename files audiofile audiofilename soundfile"
    " soundfiles wavfile infile notatedpath audiopath filepath path fname recording"
    " audio"
)
TEXT_TABLES = (".csv", ".tsv", ".txt")  # endings of tables' files
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
# how R, pandas and spreadsheets write a cell of which nothing is known
NA_TEXTS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan")
# a cell in quotes, or the end of a line
QUOTED = re.compile(r'(?<![^,;\t\r\n ])"(?:[^"]|"")*"')
LINE_END = re.compile(rf"{QUOTED.pattern}|\r\n?")
# cells that a reader changes unless they are quoted: it drops blanks around them, takes
# a carriage return for the end of a line, and in a header another separator for its own
NEEDS_QUOTES = re.compile(r"\A\s|\s\Z|\r")
HEADER_NEEDS_QUOTES = re.compile(rf"{NEEDS_QUOTES.pattern}|[;\t]")
SEPARATOR_LINE = "sep=.?"  # Excel's first line, which is not a header
SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}


def read_table(
    path: Path, columns: Sequence[str] = (), na_texts: Sequence[str] = NA_TEXTS
) -> pd.DataFrame:
    """The table of a file as text, indexed by line; RequestError without `columns`.
    Cells that are `na_texts` are ''; a table of this program has none.
    """
    frame = parse_csv(path, read_text(path), na_texts=())
    frame = frame.mask(frame.isin(na_texts), "")
    if not set(columns) <= set(frame):
        raise RequestError(
            f"{path} has the columns {', '.join(frame)}; expected {', '.join(columns)}"
        )
    return frame


def file_column(columns: Sequence[str]) -> str:
    """The column that names audio files by one of FILE_COLUMNS; '' without one.

    >>> file_column(["ID", "File Name", "path"])
    'File Name'
    """
    plain = {re.sub(r"[\W_]+", "", name).lower(): name for name in reversed(columns)}
    return next((plain[name] for name in FILE_COLUMNS.split() if name in plain), "")


def read_text(path: Path) -> str:
    """The text of a table in UTF-8, UTF-16 or cp1252; lines end with \\n, and cells in
    quotes are as they are.

    RequestError for bytes that cp1252 hardly uses: Mac Roman and Shift-JIS would become
    other letters.
    """
    content = read_bytes(path)
    for encoding in ("utf-16",) if b"\0" in content else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp1252" or not STRANGE.search(content):
            return LINE_END.sub(lambda end: re.sub("^\r\n?", "\n", end[0]), text)
    raise RequestError(f"{path} is not UTF-8 text: save it as UTF-8")


def read_bytes(path: Path) -> bytes:
    """The content of a table's file; RequestError for what is no readable file."""
    if path.is_dir():
        tables = sorted(file.name for file in path.glob("*.csv"))
        raise RequestError(
            f"{path} is a folder: name the table in it ({listed(tables) or 'no .csv'})"
        )
    if path.suffix.lower() in SPREADSHEETS:
        raise RequestError(f"{path} is a spreadsheet: save it as CSV, and name that")
    if path.exists() and not path.is_file():  # reading a FIFO or a device may never end
        raise RequestError(f"{path} cannot be read as a table: not a regular file")
    try:
        return path.read_bytes()
    except PermissionError:
        raise RequestError(f"{path} {CLOSED}") from None
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read as a table: {error}") from None


def parse_csv(
    path: Path, text: str, na_texts: Sequence[str] = NA_TEXTS
) -> pd.DataFrame:
    """The table of a CSV's text, indexed by line; `path` is for errors. A cell that a
    row lacks, or that is `na_texts`, is ''. A cell too many, such as an unquoted comma
    makes, is refused.
    """
    first, _, rest = text.partition("\n")
    if re.fullmatch(SEPARATOR_LINE, first.strip()):
        text = "\n" + rest
    header = QUOTED.sub("", text.lstrip("\n")).partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(
        io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True
    )
    names = list[str]()
    rows = {}  # the line on which a row begins -> its cells
    line = 1
    try:
        for cells in reader:
            begin, line = line, reader.line_num + 1
            if len(cells) < 2 and not "".join(cells).strip():
                continue  # a blank line
            if not names:
                # a name that is blank or comes again has its column's number
                for number, name in enumerate(map(str.strip, cells), 1):
                    again = not name or name in names
                    names.append(f"{name} {number}" if again else name)
                continue
            if any(map(str.strip, cells[len(names) :])):
                raise RequestError(
                    f"{path}, line {begin}: the row has {len(cells)} cells, the header"
                    f" {len(names)}; a text with a {SEPARATOR_NAMES[separator]} needs"
                    ' quotes, as in "dog, big", and a number has a decimal point'
                )
            rows[begin] = cells[: len(names)] + [""] * (len(names) - len(cells))
    except csv.Error as error:
        raise RequestError(
            f"{path} cannot be read as a CSV: line {line}: {error}"
        ) from None
    if not names:
        raise RequestError(f"{path} cannot be read as a CSV: it is empty")
    table = pd.DataFrame([*rows.values()], [*rows], names, dtype=str)
    return table.mask(table.isin(na_texts), "")


def cell_number(text: str) -> float | None:
    """The number in `1.5` or `1,5`; None if the text is not a finite number."""
    try:
        number = float(text.replace(",", ".").replace("_", "?"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def no_formula(cell: object) -> object:
    """The cell, with an apostrophe if a spreadsheet would compute it (OWASP)."""
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return cell


def as_csv(table: pd.DataFrame) -> str:
    """CSV with every digit, an empty field for an unknown number, and no formula."""
    safe = table.rename(columns=no_formula)
    for place, dtype in enumerate(table.dtypes):
        if dtype.kind not in "biuf":  # no number
            column = safe.iloc[:, place]
            safe.isetitem(place, column.map(no_formula))
    return csv_text(safe)


def csv_text(table: pd.DataFrame, separator: str = ",", **how: Any) -> str:
    """The text of a table, whose cells are read as they are; `how` as in pandas."""
    texts = table.select_dtypes(exclude="number").to_numpy().ravel()
    risky = any(map(HEADER_NEEDS_QUOTES.search, map(str, table)))
    risky |= any(map(NEEDS_QUOTES.search, map(str, texts)))
    quoting = csv.QUOTE_NONNUMERIC if risky else csv.QUOTE_MINIMAL
    return table.to_csv(
        sep=separator, index=False, lineterminator="\n", quoting=quoting, **how
    )
