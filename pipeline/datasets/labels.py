"""Classes from file names: LABEL= beside GROUP=, for folders that are sites or dates.

LABEL= is kept beside the cache in `label.txt`, so that later commands need none.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import by_label
from featurestack.storage.files import replace_file

# names of folders that are where or when a recording was made
SITE = re.compile(
    r"(site|plot|place|station|location|loc|point|recorder|device|unit|session|day"
    r"|night|week|date|visit|transect)[ _.-]*[a-z]?[0-9]*[a-z]?"
    r"|(19|20)[0-9]{2}[-_. ]?[0-9]{2}[-_. ]?[0-9]{2}.*",
    re.IGNORECASE,
)


def kept_label(given: str, file: Path) -> str:
    """LABEL=, else the one of an earlier command, which `file` keeps."""
    if not given and file.is_file():
        return file.read_text(encoding="utf-8")
    return given


def keep_label(label: str, file: Path) -> None:
    """Write LABEL= for later commands."""
    if label and kept_label("", file) != label:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, label)


def with_labels(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The table with the classes of LABEL=: a column of the source's table, or a
    pattern whose parentheses match the class; without parentheses, the whole match.

    The pattern is searched in file names without extension and, if it fits none of
    them, in paths within the dataset. RequestError if it does not fit every clip.
    """
    if not label:
        return table
    if label in table.columns:
        found = table[label].fillna("").astype(str).tolist()
    else:
        try:
            expression = re.compile(label)
        except re.error as error:
            raise RequestError(
                f"LABEL={label} is no pattern: {error}; expected one as LABEL='(.+?)__'"
            ) from None
        names = [PurePath(path).stem for path in table["path"]]
        found = matches(expression, names)
        if not any(found):
            found = matches(expression, table["filename"].tolist())
    lacking = [name for name, value in zip(table["filename"], found) if not value]
    if lacking:
        raise RequestError(
            f"LABEL={label} gives {counted(len(lacking), 'clip')} of {len(table):,} no"
            f" class, {lacking[0]!r} first: expected a column, or a pattern whose"
            " parentheses hold the class of every file name"
        )
    return table.assign(label=found, category="")


def matches(expression: re.Pattern[str], texts: Sequence[str]) -> list[str]:
    """The match of the parentheses in each text; '' if there is none."""
    found = []
    for text in texts:
        match = expression.search(text)
        parts = (match.groups("") or [match[0]]) if match else []
        found.append("-".join(parts))
    return found


def are_sites(table: pd.DataFrame) -> bool:
    """Whether all classes have names of sites or dates."""
    labels = {*by_label(table)["label"]} - {""}
    return all(SITE.fullmatch(label) for label in labels)
