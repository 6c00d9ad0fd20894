"""How a command becomes a function of `import featurestack as fs`."""

import contextlib
import functools
import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from typing import Any, ParamSpec, TypeVar

from featurestack.commandline.commands import current_folder, failed_by
from featurestack.commandline.errors import Error, RequestError, nearest
from featurestack.commandline.options import (
    Options,
    fields,
    kind_of,
    value_of,
    written,
)
from featurestack.commandline.terminal import silenced
from featurestack.commandline.words import function_of, named

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
T = TypeVar("T", bound=Options)


def command(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorator: an unknown keyword gets the nearest, `quiet` is silent, and an error
    that nobody foresaw is one sentence.
    """
    signature = inspect.signature(function)
    known = signature.parameters

    @functools.wraps(function)
    def call(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
        for name in given:
            if name not in known:
                raise RequestError(nearest("keyword", name, known))
        try:
            signature.bind(*args, **given)
        except TypeError as error:
            listed = ", ".join(known)
            raise TypeError(f"{function.__name__}({listed}): {error}") from None
        current_folder()
        try:
            with silenced() if given.get("quiet") else contextlib.nullcontext():
                return function(*args, **given)
        except (Error, OSError, MemoryError, Warning):
            raise
        except Exception as error:
            raise failed_by(error) from error

    return call


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


def run_command(word: str, options: Options) -> int | None:
    """Run the command of a word; its exit status."""
    return function_of(named(word))(options)
