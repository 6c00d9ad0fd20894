"""Every command of the project in one list, for `make help ALL=1` and for variables that are unknown.

The only module here that knows the stages; it is loaded when one of those is asked for.
"""

import dataclasses
import importlib
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterator

from commandline.options import Command, options_of, variables_of

STAGES = ("pipeline", "features_cache", "train", "analysis", "bench", "demo")


def commands() -> Iterator[tuple[str, Command]]:
    """(`python -m` words, function) of every command."""
    for stage in STAGES:
        module = stage if stage == "demo" else f"{stage}.__main__"
        functions: list[Command] = importlib.import_module(module).COMMANDS
        for function in functions:
            word = "" if len(functions) == 1 else " " + function.__name__.rstrip("_")
            yield stage + word, function


def known_variables() -> dict[str, str]:
    """Every variable of every command, former names included: the name that help lists it by."""
    return {
        given: name
        for _, function in commands()
        for given, name in variables_of(options_of(function)).items()
    }


def every_variable() -> str:
    """Each variable: its default, what it means, which commands take it so."""
    users: dict[tuple[str, str], list[str]] = {}
    for words, function in commands():
        options = options_of(function)
        documented = field_documentation(options)
        for field in dataclasses.fields(options):
            meaning = f"{_default(field)}{documented.get(field.name, '')}"
            users.setdefault((field.name.upper(), meaning), []).append(words)
    return "\n".join(
        f"  {variable}\n{textwrap.indent(textwrap.fill(meaning, 92), ' ' * 6)}\n"
        f"{textwrap.indent(textwrap.fill('for: ' + ', '.join(users[variable, meaning]), 92), ' ' * 6)}"
        for variable, meaning in sorted(users)
    )


def field_documentation(options: type) -> dict[str, str]:
    """The string literal that stands below each field, in the class and its bases."""
    import ast

    found: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        body = typing.cast(ast.ClassDef, definition).body
        for field, below in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _default(field: "dataclasses.Field[typing.Any]") -> str:
    if field.default is dataclasses.MISSING:
        return ""
    value = field.default
    shown = " ".join(str(one) for one in value if one is not None) if isinstance(value, tuple) else value
    return f"[{shown}] " if shown not in (None, "", False) else ""
