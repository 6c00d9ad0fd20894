"""The size and the shape of the code: how many modules, what a command loads, one name for one thing."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("commandline", "features_cache", "results", "pipeline", "train", "analysis")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# What every user runs.
CORE = ("train.run", "pipeline.extract", "analysis.report")
REST = {
    *("lab", "analysis.extras.latex", "analysis.extras.methods", "analysis.ensemble"),
    *("pipeline.extras.dask_cluster", "pipeline.near_duplicates", "pipeline.check"),
    *("pipeline.alter", "pipeline.extras.embedding", "pipeline.synth", "pipeline.datasets.download"),
    *(
        "train.extras.torchrun",
        "train.extras.onnx_export",
        "train.extras.listen",
        "train.own_loop",
        "train.timeline",
        "train.trackers",
    ),
}
REST_LIBRARIES = {"onnx", "onnxruntime", "dask", "distributed", "tensorboard", "wandb", "IPython"}
NOT_IN_EXTRACTION = {"sklearn", "matplotlib", "torch"}

# Names that are read with their module, as in checkpoint.load, and may stand in several.
WITH_THEIR_MODULE = {"load", "run"}
# Functions here are named after commands and after the features that they define.
NAMED_AFTER_OTHERS = {"__main__.py", "pipeline/reference.py"}


def loaded_by(module: str) -> set[str]:
    """What importing it loads; without ipywidgets, which seaborn tries and which loads IPython."""
    code = f"import sys; sys.modules['ipywidgets'] = None; import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def public_definitions(kind: type[ast.ClassDef] | type[ast.FunctionDef]) -> dict[str, list[str]]:
    """Name -> the modules that define it at their top. Registered functions are known by their registry."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        place = path.relative_to(ROOT).as_posix()
        if path.name in NAMED_AFTER_OTHERS or place in NAMED_AFTER_OTHERS:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            registered = isinstance(node, ast.FunctionDef) and node.decorator_list
            if isinstance(node, kind) and not node.name.startswith("_") and not registered:
                found[node.name].append(place)
    return found


@pytest.mark.parametrize("module", CORE)
def test_the_core_loads_nothing_that_few_users_ask_for(module: str) -> None:
    loaded = loaded_by(module)
    unwanted = REST | REST_LIBRARIES | (NOT_IN_EXTRACTION if module == "pipeline.extract" else set())
    assert not loaded & unwanted


def test_no_public_class_is_defined_twice() -> None:
    assert not {name: places for name, places in public_definitions(ast.ClassDef).items() if len(places) > 1}


def test_no_public_function_is_defined_twice() -> None:
    found = public_definitions(ast.FunctionDef).items()
    assert not {name: at for name, at in found if len(at) > 1 and name not in WITH_THEIR_MODULE}


def test_no_docstring_holds_the_quotes_of_a_string_that_was_broken_into_lines() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                assert not re.search(r'"\s*\n\s*"', ast.get_docstring(node) or ""), (path, node)


def test_the_pages_that_the_code_names_are_there() -> None:
    for path in [*MODULES, *(ROOT / "bench").glob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for page in re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{path.relative_to(ROOT)} names {page}"
