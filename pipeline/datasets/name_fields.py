"""Find fields of file names and columns of a table that may be speakers, sites or
devices, and a GROUP= for names of takes.

A field whose recurring values nearly all occur in several classes may be what new
recordings differ in: a speaker who is both trained and tested makes the score too high.
Only the user knows, so such fields are named but never used. Left out are fields that
count clips or takes, the time of day after a date, the ends of a cut, and values that
say how a clip was cut, measured or altered. Few values are named only if they are
words. In names such as ESC-50's, whose first field is the fold, the source recordings
are named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from shlex import quote

import pandas as pd

from featurestack.base.quantities import counted, listed
from featurestack.features_cache.clip_table import KNOWN_COLUMNS, by_label

SEPARATOR = re.compile(r"[_\- .()\[\]]")
FEWEST_CLIPS = 3  # least number of clips per recurring number, on average
FEWEST_VALUES = 4  # fewer are named only if they are words
REPEATED = 0.1  # share of the clips that may repeat a counter's value by mistake
MEASURE = re.compile(
    r"[+-]?\d+(\.\d+)?(db|k?hz|m?s|sec|[cm]?m|k|st|x|pc)"
    r"|(v|ver|version|fold|split|part|seg|snr|ch|channel|dist|d|take|rep|t|n|no|clip|x)"
    r"\d+(\.\d+)?(db|m)?"
    r"|train(ing)?|test(ing)?|val(id|idation)?|dev|eval|orig(inal)?|pitch|stretch|noise"
    r"|noisy|clean|shift|gain|aug(mented)?|raw|copy|edit(ed)?|final|loud|quiet|soft"
    r"|left|right|mono|stereo|mix|l|r|near|far|high|low|long|short|fast|slow|nohash"
)
DATE = re.compile(r"(?<!\d)(19|20)\d{2}[ ]?(0[1-9]|1[0-2])[ ]?(0[1-9]|[12]\d|3[01])$")
TIME = re.compile(r"[0-2]\d([0-5]\d([0-5]\d)?)?|[0-5]\d|\d{3}|T?\d{6}Z?")
# headings of columns that name what new recordings differ in
COLUMNS = re.compile(
    r"(.*[_ ])?(speaker|actor|singer|player|patient|subject|person|participant|user"
    r"|voice|individual|animal|bird|site|location|place|station|room|city|country"
    r"|device|recorder|recordist|author|microphone|mic|phone|session|day|date"
    r"|recording)"
    r"([_ ](id|name|no|number))?",
    re.IGNORECASE,
)
RECURRING = 0.5  # least share of the clips whose value another clip has too
IN_SEVERAL = 0.9  # least share of these whose value occurs in several classes
IN_NEARLY_ALL = 0.9  # share of the clips above which one value divides nothing
WORD = re.compile(r"(?:[^\W\d_]|-){3,}")
WORDS = re.compile(r"\d+\.\d+(?!\.?\d)[A-Za-z]*|[^_\- .()\[\]]+")

# GROUP= for usual names of takes -> the share of clips, at least, that share a group:
# 0.5 for patterns that also fit names of unrelated clips
LETTERED = r"^\d+[-_](.+)[-_][A-Z](?:[-_]\d+)?$"  # fold-recording-take[-class]
PATTERNS = {
    LETTERED: 0.0,
    r"^(.*)[-_ ][A-Za-z]$": 0.0,
    r"^(.*)[-_ ][a-z]*\d+$": 0.5,
    r"^([^-_ ]+)[-_ ]": 0.5,
}
TAKE = r"[-_]([A-Z])(?:[-_]\d+)?$"  # the letter in LETTERED


@dataclass(frozen=True)
class NameField:
    """A field whose values may be speakers, sites, devices or source recordings."""

    where: str  # `field 2 of the names`, `column site` or `source recording`
    group: str  # the GROUP= that makes its values the groups
    value_of: "pd.Series[str]"  # of each clip id
    sentence: str = ""  # what a command says about it

    @property
    def examples(self) -> str:
        """`anna, bert, carla and 5 more`."""
        names = sorted(self.value_of.unique())
        return listed([" ".join(name.split()) for name in names])


def name_field(table: pd.DataFrame) -> NameField | None:
    """The field that may be speakers or sites; None if clips share groups. Words come
    before numbers, more values before fewer, source recordings before a number. If
    there are several fields, the sentence asks which one it is.
    """
    if not table["group"].is_unique:
        return None
    columns_of_table = table.columns.drop([*KNOWN_COLUMNS], errors="ignore").astype(str)
    columns = [
        _field(f"column {name}", table[name].fillna("").astype(str), table, name)
        for name in filter(COLUMNS.fullmatch, columns_of_table)
    ]
    present = [*filter(None, columns)] or [*filter(None, fields_of_stems(table))]
    present.sort(key=lambda each: (is_number(each.value_of), -each.value_of.nunique()))
    has_words = present and not is_number(present[0].value_of)
    if not has_words and (sources := recordings(table)):
        return sources
    if len(present) < 2:
        return present[0] if present else None
    examples = " or ".join(f"{field.where} ({field.examples})" for field in present)
    groups = " or ".join(f"GROUP={quote(field.group)}" for field in present)
    sentence = f"{examples}: which is the speaker, site or device? {groups}"
    return replace(present[0], sentence=sentence)


def recordings(table: pd.DataFrame) -> NameField | None:
    """Source recordings by LETTERED names, such as ESC-50's `3-152007-B-12`. Nearly
    every recording has each take once; speakers with numbers would repeat takes.
    """
    names = stems_of(table)
    groups = names.str.extract(LETTERED)[0].fillna(names)
    takes = groups + names.str.extract(TAKE)[0]
    if propose_group(table) != LETTERED or takes.duplicated().mean() > REPEATED:
        return None
    takes_of = counted(groups.nunique(), "source recording")
    group = f"GROUP={quote(LETTERED)}"
    sentence = f"the names have takes of {takes_of}? {group}"
    values = pd.Series(groups.to_numpy(), table["clip_id"])
    return NameField("source recording", LETTERED, values, sentence)


def stems_of(table: pd.DataFrame) -> "pd.Series[str]":
    """The names of the clips' files, without folder and ending."""
    return table["path"].map(lambda path: PurePath(path).stem)


def fields_of_stems(table: pd.DataFrame) -> list[NameField | None]:
    """The fields of file names that neither count nor measure."""
    stems = stems_of(table).tolist()
    parts, separators = split_alike(stems)
    count = min(map(len, parts), default=0)
    columns = pd.DataFrame([words[:count] for words in parts], table.index)
    left_out = time_of_day(columns)
    numbers = columns.where(columns.map(str.isdecimal)).astype(float)
    for place in columns.columns[:-1]:
        lengths = numbers[place + 1] - numbers[place]
        if (lengths > 0).all() and lengths.nunique() == 1:  # the ends of a cut
            left_out |= {place, place + 1}
    fields = []
    for place, values in columns.drop(columns=[*left_out]).items():
        others = columns.drop(columns=place)
        if not (is_measure(values) or is_counter(values, others, table["label"])):
            pattern = field_pattern(stems, values.tolist(), place, separators)
            where = f"field {place + 1} of the names"
            fields.append(_field(where, values, table, pattern))
    return fields


def split_alike(stems: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The fields of each name, and what separates them: all separators, or the one that
    splits all names alike (`Ann-Kathrin_dog` and `Tom_dog`); no fields if none does.
    """
    separators = sorted({found for stem in stems for found in SEPARATOR.findall(stem)})
    parts = [WORDS.findall(stem) for stem in stems]
    if max(map(len, parts), default=0) == 1:
        return [re.findall(r"\d+|\D+", stem) for stem in stems], separators
    if len({*map(len, parts)}) <= 1:
        return parts, separators
    for separator in separators:
        parts = [stem.split(separator) for stem in stems]
        if len({*map(len, parts)}) == 1 and all(map(all, parts)):
            return parts, [separator]
    return [[] for _ in stems], []


def _field(
    where: str, values: "pd.Series[str]", table: pd.DataFrame, group: str
) -> NameField | None:
    """The field if its values recur and nearly all of them occur in several classes."""
    names = sorted(values.unique())
    few = len(names) < FEWEST_VALUES and not all(map(WORD.fullmatch, names))
    shared = recurring(values)
    commonest = values.value_counts(normalize=True).iloc[0]
    if not group or not names[0] or few or shared.empty or commonest > IN_NEARLY_ALL:
        return None
    each = by_label(table)
    each = each[each["label"] != ""]
    by_value = each.groupby(values[each.index].to_numpy())["label"]
    classes_of = by_value.nunique().reindex(names, fill_value=0)
    if (shared.map(classes_of) > 1).mean() < IN_SEVERAL:
        return None
    classes = each["label"].nunique()
    occur = f"most in several of the {classes} classes"
    if classes_of.min() == classes:
        occur = f"each in all {classes} classes"
    field = NameField(where, group, values.set_axis(table["clip_id"]))
    sentence = (
        f"{where} has {counted(len(names), 'value')}, {occur} ({field.examples}):"
        f" speakers, sites, devices? GROUP={quote(group)}"
    )
    return replace(field, sentence=sentence)


def is_number(values: "pd.Series[str]") -> bool:
    return bool(values.str.isdecimal().all())


def recurring(values: "pd.Series[str]") -> "pd.Series[str]":
    """The values of the clips that share theirs with others; none if these are few, or
    numbers that may recur by chance.
    """
    shared = values[values.duplicated(keep=False)]
    few = len(shared) < RECURRING * len(values)
    scattered = len(shared) < FEWEST_CLIPS * shared.nunique()
    return shared[:0] if few or (is_number(values) and scattered) else shared


def is_measure(values: "pd.Series[str]") -> bool:
    """Whether these values say how a clip was cut, measured or altered."""
    names = sorted(values.str.lower().unique())
    letters = [chr(ord("a") + place) for place in range(len(names))]
    return names == letters or all(MEASURE.fullmatch(name) for name in names)


def time_of_day(columns: pd.DataFrame) -> set[int]:
    """The places of fields that follow a date and are hours, minutes or seconds."""
    places: set[int] = set()
    for place in columns.columns[1:]:
        before = columns.loc[:, max(0, place - 3) : place - 1].agg(" ".join, axis=1)
        follows = place - 1 in places or all(map(DATE.search, before))
        if follows and columns[place].str.fullmatch(TIME).all():
            places.add(place)
    return places


def is_counter(
    values: "pd.Series[str]", others: pd.DataFrame, labels: "pd.Series[str]"
) -> bool:
    """Whether a number counts the clips of a class, or from 0 or 1 the takes of a class
    and another field; if there are few takes, most are the first or second.
    """
    if not is_number(values):
        return False
    numbers = values.astype(float)
    if numbers.median() <= 1:
        return True
    rows = others.assign(value=values, label=labels)
    from_start = others if numbers.min() <= 1 else ()
    fields = [place for place in from_start if len(recurring(others[place]))]
    counts = [["value", "label"], *(["value", "label", place] for place in fields)]
    return any(rows.duplicated(columns).mean() < REPEATED for columns in counts)


def field_pattern(
    stems: Sequence[str], values: Sequence[str], place: int, separators: Sequence[str]
) -> str:
    """The shortest GROUP= that matches these values; '' if there is none."""
    separators = separators or ["_"]
    escaped = re.sub(r"([\[\]-])", r"\\\1", "".join(separators))
    alone = f"[{escaped}]" if len(separators) > 1 else re.escape(separators[0])
    other = f"[^{escaped}]"
    patterns = [
        f"^({other}+)",
        "^([0-9]+)",
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


def propose_group(table: pd.DataFrame) -> str:
    """The first of PATTERNS that fits over half of the names and whose groups hold
    several clips, but less than a fifth of all, with three or more groups in each
    class; '' if there is none.
    """
    names = stems_of(table)
    for pattern, least in PATTERNS.items():
        groups = names.str.extract(pattern)[0]
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
