"""How an option is declared, and `python -m <package> <command>`: choose, parse, run, exit with a status.

    @dataclass(frozen=True, kw_only=True)
    class TrainOptions(DatasetOptions):
        epochs: Annotated[int, Bounds(least=1)] = 40
        '''passes over the training clips'''
        overwrite: Annotated[bool, Aliases("again")] = False
        '''make everything anew'''

The default, the meaning, the bounds and the former names of an option stand together, once. Three spellings
mean the same: `--folds 1 3`, `FOLDS="1 3"` as a word, and make's own variables, which the Makefile hands over
unread in one word after `--make`. tyro does the parsing; its boxes become one plain message.
"""

import contextlib
import dataclasses
import errno
import inspect
import io
import math
import os
import re
import shlex
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from commandline.registry import RequestError, nearest
from commandline.terminal import tell_warnings

VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")  # how Python writes a byte that is not UTF-8
SHOWN = 30  # characters around one, in a message
TRUE, FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off", "")
DISK_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # the work ran: exit status 1
NOT_WRITABLE = (  # the request named a wrong place: exit status 2
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    errno.ENAMETOOLONG,
)
HANDED_OVER = "--make"
MAKES_OWN = ("PYTHON", "ALL")  # variables that the Makefile itself reads
ONE_ALONE = "; only a sweep takes several"
LARGEST = 1e12  # of a number without other bounds: what is larger is a slip and would only fail later


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest value of a numeric option, both allowed: `Annotated[float, Bounds(0, 0.99)]`."""

    least: float = -LARGEST
    most: float = LARGEST


@dataclass(frozen=True, init=False)
class Aliases:
    """Former names of an option, still read but listed nowhere: `Annotated[bool, Aliases("again")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


Extra = TypeVar("Extra", Bounds, Aliases)
Command = Callable[[Any], "int | None"]


def annotations(options: type) -> dict[str, Any]:
    """The annotation of each field, with what `Annotated` adds."""
    return typing.get_type_hints(options, include_extras=True)


def extra_of(annotation: Any, extra: type[Extra]) -> Extra | None:
    """The Bounds or the Aliases in an annotation."""
    extras = getattr(annotation, "__metadata__", ())
    return next((found for found in extras if isinstance(found, extra)), None)


def check_bounds(options: Any) -> None:
    """RequestError names the first number that is out of its option's bounds, infinite or not a number, and
    the first text that is not UTF-8.

    `parse` does this; call it for options that were made in Python.
    """
    for name, annotation in annotations(type(options)).items():
        value, bounds = getattr(options, name), extra_of(annotation, Bounds) or Bounds()
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int | float) and not bounds.least <= one <= bounds.most:
                raise RequestError(f"{name.upper()}={one}: expected {_expected(bounds, one)}")
            if isinstance(one, str) and not one.isascii() and SURROGATE.search(one):
                raise RequestError(f"{name.upper()}={one!a}: expected text in UTF-8")


def _expected(bounds: Bounds, number: float) -> str:
    if bounds == Bounds() and not math.isfinite(number):
        return "a finite number"
    if number < bounds.least and bounds.most == LARGEST:
        return f"at least {bounds.least:.12g}"
    if number > bounds.most and bounds.least == -LARGEST:
        return f"at most {bounds.most:.12g}"
    return f"{bounds.least:.12g} to {bounds.most:.12g}"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where datasets lie."""

    data: Path = Path("data")
    """folder of datasets and their feature caches"""


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(DataOptions):
    """Which clips, and where their cache lies."""

    dataset: str = "esc50"
    """esc50, esc10, synth, a folder of sounds, a CSV, or a cache folder"""
    name: str | None = None
    """another name for the dataset's folders"""


@dataclass(frozen=True, kw_only=True)
class RunsOptions:
    """Where run folders lie."""

    runs: Path = Path("runs")
    """folder of run folders"""


@dataclass(frozen=True, kw_only=True)
class ReportsOptions:
    """Where reports are written."""

    reports: Path = Path("reports")
    """folder of reports"""


def words(options: Any, names: Iterable[str] | None = None) -> list[str]:
    """The NAME=value words that give these options, or some of their fields, where no default does.

    >>> words(DatasetOptions(dataset="synth", data=Path("d")), ("data", "name"))
    ['DATA=d']
    """
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    given = {name: getattr(options, name) for name in names or defaults}
    return [
        f"{name.upper()}={' '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in given.items()
        if value != defaults[name]
    ]


def make_command(target: str, *given: str) -> str:
    """`make <target> NAME=value …`, quoted for a shell: what a user is told to type."""
    return shlex.join(["make", target, *given])


def options_of(command: Command) -> type:
    """The dataclass that a command's one parameter is annotated with."""
    (parameter,) = inspect.signature(command, eval_str=True).parameters.values()
    return typing.cast(type, parameter.annotation)


def parse(
    options: type,
    words: Sequence[str],
    prog: str | None = None,
    variables_elsewhere: Callable[[], Mapping[str, str]] = dict,
) -> Any:
    """An instance of the dataclass `options` from flags and `NAME=value` words.

    A variable that only other commands have (`variables_elsewhere`) is named in a line and left out.

        parse(DatasetOptions, ["DATASET=synth", "--data", "elsewhere"])
    """
    kinds, variables = annotations(options), variables_of(options)
    flags = {_flag(name) for name, kind in kinds.items() if not _is_positional(kind)}
    renamed = {_flag(given): _flag(name) for given, name in variables.items()}
    awaiting = _awaiting(options)
    expanded: list[str] = []
    for word in _unfold(words):
        assignment = VARIABLE.fullmatch(word)
        if expanded and expanded[-1] in awaiting:
            expanded.append(word)
        elif assignment:
            variable, value = assignment.groups()
            if variable in variables:
                expanded += _from_variable(variable, value, variables[variable], kinds)
            else:
                elsewhere = variables_elsewhere()
                _refuse_unknown_variable(variable, variables, elsewhere)
                _refuse_other_number(variable, variables, kinds, elsewhere)
                print(f"{variable} does not apply here and is ignored", file=sys.stderr)
        else:
            flag, equals, value = word.partition("=")
            expanded.append(renamed.get(flag, flag) + equals + value)
    for flag in (word.split("=")[0] for word in expanded):
        if flag.startswith("--") and flag not in flags | {"--help"}:
            raise RequestError(nearest("option", flag, flags))
    parsed = _tyro(options, expanded, prog)
    check_bounds(parsed)
    return parsed


def variables_of(options: type) -> dict[str, str]:
    """Each variable that sets a field of the dataclass, former names included: the name that is listed."""
    former = {name: extra_of(kind, Aliases) or Aliases() for name, kind in annotations(options).items()}
    return {one.upper(): name.upper() for name, also in former.items() for one in (name, *also.names)}


def last_given(options: type, words: Sequence[str], name: str) -> str:
    """The value that the words give to a field of the dataclass, the last one counts; empty where none does.

    >>> last_given(DatasetOptions, ["NAME=one", "--data", "NAME=two", "--name", "three"], "name")
    'three'
    """
    renamed = {_flag(given): _flag(listed) for given, listed in variables_of(options).items()}
    awaiting, found, before = _awaiting(options), "", ""
    for word in _unfold(words):
        key, equals, value = word.partition("=")
        if before in awaiting:  # this word is a value, whatever it looks like
            found = word if before == _flag(name) else found
        elif equals and key in (name.upper(), _flag(name)):
            found = value
        before = renamed.get(word, word)
    return found


def _awaiting(options: type) -> set[str]:
    """The flags that take the next word as their value."""
    return {_flag(name) for name, kind in annotations(options).items() if _bare(kind) is not bool}


def split_make(blob: str) -> list[str]:
    r"""The words of make's MAKEOVERRIDES, which escapes blanks and backslashes and doubles dollars.

    >>> split_make(r"NOTE=a\ b FEATURES=mel+mfcc")
    ['NOTE=a b', 'FEATURES=mel+mfcc']
    """
    words = re.findall(r"(?:\\.|[^\s\\])+", blob, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("$$", "$") for word in words]


def _unfold(words: Sequence[str]) -> list[str]:
    """Replace `--make BLOB` by the variables in it, and ARGS=… by its words."""
    unfolded: list[str] = []
    rest = iter(words)
    for word in rest:
        given = split_make(next(rest, "")) if word == HANDED_OVER else [word]
        for item in given:
            if item.startswith("ARGS="):
                unfolded += _split_args(item.removeprefix("ARGS="))
            elif word != HANDED_OVER or item.split("=")[0].rstrip(":?+") not in MAKES_OWN:
                unfolded.append(item)
    return unfolded


def _split_args(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        reason = str(error).lower()
        raise RequestError(f"ARGS={text}: expected words as a shell reads them ({reason})") from None


def _flag(name: str) -> str:
    return "--" + name.lower().replace("_", "-")


def _from_variable(variable: str, value: str, name: str, kinds: Mapping[str, Any]) -> list[str]:
    """`VARIABLE=value` as a flag and its values; RequestError, in these words, where the type is another."""
    flag, kind, values = _flag(name), _bare(kinds[name.lower()]), value.split()
    if kind is bool:
        if value.lower() not in TRUE + FALSE:
            raise RequestError(f"{variable}={value}: expected 1 or 0")
        return [flag] if value.lower() in TRUE else []
    if _is_positional(kinds[name.lower()]):
        return values if _is_tuple(kind) else [value]
    if _is_tuple(kind):
        return [flag, *values] if values else []
    choices, lists = typing.get_args(kind), ONE_ALONE if len(values) > 1 else ""
    if typing.get_origin(kind) is typing.Literal and lists and value not in choices:
        raise RequestError(f"{variable}={value}: expected one of {', '.join(choices)}{lists}")
    types_ = set(choices) if _is_union(kind) else {kind}
    if types_ <= {int, float, types.NoneType} and value != "None":
        try:
            (float if float in types_ else int)(value)
        except ValueError:
            expected = "a number" if float in types_ else "a whole number"
            raise RequestError(f"{variable}={value}: expected {expected}{lists}") from None
    return [f"{flag}={value}"]


def _is_positional(kind: Any) -> bool:
    from tyro.conf import Positional

    return Positional in getattr(kind, "__metadata__", ())


def _bare(kind: Any) -> Any:
    """Without what `Annotated` adds."""
    return typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _is_tuple(kind: Any) -> bool:
    kind = _bare(kind)
    choices = typing.get_args(kind) if _is_union(kind) else (kind,)
    return any(typing.get_origin(choice) is tuple for choice in choices)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


# Words of other programs, too far from ours in their letters -> what is meant.
SYNONYMS = {
    "COMMENT": "NOTE",
    "DESCRIPTION": "NOTE",
    "BATCH_SIZE": "BATCH",
    "LEARNING_RATE": "LR",
    "WEIGHT_DECAY": "DECAY",
    "WORKERS": "JOBS",
    "NUM_WORKERS": "JOBS",
    "LABEL_SMOOTHING": "SMOOTHING",
    "SPEAKER": "GROUP",
    "LENGTH": "DURATION",
    "SECONDS": "DURATION",
    "THRESHOLD": "REJECT",
    "OUTPUT": "OUT",
    "FILE": "AUDIO",
}


def _refuse_unknown_variable(variable: str, own: Mapping[str, str], elsewhere: Mapping[str, str]) -> None:
    if variable not in elsewhere:
        known = {*own.values(), *elsewhere.values()}
        meant = SYNONYMS.get(variable)
        if meant in own.values():
            raise RequestError(f"unknown variable {variable!r}; did you mean {meant!r}?")
        raise RequestError(nearest("variable", variable, known, listed={*own.values()}))


def _refuse_other_number(
    variable: str, own: Mapping[str, str], kinds: Mapping[str, Any], elsewhere: Mapping[str, str]
) -> None:
    """RequestError for FEATURE where FEATURES is meant, or the other way round.

    RUN beside the folder RUNS is no slip: `make train analysis RUN=one` hands all variables to both commands.
    Nor is a former name elsewhere: `make sweep analysis SEEDS="0 1"`.
    """
    other = variable.removesuffix("S") if variable.endswith("S") else variable + "S"
    if other in own and elsewhere[variable] == variable and _bare(kinds[own[other].lower()]) is not Path:
        raise RequestError(f"{variable} does not apply here; did you mean {other!r}?")


def _tyro(options: type, words: list[str], prog: str | None) -> Any:
    import tyro  # here, so that the list of commands needs no installed package

    boxes = io.StringIO()
    try:
        with contextlib.redirect_stderr(boxes):
            return tyro.cli(
                options,
                args=words,
                prog=prog,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if not stop.code:
            raise  # --help was asked for and printed
        said = _plain(boxes.getvalue())
        stray = said.removeprefix("Unrecognized options: ")
        if stray != said:
            said = f"unexpected: {stray}; an option is NAME=value or --name value"
        raise RequestError(said) from None


def _plain(boxes: str) -> str:
    """The first paragraph inside tyro's box, on one line."""
    inside = [line.strip("│ ") for line in boxes.splitlines() if line.startswith("│")]
    rule = next((number for number, line in enumerate(inside) if line.startswith("─")), len(inside))
    text = " ".join(line for line in inside[:rule] if line)
    return text or " ".join(boxes.split())


def main(commands: Sequence[Command], argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the words name and exit with its status: 0, 1, or 2 for a wrong request.

    `commands` are functions `def name(options: SomeDataclass) -> int | None`; a single one takes
    no command word. The package's name is that of the module that calls.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    by_name = {command.__name__.rstrip("_"): command for command in commands}
    prog, command = f"python -m {_package()}", commands[0]
    tell_warnings()
    try:
        if len(commands) > 1:
            if not words or words[0] in ("-h", "--help"):
                print(_overview(by_name))
                sys.exit(0 if words else 2)
            if words[0] not in by_name:
                raise RequestError(nearest("command", words[0], by_name))
            prog, command, words = f"{prog} {words[0]}", by_name[words[0]], words[1:]
        status = command(parse(options_of(command), words, prog, _variables_elsewhere))
    except (RequestError, KeyboardInterrupt, OSError, UnicodeEncodeError) as error:
        status = _status_of(error)
    sys.exit(status or 0)


def _status_of(error: RequestError | KeyboardInterrupt | OSError | UnicodeEncodeError) -> int:
    """Say in one message what ended a command; its exit status. Other errors of the system are our own."""
    if isinstance(error, RequestError):
        print(f"error: {error}", file=sys.stderr)
        return 2
    if isinstance(error, KeyboardInterrupt):
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our output went away; nobody is left to tell
        return 1
    if isinstance(error, UnicodeEncodeError):
        if not SURROGATE.match(error.object, error.start):
            raise error
        shown = error.object[max(0, error.start - SHOWN) : error.end + SHOWN]
        print(f"error: {shown!a} is not UTF-8: rename this file or folder", file=sys.stderr)
        return 2
    if error.errno not in (*DISK_FAILED, *NOT_WRITABLE):
        raise error
    where, full = error.filename or "a file", error.errno in DISK_FAILED
    kept = "; what was there before is kept" if full else ""
    print(f"error: {where}: {os.strerror(error.errno)}{kept}", file=sys.stderr)
    return 1 if full else 2


def not_written(place: Path, error: OSError) -> OSError | RequestError:
    """What to raise where `place` could not be written; either ends a command in one sentence.

    For a disk that is full or fails an OSError, exit status 1, since the work ran; else RequestError, 2.
    """
    if error.errno in DISK_FAILED:
        return OSError(error.errno, os.strerror(error.errno), str(place))
    return RequestError(f"{place} cannot be written: {error.strerror or error}")


def _variables_elsewhere() -> Mapping[str, str]:
    from commandline.catalogue import known_variables

    return known_variables()


def _overview(by_name: dict[str, Command]) -> str:
    width = max(map(len, by_name))
    lines = [
        f"  {name.ljust(width)}  {(inspect.getdoc(command) or '').splitlines()[0]}"
        for name, command in by_name.items()
    ]
    return "\n".join([f"usage: python -m {_package()} COMMAND [--help]", "", *lines])


def _package() -> str:
    """`pipeline` for `python -m pipeline`, whose __main__ module has that package."""
    return getattr(sys.modules.get("__main__"), "__package__", None) or "…"
