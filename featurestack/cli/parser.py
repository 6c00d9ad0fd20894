"""An argparse parser from an options class; `NAME=value` is `--name value`."""

import argparse
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from featurestack.base import registry
from featurestack.base.errors import RequestError, nearest, shortened
from featurestack.base.options import (
    DatasetOptions,
    Options,
    declared_fields,
    fields,
    kind_of,
    text_of,
)
from featurestack.base.shell import quoted, unquoted

T = TypeVar("T", bound=Options)
ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
# what argparse adds to the message of a reader, which begins with NAME=
OF_READER = re.compile(r"^argument \S+: (?=[A-Z][A-Z0-9_]*=)")
# 1, yes, true, on; 0, no, false, off
SWITCH = {**ConfigParser.BOOLEAN_STATES, "": False}
# Every command takes these; a command without such an option ignores them.
FOLDER_OPTIONS = ("data", "runs", "reports")
# A dataset remembers these. Every command on a dataset takes them; one that only reads
# the dataset compares them with what is remembered.
REMEMBERED = ("audio_dir", "group", "label")
TYPES = {bool: "1 or 0", int: "a whole number", float: "a number"}
WIDTH = 98  # of help


class Parser(argparse.ArgumentParser):
    """A parser whose errors are RequestErrors, which name an option as NAME=."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(OF_READER.sub("", message))


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in which an option is typed as NAME=."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=6, width=WIDTH)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return f"{action.dest.upper()}="


class Several(argparse.Action):
    """An option with several values, in one word or in several."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, tuple(value for each in values for value in each))


def flag(name: str) -> str:
    return f"--{name.lower().replace('_', '-')}"


def parser_of(options: type[Options], program: str, description: str = "") -> Parser:
    """The parser of a command's options, those in `leading` first."""
    example = f"Example: {program} {options.example}" if options.example else ""
    parser = Parser(
        prog=program,
        usage=f"{program} [NAME=value] ...",
        description=description,
        epilog=example,
        formatter_class=Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    known = fields(options)
    first = parser.add_argument_group("options")
    more = parser.add_argument_group("more options") if options.leading else first
    for name in dict.fromkeys([*options.leading, *known]):
        group = first if name in options.leading else more
        field, is_list = known[name], name in options.lists
        kind, several, _ = kind_of(field)
        traits: dict[str, Any] = {}
        if several or is_list:
            traits = {"nargs": "+", "action": Several}
        elif kind is bool:
            traits = {"nargs": "?", "const": True}
        group.add_argument(
            flag(name),
            type=reader(name, field, is_list=is_list),
            default=argparse.SUPPRESS,
            help=meaning(field).replace("%", "%%"),
            **traits,
        )
    first.add_argument("--load", default=argparse.SUPPRESS, help=registry.MEANING)
    taken = {*FOLDER_OPTIONS, *(REMEMBERED if "dataset" in known else ())}
    for name in taken - {*known}:
        parser.add_argument(
            flag(name), default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return parser


def meaning(field: "Field[Any]") -> str:
    """What an option means, after its default in brackets if it has one."""
    unset = any(field.default is none for none in (MISSING, None, False))
    default = "" if unset else text_of(field.default)
    text: str = field.metadata["meaning"]
    return f"[{default}] {text}" if default else text


def reader(name: str, field: "Field[Any]", *, is_list: bool) -> Callable[[str], Any]:
    """The function from an option's text to its value, or values; `is_list` if the
    text is a list of values, each of which makes a run.
    """
    kind, several, others = kind_of(field)
    may_be_empty = field.default in ("", (), True, False)
    may_be_empty |= bool(field.metadata.get("clears"))
    may_be_empty &= not (name == "dataset" or kind is Path)
    expected = " or ".join([*filter(None, others), TYPES.get(kind, "")])

    def read(text: str) -> Any:
        if not (text.strip() or may_be_empty):
            raise argparse.ArgumentTypeError(
                f"{name.upper()}= is empty, perhaps an unset shell variable: give a"
                " value, or leave it out"
            )
        try:
            if is_list:
                return [value_of(word, kind, others) for word in listed_words(text)]
            if several:
                return [value_of(word, kind) for word in words_of(text, kind)]
            return value_of(text, kind, others)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{name.upper()}={shortened(text)}: expected {expected}"
            ) from None

    return read


def listed_words(text: str) -> list[str]:
    """The values in a list separated by spaces. A blank after a comma separates
    nothing, nor does one in the path of an existing file.

    >>> listed_words("0.001 0.002"), listed_words("shift, gain"), listed_words("")
    (['0.001', '0.002'], ['shift,gain'], [''])
    """
    if Path(text).exists():
        return [text]
    return list(dict.fromkeys(text.replace(", ", ",").split() or [""]))


def words_of(text: str, kind: Any) -> list[str]:
    """The words of an option that has several values; a path may hold blanks."""
    if kind in (int, float):
        return text.replace(",", " ").split()
    is_path = kind is Path and os.path.lexists(os.path.expanduser(text))  # noqa: PTH111
    return [text] if is_path else unquoted(text)


def value_of(text: str, kind: Any, others: Iterable[Any] = ()) -> Any:
    """The value of this text; ValueError if it has another type."""
    for other in others:
        if text == str(other):
            return other
    if kind is bool:
        if text.lower() not in SWITCH:
            raise ValueError(text)
        return SWITCH[text.lower()]
    if kind is Path:  # a shell leaves the ~ of DATA=~/sounds
        return Path(os.path.expanduser(text))  # noqa: PTH111 keeps one of no user
    return kind(text) if kind in (int, float) else text


def as_flags(words: Iterable[str]) -> list[str]:
    """The words with NAME=value as --name=value."""
    typed = []
    for word in words:
        variable = ASSIGNMENT.fullmatch(word)
        typed.append(f"{flag(variable[1])}={variable[2]}" if variable else word)
    return typed


def names_in(words: Iterable[str]) -> set[str]:
    """The options that these words give."""
    flags = [word for word in as_flags(words) if word.startswith("--")]
    return {word[2:].partition("=")[0].replace("-", "_") for word in flags}


def parse(options: type[T], words: Sequence[str]) -> T:
    """The options of these words; RequestError for others.

    >>> from featurestack.base.options import DatasetOptions
    >>> parse(DatasetOptions, ["DATASET=my sounds", "--data", "d"]).dataset
    'my sounds'
    """
    parser = parser_of(options, program="")
    namespace, unknown = parser.parse_known_args(as_flags(words))
    if unknown:
        raise RequestError(unexpected(unknown[0], options))
    known = fields(options)
    given = {n: value for n, value in vars(namespace).items() if n in known}
    for name, field in known.items():
        if field.default is MISSING and name not in given:
            raise RequestError(f"{name.upper()}= is missing: {meaning(field)}")
    built = options.build(given)
    others = {n: value for n, value in vars(namespace).items() if n not in known}
    require_remembered(others, {n: f.default for n, f in known.items()} | given)
    return built


def require_remembered(others: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """RequestError if one of the `others`, which a command does not have as options, is
    not what the dataset among its options, `given`, remembers.
    """
    values = {name: text_of(others[name]) for name in REMEMBERED if name in others}
    if values:
        from featurestack.pipeline.datasets.load import require_as_remembered

        place: dict[str, Any] = {n: given[n] for n in ("dataset", "name") if n in given}
        place["data"] = Path(given["data"])
        require_as_remembered(DatasetOptions(**place), values)


def unexpected(word: str, options: type[Options]) -> str:
    """The message for a word that the parser does not know."""
    if word.startswith("--"):
        name = word[2:].partition("=")[0].replace("-", "_").upper()
        return nearest("variable", name, map(str.upper, fields(options)))
    known = fields(options)
    name, equals, value = word.partition("=")
    if equals and name.lower() in known:
        typed = quoted(f"{name.upper()}={value}")
        return f"unexpected: {word}; names are in capitals: {typed}"
    there = not equals and os.path.exists(word)  # noqa: PTH110 it is no option
    for option in ("dataset", "audio", "run") if there else ():
        if option in known:
            typed = quoted(f"{option.upper()}={word}")
            return f"unexpected: {word}; give it as {typed}"
    return (
        f"unexpected: {word}; an option is NAME=value or --name value, and a value with"
        " blanks needs quotes"
    )


def options_from(kind: type[T], values: Mapping[str, object]) -> T:
    """The options from Python values, among others; items of a list stay whole, even
    with blanks.
    """
    words, known = [], fields(kind)
    for name, field in declared_fields(kind).items():
        value = values.get(name, field.default)
        if value is not MISSING and not is_default(value, field.default):
            if name not in known:
                raise RequestError(f"{name}= needs an extra that is not installed here")
            words.append(f"{flag(name)}={text_of(value)}")
    return parse(kind, words)


def is_default(value: object, default: object) -> bool:
    if isinstance(value, list):
        value = tuple(value)
    return value is default or (type(value) is type(default) and value == default)
