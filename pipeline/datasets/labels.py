"""Classes from file names: LABEL= beside GROUP=, for folders that are sites or dates.

LABEL= is kept beside the cache in `label.txt`, so that later commands need none.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from shlex import quote

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import by_label
from featurestack.pipeline.datasets.name_fields import (
    FEWEST_CLIPS,
    IN_SEVERAL,
    SHOWN_VALUES,
    WORDS,
    field_pattern,
)
from featurestack.storage.files import replace_file

NAME = re.compile(r"[A-Za-z]{3,}(-[A-Za-z]+)*")  # a word, perhaps with hyphens
MOST_CLASSES = 100  # words that may be classes
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


def fields_of_names(stems: Sequence[str]) -> Iterator[tuple[int, list[str], str]]:
    """(place, values, pattern) of each field of the names; first those between two
    underscores or one, which leave hyphens in a name, then the words.
    """
    for separator in ("__", "_"):
        parts = [stem.split(separator) for stem in stems]
        count = min(map(len, parts), default=0)
        for place in range(count if count > 1 else 0):
            before = f"(?:.*?{separator}){{{place}}}" if place else ""
            pattern = (
                f"^{before}(.+?)(?:{separator}|$)" if place else f"^(.+?){separator}"
            )
            yield place, [words[place] for words in parts], pattern
    parts = [WORDS.findall(stem) for stem in stems]
    for place in range(min(map(len, parts), default=0)):
        values = [words[place] for words in parts]
        yield place, values, field_pattern(stems, values, place)


def better_classes(table: pd.DataFrame) -> str:
    """A note if the classes are sites or dates and a field of the file names holds
    words that may be the classes; '' if not.
    """
    labels = sorted({*by_label(table)["label"]} - {""})
    if not all(SITE.fullmatch(label) for label in labels):
        return ""
    stems = [PurePath(path).stem for path in table["path"]]
    for place, words, pattern in fields_of_names(stems):
        values = pd.Series(words, index=table.index)
        names = sorted(values.unique())
        several = 1 < len(names) <= min(MOST_CLASSES, len(table) / FEWEST_CLIPS)
        if not several or not all(map(NAME.fullmatch, names)):
            continue
        sites = table["label"].groupby(values).nunique()
        if pattern and (values.map(sites) > 1).mean() >= IN_SEVERAL:
            more = ", …" if len(names) > SHOWN_VALUES else ""
            return (
                f"the classes ({', '.join(labels[:2])}, …) look like sites or dates,"
                f" and field {place + 1} of the names has {counted(len(names), 'word')}"
                f" ({', '.join(names[:SHOWN_VALUES])}{more}): LABEL={quote(pattern)}"
                " makes these the classes"
            )
    return ""
