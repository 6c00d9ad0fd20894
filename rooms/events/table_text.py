"""The text and the numbers of a table, as people and programs save them."""

import math
import re
from pathlib import Path

from featurestack.commandline.errors import RequestError

# bytes from 80 to 9F but for quotation marks, dashes, dots, euro and oe; four letters
# beyond ASCII in a row
STRANGE = re.compile(
    rb"[\x81-\x84\x86-\x8b\x8d-\x90\x95\x98-\x9b\x9d-\x9f]|[\xa0-\xff]{4}"
)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or cp1252; lines end with \\n.

    RequestError for bytes that cp1252 hardly uses: Mac Roman and Shift-JIS would become
    other letters.
    """
    if not path.is_file():
        raise RequestError(f"{path} cannot be read as a table: there is no such file")
    content = path.read_bytes()
    for encoding in ("utf-16",) if b"\0" in content else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp1252" or not STRANGE.search(content):
            return re.sub("\r\n?", "\n", text)
    raise RequestError(f"{path} is not UTF-8 text: save it as UTF-8")


def number_of(text: str) -> float | None:
    """The number in `1.5` or `1,5`; None if the text is no finite number."""
    try:
        number = float(text.replace(",", ".").replace("_", "?"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
