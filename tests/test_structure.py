"""The shape of the code: who imports whom, no circles, what a command loads, extras
that can be deleted.
"""

import ast
import functools
import json
import os
import re
import tomllib
from graphlib import TopologicalSorter

import pytest

from featurestack.analysis.sections import SECTIONS
from featurestack.base.extras import OPTIONS
from featurestack.base.options import fields
from featurestack.cli import words
from featurestack.cli.parser import FOLDER_OPTIONS
from featurestack.features_cache.cache import Cache
from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips
from tests.processes import python

# The house from the ground up: a module imports only from its own package and from
# the lines below it.
HOUSE = (
    "base",
    "features_cache comparison",
    "results ridge",
    "pipeline",
    "train",
    "embeddings",
    "predict checks",
    "analysis",
    "answers",
    "cli",
    "extras",
)
PACKAGES = tuple(name for line in HOUSE for name in line.split())
CACHE = ("base", "features_cache", "pipeline")  # it stands alone
TOP = ("pipeline", "features_cache", "train", "analysis")  # beside featurestack/
SUBJECTS = ("answers", "embeddings", "extras")  # imported where they are used


def folder_of(package):
    """Where a package of featurestack lies in the repository."""
    home = ROOT if package in (*TOP, "tests") else ROOT / "featurestack"
    return home / package


def files_of(package):
    """The files of a package, or the one of a module."""
    folder = folder_of(package)
    return folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]


MODULES = {
    ".".join(
        [package, *path.relative_to(folder_of(package)).with_suffix("").parts]
    ).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in folder_of(package).rglob("*.py")
} | {path.stem: path for path in (ROOT / "featurestack").glob("*.py")}
CHECKS = [f"featurestack.{name}" for name in MODULES if name.startswith("checks")]
OF_SUBJECTS = {  # without their options and their docstrings
    f"featurestack.{name}"
    for name, path in MODULES.items()
    if name.split(".")[0] in SUBJECTS and path.name not in ("__init__.py", "options.py")
}
NETWORKS = "featurestack.embeddings.networks"  # the list of features names them

# Commands that every user runs load none of these; --help waits for none of them.
RARE = {
    *OF_SUBJECTS,
    *CHECKS,
    "featurestack.pipeline.synth",
    "featurestack.pipeline.datasets.esc50",
    "onnx",
    "onnxruntime",
    "dask",
    "distributed",
    "tensorboard",
    "wandb",
    "IPython",
}
HEAVY = {"numpy", "pandas", "h5py", "scipy", "sklearn", "matplotlib", "numba"}
HEAVY |= {"librosa", "torch"}
SCIPYS = ("scipy.signal", "scipy.fft", "scipy.special")
LIBRARIES = "pandas, h5py"  # which every command loads, but no help
PLOTTING = "matplotlib.figure"  # and those before
# modules, and calls -> libraries that they may load, and what they must not
LOADS_NOT = {
    "featurestack, featurestack.cli.commands;"
    "from featurestack.cli.words import every_options; every_options()": (
        "sys",
        HEAVY,
    ),
    "featurestack.results.run_folder, featurestack.comparison.metrics,"
    "featurestack.results.config": (LIBRARIES, {"torch", "librosa", "sklearn"}),
    "featurestack.pipeline.extract;"
    "from featurestack.pipeline.show_features import feature_table;"
    "feature_table(44100, 5.0)": (
        LIBRARIES,
        {*RARE, *HEAVY, *SCIPYS, "featurestack.results.run_folder"}
        - {NETWORKS, "numpy", "pandas", "h5py", "scipy"},
    ),
    "featurestack.predict.predict_audio": (LIBRARIES, OF_SUBJECTS | {"torch"}),
    "featurestack.analysis.report.build": (
        PLOTTING,
        RARE | {"torch", "librosa", "numba", "scipy.stats"},
    ),
    ", ".join(place.partition(":")[0] for place, *_ in SECTIONS.values()): (
        PLOTTING,
        {"torch", "librosa"},
    ),
    "featurestack.train.training": ("torch", RARE),
    "featurestack.cli.commands, featurestack.train.options;"
    "featurestack.cli.parser.parse("
    "featurestack.train.options.RunOptions, ['DATASET=x', '--folds', '1'])": (
        "sys",
        OF_SUBJECTS,
    ),
}
# Each in a fork of one process, which has loaded what they may.
LOADED = """
import json, os, sys
sys.modules['ipywidgets'] = None
for libraries, modules in json.loads(sys.argv[1]):
    exec(f"import {libraries}")
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    exec(f"import {modules}")
    print(json.dumps([*sys.modules]), flush=True)
    os._exit(0)
"""


# package -> packages and libraries that its modules must not import
FORBIDDEN = {
    "base": {"torch", "librosa", "h5py"},
    "features_cache": {"librosa", "torch"},
    "comparison": {"librosa", "torch", "h5py", "matplotlib"},
    "results": {"pipeline", "librosa", "torch"},
    "ridge": {"pipeline", "librosa", "torch"},
    "pipeline": {"results", "comparison", "torch"},
    "checks": {"train", "torch"},
    "train": {"pipeline"},
    "analysis": {"pipeline", "train", "predict", "torch", "librosa"},
    "tests": {"bench"},
}
# Modules that import by a computed name: commands, sections, a folder's own modules.
BY_NAME = {
    "featurestack/base/registry.py",
    "features_cache/feature_names.py",  # the features that a misspelt name means
    "pipeline/kernels/__init__.py",
}


@functools.cache
def imports(path):
    """Dotted names that a module imports, early, late or for its types."""
    names = set[str]()
    module = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("featurestack.") for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_what_its_package_must_not(package):
    for path in files_of(package):
        name = path.relative_to(ROOT).as_posix()
        imported = {imported.split(".")[0] for imported in imports(path)}
        assert not imported & FORBIDDEN[package], name
        by_name = "import_module" in path.read_text(encoding="utf-8")
        assert not by_name or name in BY_NAME or package == "tests", (
            f"{name}: hidden import"
        )


def test_a_module_imports_only_from_the_lines_below_its_own():
    level = {name: number for number, line in enumerate(HOUSE) for name in line.split()}
    upwards = set()
    for name, path in MODULES.items():
        package = name.split(".")[0]
        for imported in imports(path):
            other = imported.split(".")[0]
            if not {package, other} <= level.keys() or other == package:
                continue
            if level[other] >= level[package]:
                upwards.add((path.relative_to(ROOT).as_posix(), other))
    assert upwards == set()


def test_the_figure_of_the_architecture_is_true():
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    figure = re.search(r"```text\n(extras.*?)```", page, re.DOTALL)[1]
    lines = [line.partition("  ")[0] for line in figure.splitlines()]
    assert lines == [*HOUSE[::-1]]


@functools.cache
def imported_modules(name):
    """The modules of the product that a module imports."""
    members = imports(MODULES[name])
    modules = {m if m in MODULES else m.rpartition(".")[0] for m in members}
    return modules & MODULES.keys() - {name}


def test_no_file_imports_itself_through_others():
    graph = {name: imported_modules(name) for name in MODULES}
    TopologicalSorter(graph).prepare()  # CycleError names a circle


@functools.cache
def attributes(name):
    nodes = ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("word", [word for word in words.COMMANDS if word != "bench"])
def test_every_option_of_a_command_is_read_by_a_module_that_it_runs(word):
    options = fields(words.options_of(word)).keys() - {*FOLDER_OPTIONS}
    places = [words.COMMANDS[word].run, *(OPTIONS[n] for n in options & {*OPTIONS})]
    modules = [p.partition(":")[0].removeprefix("featurestack.") for p in places]
    for module in modules:  # it grows
        modules += imported_modules(module) - {*modules}
    unread = options - set().union(*map(attributes, modules))
    assert unread == set(), f"{word} has options that nothing reads"


@pytest.fixture(scope="module")
def loaded():
    """What is loaded after each import of LOADS_NOT."""
    asked = [(libraries, modules) for modules, (libraries, _) in LOADS_NOT.items()]
    lines = python("-c", LOADED, json.dumps(asked)).stdout.splitlines()
    return dict(zip(LOADS_NOT, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("modules", LOADS_NOT)
def test_what_every_user_runs_loads_nothing_that_it_does_not_need(modules, loaded):
    assert not {*loaded[modules]} & LOADS_NOT[modules][1]


ALONE = """
import importlib, sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *args):
    missing = name.split(".")[0] in ("torch", "matplotlib", "jinja2")
    return None if missing else find(name, *args)
PathFinder.find_spec = find_others
for module in sys.argv[1].split(","):
    importlib.import_module(module)
from featurestack.cli.commands import run_words
sys.exit(run_words(["features", "DATASET=easy", "FEATURES=mel zcr", "JOBS=1"]))
"""


def test_the_cache_stands_alone(tmp_path):
    easy_clips(tmp_path / "easy")
    below = [name for name in MODULES if name.split(".")[0] in CACHE]
    names = ",".join(f"featurestack.{n}" for n in below if not n.endswith("__main__"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = python("-c", ALONE, names, cwd=tmp_path, environment=environment, check=0)
    assert not done.returncode, done.stderr
    cache = Cache(tmp_path / "data" / "easy" / "features")
    assert cache["mel"].done().all() and cache["zcr"].done().all()


def test_the_wheel_takes_the_top_folders_from_where_they_lie():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    links = {
        path.name for path in (ROOT / "featurestack").iterdir() if path.is_symlink()
    }
    assert links == {*TOP}
    for target in settings["build"]["targets"].values():
        assert {*target["exclude"]} == {f"/featurestack/{name}" for name in TOP}
    for path in settings["build"]["targets"]["sdist"]["only-include"]:
        assert (ROOT / path).exists()


def test_the_pages_that_the_code_names_are_there():
    others = [*(ROOT / "bench").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    for path in [*MODULES.values(), *others]:
        for page in re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{path.relative_to(ROOT)} names {page}"
