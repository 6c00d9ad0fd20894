"""`python -m bench.structure`: how large the code is, and how far a reader has to walk through it.

Modules and functions are counted from the files that git knows. A command's reach is the modules of this
project in sys.modules after its module was imported in a fresh process. A walk runs a command for real and
counts the functions of this project that were entered, and their files, until a given call of a library.
"""

import ast
import collections
import contextlib
import inspect
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from commandline.commands import Command, main
from commandline.options import Options, option
from commandline.terminal import text_table

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("commandline", "pipeline", "features_cache", "train", "analysis")
SINGLE = ("lab.py", "demo.py")
ENTRIES = {"train.run": 30, "pipeline.extract": 42, "analysis.report": 45}  # module -> largest reach wanted
MOST_MODULES = 140
ACCESSOR_LINES = 3  # a function of so few lines is read where it is called: a walk does not count it


@dataclass(frozen=True, kw_only=True)
class StructureOptions(Options):
    walk: bool = option(
        False,
        "also train a few steps on a small synthetic cache and count until the first convolution",
    )


def product_files() -> list[Path]:
    """Every module outside bench and tests that git knows."""
    wanted = [*(f"{package}/*.py" for package in PACKAGES), *SINGLE]
    listed = subprocess.run(
        ["git", "ls-files", *wanted], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split()]


def own_module(name: str) -> bool:
    return name.split(".")[0] in PACKAGES or f"{name}.py" in SINGLE


def reach(module: str) -> list[str]:
    """The modules of this project that importing `module` loads, itself among them."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split() if own_module(name))


def definitions(kind: type[ast.AST]) -> dict[str, list[str]]:
    """Public names defined at the top of modules: name -> modules."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for path in product_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, kind) and not node.name.startswith("_"):  # type: ignore[attr-defined]
                found[node.name].append(path.relative_to(ROOT).as_posix())  # type: ignore[attr-defined]
    return found


def defined_twice() -> dict[str, list[str]]:
    """Public classes and functions of one name in several modules."""
    both = {**definitions(ast.ClassDef), **definitions(ast.FunctionDef)}
    return {name: places for name, places in sorted(both.items()) if len(places) > 1}


def long_functions(module: str) -> set[str]:
    """Qualified names of a module's functions whose bodies have more than ACCESSOR_LINES lines."""
    found = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                body = child.body[1:] if ast.get_docstring(child) else child.body
                if body and body[-1].end_lineno - body[0].lineno + 1 > ACCESSOR_LINES:  # type: ignore[operator]
                    found.add(f"{prefix}{child.name}")
                visit(child, f"{prefix}{child.name}.<locals>.")

    visit(ast.parse((ROOT / module).read_text(encoding="utf-8")), "")
    return found


class Found(BaseException):
    """The call that a walk looks for was reached."""


def importing(frame: Any) -> bool:
    """Whether a module's or class's own body is being run, directly or through the functions it calls."""
    while (frame := frame.f_back) is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
    return False


@contextlib.contextmanager
def walking(visited: dict[str, set[str]], end: Callable[[Any], bool]) -> Iterator[None]:
    """Note file -> functions of this project entered in the block; raise Found at the call `end` names."""
    own = tuple(f"{ROOT}/{package}/" for package in PACKAGES)
    singles = tuple(f"{ROOT}/{name}" for name in SINGLE)

    def note(frame: Any, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(own) or code.co_filename in singles:
            if code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED or importing(frame):
                return  # comprehensions, module and class bodies, decorators at import
            visited[code.co_filename.removeprefix(f"{ROOT}/")].add(code.co_qualname)
        elif end(frame):
            raise Found

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


def walk_to_first_convolution(words: list[str]) -> dict[str, set[str]]:
    """file -> functions entered by `python -m train run WORDS`, until a convolution runs that learns."""
    import torch
    from torch import nn

    import train.__main__ as entry
    from commandline.commands import main as start

    def learns(frame: Any) -> bool:
        code = frame.f_code
        if code.co_name != "forward" or not code.co_filename.endswith("nn/modules/conv.py"):
            return False
        layer = frame.f_locals["self"]
        return isinstance(layer, nn.Conv2d) and layer.training and torch.is_grad_enabled()

    visited: dict[str, set[str]] = collections.defaultdict(set)
    with walking(visited, learns), contextlib.suppress(Found):
        start(entry.COMMANDS, ["run", *words])
    return visited


def _walk() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = f"DATA={folder}/data"
        features = ["features", "DATASET=synth", "FEATURES=mel mfcc chroma", data]
        subprocess.run(
            [sys.executable, "-m", "pipeline", *features], cwd=ROOT, check=True, capture_output=True
        )
        training = ["DATASET=synth", data, f"RUNS={folder}/runs", "PRECISION=fp32", "THREADS=1"]
        visited = walk_to_first_convolution(training)
    counted = {name: sorted(entered & long_functions(name)) for name, entered in visited.items()}
    files = [name for name, entered in counted.items() if entered]
    most, every = (sum(map(len, one.values())) for one in (counted, visited))
    print(
        "\nmake train, from the command to the first convolution that learns: "
        f"{most} functions of more than {ACCESSOR_LINES} lines in {len(files)} files "
        f"(at most 50 in 18 are wanted); {every} with the shorter ones"
    )
    for name in files:
        print(f"  {name}: {', '.join(counted[name])}")


def structure(options: StructureOptions) -> None:
    """Count modules, lines, reaches and repeated names."""
    rows = []
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in product_files()}
    for package in (*PACKAGES, *SINGLE):
        own = [lines for path, lines in sizes.items() if path.relative_to(ROOT).parts[0] == package]
        rows.append([package, str(len(own)), str(sum(own)), f"{median(own):.0f}"])
    rows.append(["all", str(len(sizes)), str(sum(sizes.values())), f"{median(sizes.values()):.0f}"])
    print(text_table(rows, ["package", "modules", "lines", "median"]))
    print(f"at most {MOST_MODULES} modules are wanted\n")
    for module, most in ENTRIES.items():
        print(f"importing {module} loads {len(reach(module))} modules of this project (at most {most})")
    print("\npublic names of several modules:")
    for name, places in defined_twice().items():
        print(f"  {name}: {', '.join(places)}")
    if options.walk:
        _walk()


COMMANDS: list[Command] = [structure]

if __name__ == "__main__":
    main(COMMANDS)
