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
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from numbers import Number
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from featurestack.base import HOME, NAME, NAMED, VERSION
from featurestack.base.errors import (
    NOT_WRITABLE,
    SYSTEM_FAILED,
    Error,
    Failed,
    RequestError,
    nearest,
    reason_of,
    shortened,
)
from featurestack.base.extras import ABSENT
from featurestack.base.options import (
    SURROGATE,
    Options,
    fields,
    kind_of,
    own_options,
    texts,
    unfold,
    value_of,
    written,
)
from featurestack.base.registry import load_given
from featurestack.base.terminal import (
    Printable,
    open_output,
    silenced,
    tell,
    tell_warnings,
)
from featurestack.cli.words import (
    ALIASES,
    COMMANDS,
    commands_taking,
    function_of,
    options_of,
)

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
            raise RequestError(
                "featurestack needs POSIX locks: on Windows run it under WSL"
            )
        current_folder()
        with contextlib.redirect_stdout(Printable(sys.stdout)):
            if function:
                status = run(function, own_options(function), words)
            else:
                status = run_words(words or HELP[:1])
    except (Exception, KeyboardInterrupt) as error:
        status = tell_error(error)
    sys.exit(status or 0)


def current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise RequestError(
            "the current folder was removed: change to another one (cd)"
        ) from None


def run_words(given: Sequence[str]) -> int | None:
    """Run a command, or print help or the version; the exit status."""
    word, *rest = load_given(unfold(given))
    if "--" in rest:  # what make was given more, perhaps other commands
        place = rest.index("--")
        rest, further = rest[:place], rest[place + 1 :]
        if {*further} <= {*COMMANDS, *ALIASES}:
            for each in (word, *further):
                if status := run_words([each, *rest]):
                    return status
            return 0
        rest += further
    if word == "--version":
        print(NAME, VERSION)
        return 0
    if word in (*HELP, "help"):
        from featurestack.cli.help import explained

        print(explained(rest) if word == "help" else explained([]))
        return 0
    if {*HELP} & {*rest}:
        return run_words(["help", word])
    return run(function_of(word), options_of(word), rest)


def run(
    function: Callable[[Any], object], options: type[Options], words: Sequence[str]
) -> int:
    """Run a function of its `options` with these words, and return the exit status. A
    message names options that are set as environment variables, which have no effect.
    """
    values, known = texts(options, words), fields(options)
    for name in values:
        if name not in known and (users := commands_taking(name)):
            raise RequestError(
                f"{name.upper()} is not a variable of this command, but of"
                f" {', '.join(users)}"
            )
    unset = known.keys() - values.keys()
    exported = os.environ.keys() & {name.upper() for name in unset - SHELL}
    if exported:
        tell(
            f"ignored: {', '.join(sorted(exported))} of the environment; variables"
            " count only on the command line"
        )
    default = str(known["dataset"].default) if "dataset" in unset else ""
    try:
        result = function(options.build(values))
        return result if isinstance(result, int) else 0
    except RequestError as error:
        if default and default in str(error):
            raise RequestError(
                f"{error} (DATASET= was not given, so {default})"
            ) from error
        raise


NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)
WHOLE = "Files that were there before are whole"
UNFORESEEN = "the details are in"  # every such sentence has these words
READING = ("file", "path", "folder")  # names of variables that hold what is read
AROUND_BYTE = 30  # characters around a byte that is not UTF-8, in a message


def tell_error(error: Exception | KeyboardInterrupt) -> int:
    """Print an error in one sentence; the exit status."""
    if isinstance(error, RequestError):
        tell(f"error: {error}")
        return 2
    if isinstance(error, Failed):
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
    if isinstance(error, OSError) and error.errno in (*SYSTEM_FAILED, *NOT_WRITABLE):
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
        return 1 if error.errno in SYSTEM_FAILED else 2
    if isinstance(error, MemoryError):
        tell(f"failed: the memory does not suffice ({error or 'no number known'})")
        return 1
    tell(f"failed: {failed_by(error)}")
    return 1


def activation() -> str:
    """The command that activates the environment, if this Python is another one's."""
    if not (HOME / ".venv").is_dir() or sys.prefix != sys.base_prefix:
        return ""
    activate = shlex.quote(f"{HOME}/.venv/bin/activate")
    return f"activate the environment that has it: . {activate}"


def failed_by(error: Exception) -> Failed:
    """The kind of error, what was being read, and the new file with its traceback."""
    import tempfile  # late: it does not load where a test imitates native Windows

    with tempfile.NamedTemporaryFile(
        "w", prefix="featurestack-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return Failed(f"{unforeseen(error)}. {WHOLE}; {UNFORESEEN} {file.name}")


def unforeseen(error: Exception) -> str:
    """An unforeseen error in words, and the file that was being read."""
    read = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in READING:
            if isinstance(path := frame.f_locals.get(name), Path):
                read = f", while reading {path}"
    return f"{reason_of(error)}{read}"


# ---- commands as functions of `import featurestack as fs`

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
T = TypeVar("T", bound=Options)
RUN = "a run as fs.fit, fs.run or fs.answer returns it, or its name or path"
# parameters that take what another function returns
EXPECTED = {
    "clip": "a clip, as fs.read(path) or fs.Clip(y, sample_rate) returns it",
    "dataset": "the name or path of a dataset, or a cache, as fs.extract returns it",
    "files": "paths of audio files; fs.Model(run).predict takes samples",
    "model": "a model's name; a scikit-learn estimator goes behind fs.Features in a"
    " Pipeline",
    "run": RUN,
    "trained": RUN,
}
# parameters -> the file by which the folder of another kind is known, and that kind
OTHERS = {
    "dataset": ("run.json", "a run"),
    **dict.fromkeys(("run", "trained"), ("index.h5", "a cache")),
}
# parameters that take an object with this attribute, such as the samples of a clip
TAKEN = {"clip": "y", "trained": "predict"}


def command(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorator: an unknown keyword gets the nearest, an argument of another kind is
    named, `quiet` is silent, and an error that nobody foresaw is one sentence.
    """
    signature = inspect.signature(function)
    known = signature.parameters

    @functools.wraps(function)
    def call(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
        bound = bind(function, args, given)
        for name, value in bound.arguments.items():
            if known[name].kind is not inspect.Parameter.VAR_KEYWORD:
                kind = str(known[name].annotation)
                taken = argument(f"fs.{function.__name__}", name, value, kind)
                bound.arguments[name] = taken
        current_folder()
        try:
            with silenced() if given.get("quiet") else contextlib.nullcontext():
                return function(*bound.args, **bound.kwargs)
        except (Error, OSError, MemoryError, Warning):
            raise
        except Exception as error:  # nobody foresaw it
            raise Failed(f"{unforeseen(error)}. {WHOLE}") from error

    return call


def bind(
    function: Callable[..., object], args: Sequence[Any], given: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments of a call by name; RequestError for an unknown keyword, and for a
    dataset and features in the wrong order, TypeError for another wrong call.
    """
    signature = inspect.signature(function)
    known = signature.parameters
    try:
        bound = signature.bind(*args, **given)
    except TypeError as error:
        for name in given:
            if name not in known:
                unknown = nearest("keyword", name, known)
                explained = f"; help(fs.{function.__name__}) explains them"
                raise RequestError(unknown + explained) from None
        named = [*known]
        for name, value in zip(named, args):
            if name in given:
                refuse_dataset_as_features(function, known, value)
                both = f"{in_short(value)} and {in_short(given[name])}"
                what = f"{name} is given twice, {both}"
                if name == "features" and "dataset" in known:
                    what += f": a dataset is given as dataset={in_short(value)}"
                raise RequestError(f"fs.{function.__name__}: {what}") from None
        for place, parameter in enumerate(known.values()):
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                named.insert(place, "*")
                break
        listed = ", ".join(named)
        raise TypeError(f"fs.{function.__name__}({listed}): {error}") from None
    refuse_dataset_as_features(function, known, bound.arguments.get("features"))
    return bound


def refuse_dataset_as_features(
    function: Callable[..., object], known: Iterable[str], given: Any
) -> None:
    """RequestError if the features are a dataset: the order of arguments is wrong."""
    order = [name for name in known if name in ("dataset", "features")]
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else ""
    is_path = path != given or (
        # Path.exists fails for a long list
        {*"/. "} & {*path} and os.path.exists(path)  # noqa: PTH110
    )
    if path and len(order) == 2 and (path in NAMED or is_path):
        call = f"fs.{function.__name__}({', '.join(order)})"
        raise RequestError(f"{in_short(path)} is a dataset: {call}")


def in_short(value: object) -> str:
    """The beginning of a value's text in Python."""
    return shortened(" ".join(repr(value).split()))


def argument(function: str, name: str, value: Any, kind: str = "Path") -> Any:
    """The argument, or the path of what has one, such as a run or a cache, even in a
    list if its annotation, `kind`, has one; RequestError for a thing of another kind.
    """
    if "ArrayLike" in kind or (name in TAKEN and hasattr(value, TAKEN[name])):
        return value
    given = f"a {type(value).__name__}, {in_short(value)}"
    if name != "clip":
        if isinstance(value, os.PathLike):
            file, kind = OTHERS.get(name, ("", ""))
            if not (file and Path(value, file).is_file()):
                return Path(value)
            given = f"{kind}, {Path(value)}"
        elif (
            isinstance(value, str)
            or (value is None and "None" in kind)
            or (isinstance(value, Number) and "Path" not in kind)
        ):
            return value
        several = "Sequence" in kind and isinstance(value, Iterable)
        # a table would be a list of its columns
        if several and not (isinstance(value, Mapping) or hasattr(value, "columns")):
            return [argument(function, name, item, kind) for item in value]
    usual = "a path" if "Path" in kind else "text or a number"
    expected = EXPECTED.get(name, "text" if "'str'" in kind else usual)
    raise RequestError(f"{function}: {name} is {given}; expected {expected}")


def options_from(kind: type[T], values: Mapping[str, object]) -> T:
    """The options from Python values, among others: texts are read as on the command
    line; items of a list stay whole, even with blanks.

    >>> from featurestack.base.options import DatasetOptions
    >>> options_from(DatasetOptions, {"dataset": "my sounds", "data": "d"}).dataset
    'my sounds'
    """
    known = fields(kind)
    for name in ABSENT & values.keys():
        if values[name]:
            raise RequestError(f"{name}= needs an extra that this installation lacks")
    given: dict[str, Any] = {}
    for name in known:
        value = values.get(name, known[name].default)
        if value is MISSING or value == known[name].default:
            continue
        if isinstance(value, str) or not isinstance(value, Iterable):
            given[name] = written(value)
            continue
        words = [str(item) for item in value]
        item, several, _ = kind_of(known[name])
        if several:
            given[name] = tuple(value_of(name, word, item) for word in words)
        else:  # a list in a text, as a shell has it
            quoted = [shlex.quote(word) if " " in word else word for word in words]
            given[name] = " ".join(quoted)
    return kind.build(given)


def run_command(word: str, options: Options) -> Any:
    return function_of(word)(options)
