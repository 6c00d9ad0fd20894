"""The sentence for an error that nobody foresaw, and the file with its traceback."""

import traceback
from pathlib import Path

from featurestack.commandline.errors import Failed

UNFORESEEN = "the details are in"  # every such sentence has these words
READING = ("file", "path", "folder")  # names of variables that hold what is read


def failed_by(error: Exception) -> Failed:
    """The failure that a user is told of: the kind of error, what was being read, and
    where its traceback is.
    """
    read = f", while reading {file}" if (file := being_read(error)) else ""
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return Failed(
        f"{reason}{read}. Files that were there before are whole; {UNFORESEEN}"
        f" {details(error)}"
    )


def being_read(error: BaseException) -> str:
    """The file that the innermost of our functions held when the error was raised."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in READING:
            if isinstance(held := frame.f_locals.get(name), Path):
                found = str(held)
    return found


def details(error: BaseException) -> str:
    """Write the traceback to a new file, and return its path."""
    import tempfile  # late: it does not load where native Windows is played by a test

    with tempfile.NamedTemporaryFile(
        "w", prefix="featurestack-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name
