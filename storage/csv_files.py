"""CSV files as people and programs write them: any separator, quotes, blank lines."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.storage.files import CLOSED

SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}


def read_csv(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """The table of a CSV as text, indexed by line; RequestError without `columns`."""
    if path.exists() and not path.is_file():  # reading a FIFO or a device may never end
        raise RequestError(f"{path} cannot be read as a CSV: it is no regular file")
    try:
        frame = parse_csv(path, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text: save it as UTF-8 CSV") from None
    except PermissionError:
        raise RequestError(f"{path} {CLOSED}") from None
    except OSError as error:
        raise RequestError(
            f"{path} cannot be read as a CSV: {str(error).strip()}"
        ) from None
    if not set(columns) <= set(frame):
        raise RequestError(
            f"{path} has the columns {', '.join(frame)}; expected {', '.join(columns)}"
        )
    return frame


def parse_csv(path: Path, text: str) -> pd.DataFrame:
    """The table of a CSV's text, indexed by line; `path` is for errors. A cell that a
    row lacks is '', one too many, as an unquoted comma makes, is refused.
    """
    first, _, rest = text.partition("\n")
    if re.fullmatch("sep=.?", first.strip()):  # Excel's line, which is no header
        text = "\n" + rest
    header = text.lstrip("\n").partition("\n")[0]
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
                for number, name in enumerate(cells, 1):
                    again = not name or name in names
                    names.append(f"{name} {number}" if again else name)
                continue
            if any(map(str.strip, cells[len(names) :])):
                raise RequestError(
                    f"{path}, line {begin}: the row has {len(cells)} cells, the header"
                    f" {len(names)}; a text with a {SEPARATOR_NAMES[separator]} stands"
                    ' in quotes, as in "dog, big", and a number has a decimal point'
                )
            rows[begin] = cells[: len(names)] + [""] * (len(names) - len(cells))
    except csv.Error as error:
        raise RequestError(
            f"{path} cannot be read as a CSV: line {line}: {error}"
        ) from None
    if not names:
        raise RequestError(f"{path} cannot be read as a CSV: it is empty")
    return pd.DataFrame([*rows.values()], [*rows], names, dtype=str)
