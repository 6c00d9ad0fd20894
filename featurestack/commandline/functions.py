"""How a command becomes a function of `import featurestack as fs`."""

import contextlib
import functools
import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from numbers import Number
from pathlib import Path
from types import NoneType
from typing import Any, ParamSpec, TypeVar

from featurestack.commandline.commands import current_folder, failed_by
from featurestack.commandline.errors import Error, RequestError, nearest, shortened
from featurestack.commandline.options import Options, fields, kind_of, value_of, written
from featurestack.commandline.terminal import silenced
from featurestack.commandline.words import function_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
T = TypeVar("T", bound=Options)
RUN = "a run as fs.fit, fs.run or fs.answer returns it, or its name or path"
# parameters that take what another function returns
EXPECTED = {
    "clip": "a clip, as fs.read(path) or fs.tone(hertz) returns it",
    "dataset": "the name or path of a dataset, or a cache, as fs.extract returns it",
    "files": "paths of audio files; fs.Model(run).predict takes samples",
    "run": RUN,
    "trained": RUN,
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
        try:
            bound = signature.bind(*args, **given)
        except TypeError as error:
            for name in given:
                if name not in known:
                    raise RequestError(nearest("keyword", name, known)) from None
            listed = ", ".join(known)
            raise TypeError(f"{function.__name__}({listed}): {error}") from None
        for name, value in bound.arguments.items():
            if known[name].kind is not inspect.Parameter.VAR_KEYWORD:
                taken = argument(f"fs.{function.__name__}", name, value)
                bound.arguments[name] = taken
        current_folder()
        try:
            with silenced() if given.get("quiet") else contextlib.nullcontext():
                return function(*bound.args, **bound.kwargs)
        except (Error, OSError, MemoryError, Warning):
            raise
        except Exception as error:
            raise failed_by(error) from error

    return call


def argument(function: str, name: str, value: Any) -> Any:
    """The argument, the path of what has one, such as a run or a cache, also in a list;
    RequestError for a thing of another kind than its parameter takes.
    """
    if name in TAKEN and hasattr(value, TAKEN[name]):
        return value
    if name != "clip":
        if isinstance(value, os.PathLike):
            return Path(value)
        if isinstance(value, str | Number | NoneType):
            return value
        # a table would be a list of its columns
        a_list = isinstance(value, Iterable) and not isinstance(value, Mapping)
        if a_list and not hasattr(value, "columns") and name != "dataset":
            return [argument(function, name, item) for item in value]
    given = f"a {type(value).__name__}, {shortened(' '.join(repr(value).split()))}"
    expected = EXPECTED.get(name, "text, a number or a path")
    raise RequestError(f"{function}: {name} is {given}; expected {expected}")


def options_from(kind: type[T], values: Mapping[str, object]) -> T:
    """The options from Python values, which may hold others: texts are read as on the
    command line; items of a list stay whole, also with blanks.

    >>> from featurestack.commandline.options import DatasetOptions
    >>> options_from(DatasetOptions, {"dataset": "my sounds", "data": "d"}).dataset
    'my sounds'
    """
    known = fields(kind)
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
    """Run the command of a word; what it returns."""
    return function_of(word)(options)
