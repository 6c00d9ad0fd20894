"""Fields of file names and further columns of a table that may be speakers, sites or
devices.

A name is split at `_`, `-`, blanks, dots and brackets. A field of 2 to 100 values that
nearly all occur in several classes may be what new recordings differ in: a speaker who
is trained and tested makes the score too high. Only the user knows: a field is named,
never used.

A field that counts clips is left out: numbers or letters in sequence at a name's end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import pandas as pd

from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import KNOWN_COLUMNS, by_label

SEPARATOR = r"[_\- .()\[\]]"
MOST_VALUES = 100
IN_SEVERAL = 0.9  # least share of the clips whose value occurs in several classes
FOLDS_OF_GROUPS = 10  # most values for which each is proposed as a fold
SHOWN_VALUES = 4


@dataclass(frozen=True)
class NameField:
    """A field whose values may be speakers, sites or devices."""

    where: str  # `field 2 of the names` or `column site`
    values: tuple[str, ...]  # sorted
    classes: int  # fewest classes of a value
    of: int  # number of classes
    group: str  # the GROUP= that makes its values the groups
    value_of: Mapping[str, str]  # clip id -> value

    @property
    def options(self) -> list[str]:
        """The NAME=value words that make its values the groups."""
        by_group = len(self.values) <= FOLDS_OF_GROUPS
        return [f"GROUP={self.group}", *(["FOLDS_BY=group"] if by_group else [])]

    def of_clips(self, table: pd.DataFrame) -> "pd.Series[str]":
        """The value of each clip."""
        return table["clip_id"].map(dict(self.value_of))

    @property
    def sentence(self) -> str:
        more = ", …" if len(self.values) > SHOWN_VALUES else ""
        classes = "most in several classes"
        if self.classes == self.of:
            classes = f"each in all {self.of} classes"
        elif self.classes > 1:
            classes = f"each in {self.classes} classes or more"
        _, *others = self.options
        typed = " ".join([f"GROUP='{self.group}'", *others])
        return (
            f"{self.where} has {counted(len(self.values), 'value')}, {classes}"
            f" ({', '.join(self.values[:SHOWN_VALUES])}{more}): speakers, sites,"
            f" devices? {typed}"
        )


def name_fields(table: pd.DataFrame) -> tuple[NameField, ...]:
    """The fields that may be speakers, sites or devices: words first, then numbers.

    table  clips with path, label, group and the source's further columns. There are no
           fields if clips share groups: their user has said what a recording is.
    """
    if table["group"].duplicated().any():
        return ()
    stems = [PurePath(path).stem for path in table["path"]]
    parts = [re.findall(f"[^{SEPARATOR[1:-1]}]+", stem) for stem in stems]
    count = min(map(len, parts), default=0)
    columns = {
        place: pd.Series([words[place] for words in parts], index=table.index)
        for place in range(count)
    }
    fields = []
    for place, values in columns.items():
        others = [column for other, column in columns.items() if other != place]
        last = place == count - 1
        if not is_counter(values, others, table["label"], last=last):
            pattern = field_pattern(stems, values.tolist(), place)
            where = f"field {place + 1} of the names"
            fields.append(_field(where, values, table, pattern))
    for name in table.columns.drop([*KNOWN_COLUMNS], errors="ignore"):
        values = table[name].fillna("").astype(str)
        if (values != "").all():
            fields.append(_field(f"column {name}", values, table, str(name)))
    present = [field for field in fields if field]
    return tuple(sorted(present, key=lambda field: field.values[0].isdecimal()))


def _field(
    where: str,
    values: "pd.Series[str]",
    table: pd.DataFrame,
    group: str,
) -> NameField | None:
    """The field, if it has 2 to MOST_VALUES values, nearly all in several classes, and
    a GROUP= is known.
    """
    names = sorted(values.unique())
    if not group or not 2 <= len(names) <= MOST_VALUES:
        return None
    each = by_label(table)
    each = each[each["label"] != ""]
    by_value = each.groupby(values[each.index].to_numpy())["label"]
    classes_of = by_value.nunique().reindex(names, fill_value=0)
    several = values.map(classes_of) > 1
    if several.mean() < IN_SEVERAL:
        return None
    classes = each["label"].nunique()
    value_of = dict(zip(table["clip_id"], values))
    fewest = int(classes_of.min())
    return NameField(where, tuple(names), fewest, classes, group, value_of)


def is_counter(
    values: "pd.Series[str]",
    others: Sequence["pd.Series[str]"],
    labels: "pd.Series[str]",
    *,
    last: bool,
) -> bool:
    """Whether a field counts clips: single letters from A, or numbers at a name's end
    that differ between clips of one class whose other fields are equal.
    """
    names = sorted(values.unique())
    letters = [chr(ord("A") + place) for place in range(len(names))]
    if [name.upper() for name in names] == letters:
        return True
    if not last or not all(name.isdecimal() for name in names):
        return False
    rows = pd.concat([values, labels, *others], axis=1)
    return not rows.duplicated().any()


def field_pattern(stems: Sequence[str], values: Sequence[str], place: int) -> str:
    """The shortest GROUP= whose parentheses match these values, field number `place` of
    the names; '' if there is none.
    """
    found = {separator for stem in stems for separator in re.findall(SEPARATOR, stem)}
    separators = sorted(found) or ["_"]
    escaped = re.sub(r"([\[\]-])", r"\\\1", "".join(separators))
    alone = f"[{escaped}]" if len(separators) > 1 else re.escape(separators[0])
    other = f"[^{escaped}]"
    patterns = [
        f"^({other}+)",
        f"{alone}(.*){alone}",
        f"({other}+)$",
        f"{alone}({other}+){alone}",
        f"^(?:{alone}*{other}+{alone}+){{{place}}}({other}+)",
    ]
    for pattern in patterns:
        matches = [re.search(pattern, stem) for stem in stems]
        if [match and match[1] for match in matches] == list(values):
            return pattern
    return ""
