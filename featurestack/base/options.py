"""Options of commands: frozen dataclasses, from which cli/parser.py makes a command
line. Each field has its default, its meaning and its bounds.

    class DataOptions(Options):
        data: Path = option(Path("data"), "folder of datasets")
"""

import dataclasses
import json
import numbers
import os
import re
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from featurestack.base import DATA, NAME
from featurestack.base.errors import Error, RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.shell import next_line
from featurestack.base.terminal import WORDING

# Python's characters for bytes that are not UTF-8
SURROGATE = re.compile("[\ud800-\udfff]")
# the bound of a number that has no other: a larger one is a slip and would fail later
LARGEST = 1e12
SEED_BOUNDS = {"least": 0, "most": 2**32 - 1}
RATE_BOUNDS = {"least": 100, "most": 1_000_000}  # Hz
DURATION = {"least": 0.001, "most": 3600}  # s, of a clip
THREAD_BOUNDS = {"least": 1, "most": 1024}
# In a message: the value of NAME=value, in quotes or up to a blank or the sentence's
# punctuation; a whole command, as it is typed.
VALUE = r"""(?:'[^']*'|"[^"]*"|(?![,;:.)]+(?:\s|$))[^\s'"])*"""
COMMAND = rf"\b(?:make|{NAME}) \w+(?: [A-Z][A-Z0-9_]*={VALUE})*"
PLAIN = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?|None")  # of an option of numbers
VALIDATION_SHARE = 0.15  # the part of the training groups that VAL=group sets aside

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

    `least` and `most` bound a number, both inclusive. An extra acts on an option with
    `extra=True`; without the extra no command takes it.
    """
    traits |= {"meaning": meaning, "bounds": (least, most)}
    return dataclasses.field(default=default, metadata=traits)


def fields(options: "type[Options]") -> dict[str, "dataclasses.Field[Any]"]:
    """The fields that can be given, by name, those of `shared` first."""
    declared = declared_fields(options).items()
    return {
        name: declared_field
        for name, declared_field in declared
        if name in OPTIONS or not declared_field.metadata.get("extra")
    }


def declared_fields(
    options: "type[Options]",
) -> dict[str, "dataclasses.Field[Any]"]:
    """`fields`, and those of extras that are not here."""
    by_name = {field.name: field for field in dataclasses.fields(options)}
    shared = declared_fields(options.shared) if options.shared else {}
    return shared | {
        name: by_name[name] for name in by_name if "meaning" in by_name[name].metadata
    }


def choices_of(field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    """The values that an option chooses from; none if it takes any of its type."""
    return typing.get_args(kind_of(field)[0])


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
    # options whose texts are lists, each value of which makes a run
    lists: typing.ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        """Raise RequestError for the first value that its option does not take."""
        for name, field in fields(type(self)).items():
            values = getattr(self, name, ())  # fields of `shared` are not attributes
            for value in values if isinstance(values, tuple) else (values,):
                expected = expected_by(field, value)
                if expected:
                    typed = f"{name.upper()}={text_of(value)}"
                    raise RequestError(f"{typed}: expected {expected}")

    @classmethod
    def build(cls, given: Mapping[str, Any]) -> Self:
        """The options with these values, by name."""
        return cls(**given)


def expected_by(field: "dataclasses.Field[Any]", value: Any) -> str:
    """What the option expects instead of this value; '' if it takes the value."""
    least, most = field.metadata["bounds"]
    kind, _, others = kind_of(field)
    is_number = isinstance(value, numbers.Real)
    if kind in (int, float) and not is_number and value not in others:
        return f"a number, not {value!r}"
    # NaN, which is neither less nor more, is out of bounds
    if is_number and not least <= value <= most:
        return f"at least {least:.12g}" if value < least else f"at most {most:.12g}"
    if isinstance(value, str) and SURROGATE.search(value):
        return "text in UTF-8"
    choices = choices_of(field)
    if choices and value != field.default and value not in choices:
        return f"one of {', '.join(filter(None, choices))}"
    return ""


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
    names = known if names is None else names
    for name in [name for name in names if name in known]:
        value = getattr(options, name)
        if value != known[name].default:
            given.append(f"{name.upper()}={text_of(value)}")
    return given


def no_effect(options: Options, names: Iterable[str], on: str) -> str:
    """The message that those of the options `names` that were given have no effect on
    something; '' if none was given.

    >>> no_effect(DatasetOptions(name="a", data=Path("d")), ("data", "name"), "b")
    'DATA=, NAME= have no effect on b'
    """
    given = [word.partition("=")[0] + "=" for word in option_words(options, names)]
    if not given:
        return ""
    return (
        f"{', '.join(given)} {'has' if len(given) == 1 else 'have'} no effect on {on}"
    )


def report_line(options: Options) -> str:
    """The last line of a stage whose measurements a report shows: the command."""
    words = option_words(options, ("dataset", "name", "data", "runs"))
    return next_line("analysis", *words)


def text_of(value: object) -> str:
    """The text that stands for a value: `1 3` for (1, 3), 'a b' in quotes in a list."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple | set | range):
        words = map(text_of, value)
        return " ".join(shlex.quote(w) if " " in w or "'" in w else w for w in words)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)


# ---- messages in Python


def in_keywords(
    message: str,
    known: "Mapping[str, dataclasses.Field[Any]]",
    given: Iterable[object] = (),
) -> str:
    """A message with the `known` options as keywords of a function, and commands as
    they are; values that were `given` may hold blanks.

    >>> known = fields(DatasetOptions)
    >>> in_keywords("give DATASET='my sounds' or NAME=: make data DATASET=birds", known)
    'give dataset="my sounds" or name=: make data DATASET=birds'
    """
    blank = [re.escape(text) for text in map(text_of, given) if " " in text]
    values = "|".join([*blank, VALUE])

    def keyword(found: "re.Match[str]") -> str:
        name = (found[1] or "").lower()
        if name not in known:
            return found[0]
        return f"{name}={literal(known[name], found[2])}"

    return re.sub(rf"{COMMAND}|\b([A-Z][A-Z0-9_]*)=({values})", keyword, message)


def literal(field: "dataclasses.Field[Any]", typed: str) -> str:
    """The value of NAME=value as Python writes it: 3, [1, 3], True or "text"."""
    text = " ".join(shlex.split(typed)) if typed.startswith(("'", '"')) else typed
    kind, words = kind_of(field)[0], text.split()
    if kind is bool and text in ("0", "1"):
        return str(text == "1")
    if kind in (int, float) and words and all(map(PLAIN.fullmatch, words)):
        return words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    return typed and json.dumps(text, ensure_ascii=False)


# whether the options were typed, not given to a function of `fs`
TYPED = ContextVar("TYPED", default=False)


@contextmanager
def in_python(
    spoken: Callable[
        [], "tuple[Mapping[str, dataclasses.Field[Any]], Iterable[object]]"
    ],
) -> Iterator[None]:
    """Errors and notices that reach Python speak `in_keywords`, with the known options
    and the given values that `spoken` returns; those of typed options stay.
    """

    def reworded(part: Any) -> Any:
        return in_keywords(part, *spoken()) if isinstance(part, str) else part

    if TYPED.get():
        yield
        return
    former = WORDING.set(reworded)
    try:
        yield
    except Error as error:
        error.args = (*map(reworded, error.args),)
        for name, part in vars(error).items():
            setattr(error, name, reworded(part))
        raise
    finally:
        WORDING.reset(former)
