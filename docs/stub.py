"""The types of `import featurestack as fs` for editors: hatch_build.py writes
featurestack/__init__.pyi with them when the package is built or installed.

A static reader does not run the decorator that gives a function the options of its
command. The stub has each option with its type, its default and its meaning.
"""

import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

import featurestack as fs
from featurestack import interface
from featurestack.commandline import rooms
from featurestack.commandline.options import every_field, fields

STUB = Path(fs.__file__).with_suffix(".pyi")
HEAD = """\
# Written when the package was built.
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from IPython.display import Audio
from numpy.typing import ArrayLike

{imports}

RATE: int
__version__: str
__all__: list[str]
"""


def stub() -> str:
    """The text of the stub."""
    functions = functions_of_package()
    modules = dict(fs.LOADED_LATER)
    for name in ("Error", "Failed", "RequestError"):
        modules[name] = "featurestack.commandline.errors"
    modules |= returned_types(functions)
    imports = sorted(
        f"from {module} import {name} as {name}" for name, module in modules.items()
    )
    head = HEAD.format(imports="\n".join(imports))
    return "\n".join([head, *map(declaration, functions)])


def functions_of_package() -> list[Callable[..., typing.Any]]:
    """Every function of `featurestack`, those of rooms last."""
    own = [
        function
        for name, function in vars(interface).items()
        if inspect.isfunction(function) and function.__module__ == interface.__name__
    ]
    known = [function for function in own if function.__name__ in dir(fs)]
    return known + [rooms.load("functions", name) for name in rooms.names("functions")]


def returned_types(functions: Sequence[Callable[..., typing.Any]]) -> dict[str, str]:
    """Name of a type that one of the functions takes or returns -> its module, as their
    modules define it or import it for types.
    """
    modules = {}
    for function in functions:
        name = str(inspect.signature(function).return_annotation)
        defined = getattr(inspect.getmodule(function), name, None)
        if isinstance(defined, type):
            modules[name] = defined.__module__
    for home in {inspect.getmodule(function) for function in functions}:
        assert home
        _, _, after = inspect.getsource(home).partition("if TYPE_CHECKING:\n")
        block, _, _ = after.partition("\n\n\n")
        for line in block.splitlines():
            origin, _, imported = line.strip().partition(" import ")
            if origin.startswith("from featurestack."):
                module = origin.removeprefix("from ")
                modules |= dict.fromkeys(imported.split(", "), module)
    return modules


def declaration(function: Callable[..., typing.Any]) -> str:
    """A function's signature with types and defaults, and its docstring."""
    signature = inspect.signature(function)
    known = {**signature.parameters}
    if options := getattr(function, "options", None):
        for name, parameter in interface.parameters(every_field(options)).items():
            known.setdefault(name, parameter)
        for name, field in fields(options.shared).items() if options.shared else ():
            if "sweep" in field.metadata or name == "features":  # takes a list
                kind = known[name].annotation
                listed = f"{annotation(kind)} | Sequence[{annotation(kind)}]"
                known[name] = known[name].replace(annotation=listed)
    parts = []
    starred = False
    for parameter in known.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        parts.append(described(parameter))
    lines = "".join(f"    {part},\n" for part in parts)
    result = annotation(signature.return_annotation)
    document = (inspect.getdoc(function) or "").replace("\\", "\\\\")
    text = "\n".join(map(indented, document.splitlines())).lstrip()
    return f'def {function.__name__}(\n{lines}) -> {result}:\n    """{text}\n    """\n'


def indented(line: str) -> str:
    """A line of a docstring in the stub; the meaning of an option is wrapped."""
    wrapped = textwrap.wrap(line, 80, subsequent_indent="    ", break_on_hyphens=False)
    if line.startswith(" ") or not wrapped:
        wrapped = [line]
    return "\n".join(f"    {part}".rstrip() for part in wrapped)


def described(parameter: inspect.Parameter) -> str:
    """`name: type = default` of one parameter."""
    star = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    text = f"{star}{parameter.name}: {annotation(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    if isinstance(default, Path):
        default = str(default)
    return f"{text} = {default!r}"


def annotation(kind: typing.Any) -> str:
    """The text of a type; an option of several values takes one or a sequence."""
    if isinstance(kind, str):
        return kind.replace('"', "")
    if kind is types.NoneType or kind is None:
        return "None"
    if kind is Path:
        return "str | Path"
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        texts = " | ".join(map(annotation, arguments)).split(" | ")
        return " | ".join(dict.fromkeys(texts))
    if origin is tuple:
        one = annotation(arguments[0])
        return f"{one} | Sequence[{one}]"
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    return str(getattr(kind, "__name__", kind))
