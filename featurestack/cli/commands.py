"""How a command runs: choose, parse, run, exit with a status.

`featurestack WORD NAME=value …` and, in a clone, `make WORD NAME=value …`; a function
of `import featurestack as fs` has the same options, by the decorator `command`.
An error ends a command with one sentence; one that nobody foresaw leaves a file with
its traceback.
"""

import contextlib
import errno
import functools
import inspect
import os
import re
import shlex
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from featurestack.base import HOME, NAME, VERSION, errors
from featurestack.base.options import (
    SURROGATE,
    TYPED,
    Options,
    fields,
    in_python,
    own_options,
)
from featurestack.base.registry import load_given
from featurestack.base.terminal import (
    Printable,
    open_output,
    silenced,
    tell,
    tell_warnings,
)
from featurestack.cli.parser import REMEMBERED, names_in, parse, require_remembered
from featurestack.cli.words import every_options, function_of, help_on, options_of

# Turns of a loop after which an idle OpenMP thread sleeps. The default, 300,000, takes
# time from others on a shared core (docs/explanation/protocol.md). OpenMP reads
# the number when torch is loaded.
SPINCOUNT = "3000"
HELP = ("-h", "--help")
SHELL = {"name", "group"}  # shells and WSL export these for themselves


def main(function: Callable[[Any], object] | None = None) -> NoReturn:
    """Run the command that the first word names, or a function of its `options`, which
    a file of a clone has; exit: 0 done, 1 failed, 2 refused, 130 after Ctrl-C.
    """
    words = sys.argv[1:]
    tell_warnings()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINCOUNT)
    open_output()
    status: int | None
    try:
        if sys.platform == "win32":
            raise errors.RequestError(
                "featurestack needs POSIX locks: on Windows run it under WSL"
            )
        current_folder()
        with contextlib.redirect_stdout(Printable(sys.stdout)):
            if function:
                status = run(function, own_options(function), words)
            else:
                status = run_words(words or HELP[:1])
    except BaseException as error:  # a user's code raises anything, also SystemExit
        status = tell_error(error)
    sys.exit(status or 0)


def current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise errors.RequestError(
            "the current folder was removed: change to another one (cd)"
        ) from None


def run_words(given: Sequence[str]) -> int | None:
    """Run a command, or print help or the version; the exit status."""
    word, *rest = load_given(given)
    if word == "--version":
        print(NAME, VERSION)
        return 0
    if word in (*HELP, "help") or {*HELP} & {*rest}:
        topics = rest if word == "help" else [word] if rest else []
        print(help_on(topics))
        return 0
    return run(function_of(word), options_of(word), rest)


def run(
    function: Callable[[Any], object], options: type[Options], words: Sequence[str]
) -> int:
    """Run a function of its `options` with these words, and return the exit status. A
    message names options that are set as environment variables, which have no effect.
    """
    unset = fields(options).keys() - names_in(words)
    exported = os.environ.keys() & {name.upper() for name in unset - SHELL}
    if exported:
        tell(
            f"ignored: {', '.join(sorted(exported))} of the environment; variables"
            " count only on the command line"
        )
    typed = TYPED.set(True)
    try:
        result = function(parse(options, words))
    finally:
        TYPED.reset(typed)
    return result if type(result) is int else 0  # a bool is no status


NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)
WHOLE_FILES = "Files that existed before are whole"
UNFORESEEN = "the details are in"  # every such sentence has these words
AROUND_BYTE = 30  # characters around a byte that is not UTF-8, in a message
READING = ("file", "path", "folder")  # variables that hold the path that is read


def tell_error(error: BaseException) -> int:
    """Print an error in one sentence; the exit status."""
    if isinstance(error, errors.RequestError):
        tell(f"error: {error}")
        return 2
    if isinstance(error, errors.Failed):
        tell(f"failed: {error}")
        return 1
    if isinstance(error, KeyboardInterrupt):
        tell("\nstopped; run the same command again to resume")
        return 130
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody reads our output any more
        return 1
    if isinstance(error, ModuleNotFoundError) and (command := activation()):
        tell(f"error: this Python lacks {error.name}: {command}")
        return 2
    if isinstance(error, UnicodeEncodeError) and SURROGATE.match(
        error.object, error.start
    ):
        first = max(0, error.start - AROUND_BYTE)
        around = error.object[first : error.end + AROUND_BYTE]
        tell(f"error: {around!a} is not UTF-8: rename this file or folder")
        return 2
    if isinstance(error, OSError) and error.errno in (
        *errors.SYSTEM_FAILED,
        *errors.NOT_WRITABLE,
    ):
        file = f"{error.filename}: " if error.filename else ""
        remedy = ""
        if error.errno == errno.EMFILE:
            remedy = ": raise the limit of this shell, ulimit -n"
        if error.errno in NOT_PERMITTED:
            remedy = (
                ": change the permissions (chmod), or name folders of your own by"
                " DATA=, RUNS= and REPORTS="
            )
        tell(f"error: {file}{os.strerror(error.errno)}{remedy}")
        return 1 if error.errno in errors.SYSTEM_FAILED else 2
    if isinstance(error, MemoryError):
        tell(f"failed: not enough memory ({error or 'no number known'})")
        return 1
    import tempfile  # late: it does not load where a test imitates native Windows

    with tempfile.NamedTemporaryFile(
        "w", prefix="featurestack-", suffix=".txt", delete=False, encoding="utf-8"
    ) as details:
        details.writelines(traceback.format_exception(error))
    tell(f"failed: {unforeseen(error)}. {WHOLE_FILES}; {UNFORESEEN} {details.name}")
    return 1


def activation() -> str:
    """The command that activates the environment, if this Python is another one's."""
    if not (HOME / ".venv").is_dir() or sys.prefix != sys.base_prefix:
        return ""
    activate = shlex.quote(f"{HOME}/.venv/bin/activate")
    return f"activate the environment that has it: . {activate}"


def unforeseen(error: BaseException) -> str:
    """An unforeseen error in words, and the file that was being read."""
    read = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in READING:
            if isinstance(path := frame.f_locals.get(name), Path):
                read = f", while reading {path}"
    return f"{errors.reason_of(error)}{read}"


# ---- commands as functions of `import featurestack as fs`

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., object])
QUIET_HELP = "print nothing; warnings stay"


def command(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorator: an unknown keyword gets the nearest, a run or a cache stands for its
    path, `quiet` is silent, an error names keywords, and one that nobody foresaw is
    one sentence.
    """
    signature = inspect.signature(function)
    known = signature.parameters
    any_keyword = inspect.Parameter.VAR_KEYWORD in [p.kind for p in known.values()]

    @functools.wraps(function)
    def call(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
        remembered = REMEMBERED if "dataset" in known and not any_keyword else ()
        others = {n: given.pop(n) for n in remembered if n in given and n not in known}
        for name in given:
            if name not in known and not any_keyword:
                raise errors.RequestError(errors.nearest("keyword", name, known))
        current_folder()
        positional: Any = [*map(as_path, args)]
        named: Any = {name: as_path(value) for name, value in given.items()}

        def spoken() -> tuple[Any, list[Any]]:
            every = every_options().values()
            options = {name: value for each in every for name, value in each.items()}
            taken = signature.bind(*positional, **named).arguments
            return options, [taken[n] for n in taken.keys() & options]

        quiet = silenced() if given.get("quiet") else contextlib.nullcontext()
        try:
            with quiet, in_python(spoken):
                if others:
                    values = signature.bind(*positional, **named)
                    values.apply_defaults()
                    require_remembered(others, values.arguments)
                return function(*positional, **named)
        except (errors.Error, OSError, MemoryError, Warning):
            raise
        except (KeyboardInterrupt, SystemExit):  # also of a signal that ends the caller
            raise
        except BaseException as error:  # nobody foresaw it
            inside = error.__traceback__ and error.__traceback__.tb_next
            if isinstance(error, TypeError) and not inside:
                raise  # a call that the signature does not take
            raise errors.Failed(f"{unforeseen(error)}. {WHOLE_FILES}") from error

    return call


def as_path(value: Any) -> Any:
    """The path of a run or a cache, also in a list; another value as it is."""
    if isinstance(value, list | tuple):
        return [as_path(item) for item in value]
    return Path(value) if isinstance(value, os.PathLike) else value


def documented(options: type[Options]) -> Callable[[Function], Function]:
    """Decorator: add the keywords that the docstring does not explain, with the
    meanings of these options.
    """
    known = {name: field.metadata["meaning"] for name, field in fields(options).items()}
    variable = re.compile(rf"\b({'|'.join(known).upper()})\b")

    def decorate(function: Function) -> Function:
        text = inspect.getdoc(function) or ""
        lines = ["Other Parameters", "----------------"]
        for name in inspect.signature(function).parameters:
            if f"\n{name} : " not in text:
                meaning = known.get(name, QUIET_HELP)
                meaning = variable.sub(lambda word: f"`{word[0].lower()}`", meaning)
                lines += [name, textwrap.indent(textwrap.fill(meaning, 84), " " * 4)]
        before, heading, after = text.partition("Returns\n-------\n")
        section = "\n".join(lines)
        function.__doc__ = f"{before}{section}\n\n{heading}{after}"
        return function

    return decorate
