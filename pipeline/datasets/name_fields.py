"""Propose one GROUP= where nobody states groups: takes of a source recording, else a
field of file names, or a column of a table, that may be speakers, sites or devices.

A field whose recurring values nearly all occur in several classes may be what new
recordings differ in: a speaker who is both trained and tested makes the score too high.
Only the user knows, so such fields are named but never used. Left out are numbers that
count the clips of a class, and values that say how a clip was cut, measured or altered.
Few values are named only if they are words. In names such as ESC-50's, whose first
field is the fold, the source recordings are named.
"""

import re
from dataclasses import dataclass
from pathlib import PurePath
from shlex import quote
from string import ascii_lowercase

import pandas as pd

from featurestack.base.quantities import counted, listed
from featurestack.features_cache.clip_table import KNOWN_COLUMNS, by_label

NAME_SEPARATOR = re.compile(r"[_\- .()\[\]]")
FEWEST_PER_NUMBER = 3  # least number of clips per recurring number, on average
FEWEST_VALUES = 4  # fewer are named only if they are words
REPEATED = 0.1  # share of the clips that may repeat a counter's value by mistake
RECURRING = 0.5  # least share of the clips whose value another clip has too
IN_SEVERAL = 0.9  # least share of these whose value occurs in several classes
IN_NEARLY_ALL = 0.9  # share of the clips above which one value divides nothing
WORD = re.compile(r"(?:[^\W\d_]|-){3,}")
# headings of columns that name what new recordings differ in
COLUMNS = re.compile(
    r"(.*[_ ])?(speaker|actor|singer|player|patient|subject|person|participant|user"
    r"|voice|individual|animal|bird|site|location|place|station|room|city|country"
    r"|device|recorder|recordist|author|microphone|mic|phone|session|day|date"
    r"|recording)"
    r"([_ ](id|name|no|number))?",
    re.IGNORECASE,
)
MEASURE = re.compile(
    r"[+-]?\d+(\.\d+)?(db|k?hz|m?s|sec|[cm]?m|k|st|x|pc)"
    r"|(v|ver|version|fold|split|part|seg|snr|ch|channel|dist|d|take|rep|t|n|no|clip|x)"
    r"\d+(\.\d+)?(db|m)?"
    r"|train(ing)?|test(ing)?|val(id|idation)?|dev|eval|orig(inal)?|pitch|stretch|noise"
    r"|noisy|clean|shift|gain|aug(mented)?|raw|copy|edit(ed)?|final|left|right|mono"
    r"|stereo|near|far|nohash",
    re.IGNORECASE,
)

RECORDING = "source recording"
# the number of a recording, perhaps after a word, and the take's letter or number:
# `17367-A`, `dog-122104A`, `122104-1`
NUMBERED = r"(?:\D*[-_ ])?[A-Za-z]{0,4}\d{3,}"
LETTERS = ("[A-Z]", "[a-z]")
TAKES = [
    *(f"{mark}{take}" for mark in "-_ " for take in (*LETTERS, r"\d{1,2}")),
    *LETTERS,
]
FIRST_TAKES = ("a", "0", "1")  # one of them is the commonest, in small letters
IN_PATTERN = 0.9  # least share of names that fit a pattern of TAKES
# GROUP= for other names of takes -> the share of clips, at least, that share a group:
# 0.5 for patterns that also fit names of unrelated clips
LETTERED = r"^\d+[-_](.+)[-_][A-Z](?:[-_]\d+)?$"  # fold-recording-take[-class]
PATTERNS = {
    LETTERED: 0.0,
    r"^(.*)[-_ ][A-Za-z]$": 0.0,
    r"^(.*)[-_ ][a-z]*\d+$": 0.5,
    r"^([^-_ ]+)[-_ ]": 0.5,
}


@dataclass(frozen=True)
class NameField:
    """A field whose values may be speakers, sites, devices or source recordings."""

    where: str  # `field 2 of the names`, `column site` or RECORDING
    group: str  # the GROUP= that makes its values the groups
    value_of: "pd.Series[str]"  # of each clip id
    sentence: str = ""  # what a command says about it

    @property
    def is_number(self) -> bool:
        return bool(self.value_of.str.isdecimal().all())


def name_field(table: pd.DataFrame) -> NameField | None:
    """The GROUP= that every command proposes; None if clips share groups. Columns come
    before names; takes, of which letters and running numbers are the names, before
    speakers, words before numbers, more values before fewer. If there are several
    fields, the sentence asks which one it is.
    """
    if table.empty or not table["group"].is_unique:
        return None
    table = table.set_axis(table["clip_id"])
    columns = table.columns.drop([*KNOWN_COLUMNS], errors="ignore").astype(str)
    fields = [
        NameField(f"column {name}", name, table[name].fillna("").astype(str))
        for name in filter(COLUMNS.fullmatch, columns)
    ]
    stems = stems_of(table)
    likely = [field for field in fields if may_be_source(field, table)]
    pattern = "" if likely else pattern_of_takes(table)
    if not (likely or pattern):
        likely = [each for each in fields_of_stems(stems) if may_be_source(each, table)]
        if not all(field.is_number for field in likely):  # then such numbers are takes
            likely = [field for field in likely if not counts_from_start(field)]
    likely.sort(key=lambda field: (field.is_number, -field.value_of.nunique()))
    other = "" if pattern else propose_group(table)
    if not likely or (other == LETTERED and all(field.is_number for field in likely)):
        pattern = pattern or other
        if not pattern:
            return None
        recordings = stems.str.extract(pattern)[0].fillna(stems)
        takes_of = counted(recordings.nunique(), "source recording")
        sentence = f"if files are takes of {takes_of}, add GROUP={quote(pattern)}"
        return NameField(RECORDING, pattern, recordings, sentence)
    described = []
    for field in likely:
        names = [" ".join(name.split()) for name in sorted(field.value_of.unique())]
        number = counted(len(names), "value")
        described.append(f"{field.where} has {number} ({listed(names)})")
    case = "if they are speakers, sites or devices"
    if len(likely) > 1:
        case = "if one of them is the speaker, site or device"
    groups = " or ".join(f"GROUP={quote(field.group)}" for field in likely)
    sentence = f"{', '.join(described)}: {case}, add {groups}"
    return NameField(likely[0].where, likely[0].group, likely[0].value_of, sentence)


def stems_of(table: pd.DataFrame) -> "pd.Series[str]":
    """The names of the clips' files, without folder and ending."""
    return table["path"].map(lambda path: PurePath(path).stem)


def fields_of_stems(stems: "pd.Series[str]") -> list[NameField]:
    """The fields of file names, between all separators or between those that split all
    names alike (`Ann-Kathrin_dog` and `Tom_dog`); without separators, digits and
    letters are fields.
    """
    occurring = sorted(
        {mark for stem in stems for mark in NAME_SEPARATOR.findall(stem)}
    )
    escaped = re.sub(r"([\[\]-])", r"\\\1", "".join(occurring))
    ways = [(f"[{escaped}]", f"[^{escaped}]+")] if len(occurring) > 1 else []
    ways += [(re.escape(mark), f"[^{re.escape(mark)}]+") for mark in occurring]
    for separator, word in ways or [("", r"\d+|\D+")]:
        parts = [re.findall(word, stem) for stem in stems]
        if len({*map(len, parts)}) == 1:
            return fields_between(separator, word, parts, stems)
    return []


def fields_between(
    separator: str, word: str, parts: list[list[str]], stems: "pd.Series[str]"
) -> list[NameField]:
    """The fields of names with equally many parts, each with its shortest GROUP=."""
    between = f"{separator}+" if separator else ""
    fields = []
    for place, values in enumerate(zip(*parts)):
        patterns = [
            f"^({word})",
            f"{separator}(.*){separator}",
            f"({word})$",
            f"{separator}({word}){separator}",
            f"^(?:(?:{word}){between}){{{place}}}({word})",
        ]
        for pattern in patterns:
            matches = [re.search(pattern, stem) for stem in stems]
            if [match and match[1] for match in matches] == [*values]:
                where = f"field {place + 1} of the names"
                column = pd.Series(values, stems.index)
                fields.append(NameField(where, pattern, column))
                break
    return fields


def counts_from_start(field: NameField) -> bool:
    return field.is_number and field.value_of.astype(float).min() <= 1


def may_be_source(field: NameField, table: pd.DataFrame) -> bool:
    """Whether values recur, nearly all of them in several classes, and neither count
    clips nor say how a clip was cut, measured or altered.
    """
    values = field.value_of
    each = by_label(table[["label"]].assign(value=values))
    names = values.unique()
    few = len(names) < FEWEST_VALUES and not all(map(WORD.fullmatch, names))
    commonest = values.value_counts(normalize=True).iloc[0]
    shared = values[values.duplicated(keep=False)]
    recurs = len(shared) >= RECURRING * len(values) and commonest <= IN_NEARLY_ALL
    if few or not recurs or "" in names or all(map(MEASURE.fullmatch, names)):
        return False
    if "".join(sorted({*map(str.lower, names)})) in ascii_lowercase[: len(names)]:
        return False  # the letters of takes
    if field.is_number:
        by_chance = len(shared) < FEWEST_PER_NUMBER * shared.nunique()
        repeated = each.duplicated().mean()
        takes = values.astype(float).median() <= 1
        if by_chance or takes or repeated < REPEATED:
            return False
    classes_of = each[each["label"] != ""].groupby("value")["label"].nunique()
    return bool((shared.map(classes_of) > 1).mean() >= IN_SEVERAL)


def pattern_of_takes(table: pd.DataFrame) -> str:
    """A GROUP= for names of which nearly all end in one of TAKES, with recordings of
    several takes and several recordings in each class; '' if there is none.
    """
    names = stems_of(table)
    for ending in TAKES:
        fitting = names[names.str.fullmatch(NUMBERED + ending)]
        take = fitting.str.extract(r"([A-Za-z]|\d+)$")[0].str.lower().mode()
        if len(fitting) < IN_PATTERN * len(names) or take[0] not in FIRST_TAKES:
            continue
        group = f"(.*){ending}"
        recordings = names.str.extract(group)[0].fillna(names)
        each = by_label(table.assign(recording=recordings.to_numpy()))
        of_class = each.groupby("label")["recording"].nunique()
        if recordings.duplicated().any() and of_class.min() > 1:
            return group
    return ""


def propose_group(table: pd.DataFrame) -> str:
    """The first of PATTERNS that fits over half of the names and whose groups hold
    several clips, but less than a fifth of all, with three or more groups in each
    class; '' if there is none.
    """
    names = stems_of(table)
    for pattern, least in PATTERNS.items():
        groups = names.str.extract(pattern)[0]
        if all(
            MEASURE.fullmatch(NAME_SEPARATOR.split(name)[0]) for name in groups.dropna()
        ):
            continue  # parts of the data
        fits = groups.notna().mean() > 0.5
        sizes = groups.map(groups.value_counts())
        together = (sizes > 1).mean() > least
        small = sizes.max() < len(table) / 5
        if not (fits and together and small):
            continue
        labels = by_label(table)["label"]
        each = groups[labels.index]
        groups_of_class = each.groupby(labels.to_numpy()).nunique()
        if groups_of_class.min() >= 3:
            return pattern
    return ""
