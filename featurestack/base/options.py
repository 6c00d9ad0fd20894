"""The declaration of options, and their values from words.

    class TrainOptions(DatasetOptions):
        epochs: int = option(40, "passes over the training clips", least=1)

Two spellings mean the same: `FOLDS="1 3"` and `--folds 1 3`.
"""

import dataclasses
import itertools
import os
import re
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from featurestack.base import DATA
from featurestack.base.errors import ALIKE, RequestError, closest, nearest
from featurestack.base.extras import ABSENT
from featurestack.base.quantities import number_of
from featurestack.base.shell import next_line, quoted, unquoted
from featurestack.base.terminal import tell

VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
# Python's characters for bytes that are not UTF-8
SURROGATE = re.compile("[\ud800-\udfff]")
# 1, yes, true, on; 0, no, false, off
SWITCH = {**ConfigParser.BOOLEAN_STATES, "": False}
# Every command takes these; a command without such an option ignores them.
PLACES = ("dataset", "name", "audio_dir", "group", "label", "data", "runs", "reports")
ONE_ALONE = "; it takes one"
# the bound of a number that has no other: a larger one is a slip and would fail later
LARGEST = 1e12
SEED = {"least": 0, "most": 2**32 - 1}
CHANNEL = {"least": 0, "most": 1024}  # libsndfile reads no more
THREADS = {"least": 1, "most": 1024}

Auto = Literal["auto"]  # a default that is decided by the case
T = TypeVar("T", bound="Options")


def option(
    default: Any,
    meaning: str,
    *,
    least: float = -LARGEST,
    most: float = LARGEST,
    **traits: Any,
) -> Any:
    """A field of an options class; `dataclasses.MISSING` as default makes it required.

    `least` and `most` bound a number, both inclusive. Of `traits`, `choices` is a
    function that gives the possible texts.
    """
    return dataclasses.field(
        default=default,
        metadata={"meaning": meaning, "bounds": (least, most), **traits},
    )


def fields(options: "type[Options]") -> dict[str, "dataclasses.Field[Any]"]:
    """The fields that can be given, by name, those of `shared` first."""
    own = {field.name: field for field in dataclasses.fields(options)}
    shared = fields(options.shared) if options.shared else {}
    here = shared | {name: own[name] for name in own if "meaning" in own[name].metadata}
    return {name: here[name] for name in here if name not in ABSENT}


def choices_of(field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    """The values that an option chooses from; none if it takes any of its type."""
    registered = field.metadata.get("choices")
    return registered() if registered else typing.get_args(kind_of(field)[0])


def own_options(command: Callable[[Any], object]) -> "type[Options]":
    """The class of a command's parameter `options`, from its annotation."""
    return typing.get_type_hints(command)["options"]


def kind_of(field: "dataclasses.Field[Any]") -> tuple[Any, bool, tuple[Any, ...]]:
    """The type of a value, whether several are taken, and what may be given instead:
    None, or "auto", which is decided by the case.
    """
    inner = typing.get_args(field.type)
    several = typing.get_origin(field.type) is tuple
    others = tuple(
        other
        for kind, other in ((types.NoneType, None), (Auto, "auto"))
        if kind in inner
    )
    return inner[0] if several or others else field.type, several, others


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Options:
    """The base of all options, frozen dataclasses that check their values."""

    # options that the command takes too
    shared: typing.ClassVar["type[Options] | None"] = None
    # those that most users need, with which help begins; none if there are few options
    leading: typing.ClassVar[tuple[str, ...]] = ()
    # words after the command that help shows as an example
    example: typing.ClassVar[str] = ""
    # options of other commands that somebody may expect here -> why they do nothing
    without_effect: typing.ClassVar[Mapping[str, str]] = {
        "dataset": "it takes no dataset",
        "group": "the groups come from the cache or the table",
        "label": "the labels come from the cache or the table",
    }

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        """Raise RequestError for the first value that its option does not take."""
        for name, field in fields(type(self)).items():
            values = getattr(self, name, ())  # fields of `shared` are not attributes
            least, most = field.metadata["bounds"]
            for value in values if isinstance(values, tuple) else (values,):
                expected = ""
                # NaN, which is neither less nor more, is out of bounds
                if isinstance(value, int | float) and not least <= value <= most:
                    if value < least:
                        expected = f"at least {least:.12g}"
                    elif value > most:
                        expected = f"at most {most:.12g}"
                        # a share was perhaps given in percent
                        if most <= 1 and least <= value / 100 <= most:
                            share = f"{name.upper()}={value / 100:g}"
                            expected += f"; {value:g} % is {share}"
                    else:
                        expected = "a number"
                elif isinstance(value, str) and SURROGATE.search(value):
                    expected = "text in UTF-8"
                elif value != field.default and value is not None:
                    choices = choices_of(field)
                    if choices and value not in choices:
                        many = ONE_ALONE if " " in str(value) else ""
                        expected = f"one of {', '.join(filter(None, choices))}{many}"
                if expected:
                    typed = f"{name.upper()}={written(value)}"
                    raise RequestError(f"{typed}: expected {expected}")

    @classmethod
    def build(cls, given: Mapping[str, Any]) -> Self:
        """The options from texts, or tuples of values, by field name."""
        known = fields(cls)
        for name in given:
            if name not in known:
                every = map(str.upper, known)
                raise RequestError(nearest("variable", name.upper(), every))
        for name, field in known.items():
            if field.default is dataclasses.MISSING and name not in given:
                raise RequestError(
                    f"{name.upper()}= is not given: {field.metadata['meaning']}"
                )
        for name, text in given.items():
            # an empty switch is off, an empty default may be given; an empty path would
            # be the current folder
            allowed = known[name].default in ("", (), True, False)
            is_place = name == "dataset" or kind_of(known[name])[0] is Path
            blank = isinstance(text, str) and not text.strip()
            if blank and (is_place or not allowed):
                raise RequestError(
                    f"{name.upper()}= is empty, as an unset variable of the shell is:"
                    " give a value, or leave it out"
                )
        values = {
            name: text
            if isinstance(text, tuple)
            else value_of(name, text, *kind_of(known[name]))
            for name, text in given.items()
        }
        return cls(**values)


def value_of(
    name: str, text: str, kind: Any, several: bool = False, others: Sequence[Any] = ()
) -> Any:
    """The value of this text; RequestError if it has another type."""
    if several:
        words = (text.replace(",", " ") if kind in (int, float) else text).split()
        if kind is Path and os.path.lexists(os.path.expanduser(text)):  # noqa: PTH111
            words = [text]  # one path may hold blanks
        elif kind is Path:
            words = unquoted(text)
        return tuple(value_of(name, word, kind) for word in words)
    for other in others:
        if text == str(other):
            return other
    try:
        if kind is bool:
            return SWITCH[text.lower()]
        if kind in (int, float):
            return number_of(text, kind)
        if kind is Path:  # a shell leaves the ~ of DATA=~/sounds
            text = os.path.expanduser(text)  # noqa: PTH111 keeps one of no user
        return text if typing.get_origin(kind) is Literal else kind(text)
    except (KeyError, ValueError):
        expected = {bool: "1 or 0", float: "a number"}.get(kind, "a whole number")
        expected = f"auto or {expected}" if "auto" in others else expected
        many = ONE_ALONE if " " in text else ""
        raise RequestError(
            f"{name.upper()}={text}: expected {expected}{many}"
        ) from None


class DataOptions(Options):
    """The folder of datasets."""

    data: Path = option(DATA, "folder of datasets and their feature caches")


class DatasetOptions(DataOptions):
    """The clips, and the folder of their cache."""

    dataset: str = option(
        "esc50", "esc50, esc10, synth, a folder of clips, a CSV, or a cache folder"
    )
    name: str = option("", "another name for the dataset's folders")


class RunsOptions(Options):
    """The folder of run folders."""

    runs: Path = option(Path("runs"), "folder of run folders")


class ReportsOptions(Options):
    """The folder of reports."""

    reports: Path = option(Path("reports"), "folder of reports")


def texts(options: type[Options], arguments: Sequence[str]) -> dict[str, str]:
    """Field -> text of flags and `NAME=value` words; the last counts. PLACES that the
    command does not take are dropped; RequestError for another unknown flag.

        values = texts(DatasetOptions, ["DATASET=synth", "--data", "elsewhere"])
        DatasetOptions.build(values)
    """
    known = fields(options)
    kinds = dict.fromkeys(PLACES, (str, False, ()))
    kinds |= {name: kind_of(known[name]) for name in known}
    given: dict[str, str] = {}
    flag = ""  # whose value follows
    words = unfold(arguments)
    for place, word in enumerate(words):
        name, (before, equals, text) = field_of(word), word.partition("=")
        if flag and (not name or not given[flag]):
            several = kinds[flag][1]
            given[flag] = f"{given[flag]} {word}".strip()
            flag = flag if several else ""
            continue
        if not name:
            raise RequestError(unexpected(words[place:], given, known))
        if word.startswith("--") and name not in kinds:
            flags = ["--" + option.replace("_", "-") for option in known]
            raise RequestError(nearest("option", before, flags))
        is_switch = not equals and kinds[name][0] is bool
        given[name] = "1" if is_switch else text
        flag = "" if equals or is_switch else name
    if flag and not given[flag]:
        raise RequestError(f"--{flag.replace('_', '-')}: expected a value")
    for name in [name for name in PLACES if name not in known]:
        if given.pop(name, "") and name in options.without_effect:
            why = options.without_effect[name]
            tell(f"{name.upper()}= has no effect on this command: {why}")
    return given


def unexpected(
    words: Sequence[str], given: dict[str, str], known: Iterable[str]
) -> str:
    """The message for words that give no option, with what was meant: a name in small
    letters, blanks around +, a value with blanks, or a dataset.
    """
    word = words[0]
    message = f"unexpected: {word}"
    name, equals, text = word.partition("=")
    meant = closest(name, [*known, *PLACES], ALIKE)
    if equals and meant:
        return f"{message}; did you mean {quoted(f'{meant.upper()}={text}')}?"
    text = " ".join(itertools.takewhile(lambda word: not field_of(word), words))
    last = next(reversed(given), "")
    value = f"{given.get(last, '')} {text}"
    joined = re.sub(r"\s*\+\s*", "+", value)
    if last and joined != value:
        return f"{message}; blanks around +: type {quoted(f'{last.upper()}={joined}')}"
    message += "; an option is NAME=value or --name value"
    if last:
        # make hands on the variables in another order, and FEATURES as the last
        whole = {name: f"{own} {text}" for name, own in given.items()}
        paths = [name for name in whole if os.path.exists(whole[name])]  # noqa: PTH110
        if not paths and (len(given) == 1 or last == "features"):
            paths = [last]
        typed = [f", {quoted(f'{name.upper()}={whole[name]}')}" for name in paths[:1]]
        return f"{message}; a value with blanks needs quotes{''.join(typed)}"
    if "dataset" in known and Path(text).exists():
        return f"{message}: type {quoted(f'DATASET={text}')}"
    if "run" in known:
        return f"{message}: a run is named by {quoted(f'RUN={text}')}"
    return message


def field_of(word: str) -> str:
    """The field that a word names, `DATA=d`, `--data=d` or `--data`; '' if none."""
    assignment = VARIABLE.fullmatch(word)
    if assignment:
        return assignment[1].lower()
    flag = word.partition("=")[0]
    return flag[2:].replace("-", "_") if flag.startswith("--") else ""


def unfold(arguments: Sequence[str]) -> list[str]:
    """The words, with ARGS=… replaced by the words that it holds."""
    unfolded = []
    for word in arguments:
        if not word.startswith("ARGS="):
            unfolded.append(word)
            continue
        try:
            unfolded += shlex.split(word.removeprefix("ARGS="))
        except ValueError as error:
            reason = f"expected words as a shell reads them ({str(error).lower()})"
            raise RequestError(f"{word}: {reason}") from None
    return unfolded


def part_of(options: Options, kind: type[T], **others: Any) -> T:
    """The options of another class that have the same names here, and the others."""
    names = fields(kind).keys() & vars(options).keys()
    return kind(**{name: getattr(options, name) for name in names} | others)


def option_words(options: Options, names: Iterable[str] | None = None) -> list[str]:
    """The NAME=value words of these options, or of some, that are not defaults.

    >>> option_words(DatasetOptions(dataset="synth", data=Path("d")), ("data", "name"))
    ['DATA=d']
    """
    known = fields(type(options))
    given = []
    for name in [name for name in names or known if name in known]:
        value = getattr(options, name)
        if value != known[name].default:
            given.append(f"{name.upper()}={written(value)}")
    return given


def report_line(options: Options) -> str:
    """The last line of a stage whose measurements a report shows: the command."""
    words = option_words(options, ("dataset", "name", "data", "runs"))
    return next_line("analysis", *words)


def written(value: object) -> str:
    """The text that stands for a value: `1 3` for (1, 3)."""
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)
