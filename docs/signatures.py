"""Write the options of a command into the signature of its function of `fs`.

    python -m docs.signatures

A function that is decorated with `documented(Options)` takes each field of Options as a
keyword with the same default, and `quiet`. An option that is new goes before `quiet`,
one that is gone is removed, and a default that has changed is written anew; the order
and the types of the others stay.
"""

import ast
import importlib
import subprocess
import sys
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

from featurestack.base.options import Options, fields, kind_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("featurestack/cli", "featurestack/extras")


def modules() -> list[Path]:
    """The modules that have functions of `fs`."""
    files = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py")]
    return [file for file in sorted(files) if "@documented(" in file.read_text("utf-8")]


def rewritten(file: Path) -> str:
    """The module's text with the signatures that its options ask for."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    home = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(home.removesuffix(".__init__"))
    functions = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    for function in reversed(functions):
        for decorator in function.decorator_list:
            name = ast.unparse(decorator)
            if name.startswith("documented("):
                options = getattr(module, name[len("documented(") : -1])
                given = signature(function.args, options)
                if given != ast.unparse(function.args):
                    returns = ast.unparse(function.returns or ast.Constant(None))
                    head = f"def {function.name}({given}) -> {returns}:\n"
                    body = function.body[0].lineno - 1
                    lines[function.lineno - 1 : body] = [head]
    return "".join(lines)


def signature(own: ast.arguments, options: type[Options]) -> str:
    """The parameters of a function with these options; its own ones stay in order."""
    known = fields(options)
    types = {
        a.arg: ast.unparse(a.annotation or ast.Name("Any"))
        for a in (*own.args, *own.kwonlyargs)
    }
    first = [a.arg for a in own.args if a.arg in known]
    rest = [a.arg for a in own.kwonlyargs if a.arg in known]
    rest += [name for name in known if name not in (*first, *rest)]
    shown = {
        name: parameter(name, types.get(name) or kind_shown(name, options), known[name])
        for name in (*first, *rest)
    }
    parts = [*(shown[n] for n in first), "*", *(shown[n] for n in rest)]
    return ", ".join([*parts, "quiet: bool=False"])


def parameter(name: str, kind: str, field: "Field[Any]") -> str:
    default = field.default
    if default is MISSING:
        return f"{name}: {kind}"
    return f"{name}: {kind}={str(default) if isinstance(default, Path) else default!r}"


def kind_shown(name: str, options: type[Options]) -> str:
    """The annotation of a keyword that is new."""
    kind, several, others = kind_of(fields(options)[name])
    shown = kind.__name__ if isinstance(kind, type) else str(kind)
    shown = shown.removeprefix("typing.").replace("Path", "Path | str")
    shown += " | Auto" if "auto" in others else " | None" if others else ""
    many = several or name in options.lists
    return f"{shown} | Sequence[{shown}]" if many else shown


def main() -> None:
    for file in modules():
        text = rewritten(file)
        if text != file.read_text(encoding="utf-8"):
            file.write_text(text, encoding="utf-8")
            command = [sys.executable, "-m", "ruff", "format", "-q", str(file)]
            subprocess.run(command, check=True)
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
