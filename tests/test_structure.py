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

from featurestack.commandline import words
from featurestack.commandline.options import Options
from featurestack.features_cache.cache import Cache
from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips
from tests.processes import python

CACHE = ("commandline", "storage", "features_cache", "pipeline")  # it stands alone
STAGES = ("results", "scores", "linear", "checks", "train", "predict", "analysis")
CORE = (*CACHE, *STAGES)
TOP = ("pipeline", "features_cache", "train", "analysis")  # beside featurestack/
# subjects that few users need, imported where they are used
SUBJECTS = ("answers", "embeddings", "feature_importance", "sound_events")
# subjects of one module each
SMALL = ("cluster", "live", "onnx", "paper", "predictions", "robustness", "trackers")
PACKAGES = (*CORE, *SUBJECTS)


def folder_of(package):
    """Where a package of featurestack lies in the repository."""
    home = ROOT if package in (*TOP, "tests") else ROOT / "featurestack"
    return home / package


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
    if name.split(".")[0] in (*SUBJECTS, *SMALL)
    and path.name not in ("__init__.py", "options.py")
}
NETWORKS = "featurestack.embeddings.networks"  # the list of features names them

# Commands that every user runs load none of these; --help waits for none of them.
RARE = {
    *OF_SUBJECTS,
    *CHECKS,
    "featurestack.pipeline.synth",
    "featurestack.pipeline.datasets.published",
    "featurestack.train.own_loop",
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
    "featurestack, featurestack.commandline.commands;"
    "from featurestack.commandline.words import every_options; every_options()": (
        "sys",
        HEAVY,
    ),
    "featurestack.results.run_folder, featurestack.scores.metrics,"
    "featurestack.results.config": (LIBRARIES, {"torch", "librosa", "sklearn"}),
    "featurestack.pipeline.extract;"
    "from featurestack.pipeline.show_features import feature_table;"
    "feature_table(44100, 5.0)": (
        LIBRARIES,
        {*RARE, *HEAVY, *SCIPYS, "featurestack.results.run_folder"}
        - {NETWORKS, "numpy", "pandas", "h5py", "scipy"},
    ),
    "featurestack.analysis.report": (
        PLOTTING,
        RARE | {"torch", "librosa", "numba", "scipy.stats"},
    ),
    "featurestack.answers.section, featurestack.feature_importance.section,"
    "featurestack.sound_events.section, featurestack.robustness": (
        PLOTTING,
        {"torch", "librosa"},
    ),
    "featurestack.train.run": ("torch", RARE),
    "featurestack.commandline.commands, featurestack.train.options;"
    "featurestack.commandline.options.texts("
    "featurestack.train.options.RunOptions, ['DATASET=x', '--folds', '1'])": (
        "sys",
        OF_SUBJECTS,
    ),
    "featurestack.predict.files": ("torch", OF_SUBJECTS),
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


# package -> packages that its modules must not import
STAGE_PACKAGES = {"pipeline", "features_cache", *STAGES}
FORBIDDEN = {
    "commandline": STAGE_PACKAGES | {"storage", "torch", "librosa", "h5py"},
    "storage": STAGE_PACKAGES | {"torch", "librosa", "h5py"},
    "features_cache": STAGE_PACKAGES - {"features_cache"} | {"librosa", "torch"},
    "results": {"pipeline", "train", "predict", "analysis", "librosa", "torch"},
    "scores": {"pipeline", "train", "predict", "analysis", "librosa", "torch"},
    "linear": {"pipeline", "train", "predict", "analysis", "librosa", "torch"},
    "pipeline": STAGE_PACKAGES - {"features_cache", "pipeline"} | {"torch"},
    "checks": {"train", "predict", "analysis", "torch"},
    "train": {"analysis", "pipeline", "predict"},
    "predict": {"analysis"},
    "analysis": {"pipeline", "train", "predict", "torch", "librosa"},
    "tests": {"bench"},
}
# What the cache and storage take of the command line: errors, progress, names.
OF_THE_ROOF = (
    r"commandline\.(DATA|NAMED|SYNTHETIC|errors\.\w+|quantities\.\w+"
    r"|terminal\.(tell|tell_once|warn|progress))"
)
# Modules that import by a computed name: commands, sections, a folder's own modules.
BY_NAME = {
    "featurestack/commandline/registry.py",
    "features_cache/names.py",  # the features that a misspelt name means
    "pipeline/kernels/__init__.py",
    "train/models/__init__.py",
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
    for path in folder_of(package).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        imported = {imported.split(".")[0] for imported in imports(path)}
        assert not imported & FORBIDDEN[package], name
        by_name = "import_module" in path.read_text(encoding="utf-8")
        assert not by_name or name in BY_NAME or package == "tests", (
            f"{name}: hidden import"
        )


@pytest.mark.parametrize("package", ["features_cache", "storage"])
def test_what_lies_below_the_command_line_knows_no_command_and_no_option(package):
    for path in folder_of(package).rglob("*.py"):
        for imported in imports(path):
            of_the_roof = imported.startswith("commandline")
            assert not of_the_roof or re.fullmatch(OF_THE_ROOF, imported), path


def test_the_figure_of_the_architecture_is_true():
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    figure = re.search(r"```text\n(front .*?)```", page, re.DOTALL)[1]
    lines = [line[11:].split() for line in figure.splitlines()]
    assert lines[0] == ["featurestack"]
    assert {*lines[1], *lines[2]} == {*SUBJECTS, *SMALL}
    assert {name for line in lines[3:] for name in line} == {*CORE}
    level = {name: number for number, line in enumerate(lines[3:]) for name in line}
    for name, path in MODULES.items():
        package = name.split(".")[0]
        for imported in imports(path):
            other = imported.split(".")[0]
            if package in level and other in level and other != package:
                assert level[other] > level[package], f"{name} imports {imported}"


def test_no_file_imports_itself_through_others():
    graph = {}
    for name, path in MODULES.items():
        members = imports(path)
        modules = {
            member if member in MODULES else member.rpartition(".")[0]
            for member in members
        }
        graph[name] = modules & MODULES.keys() - {name}
    TopologicalSorter(graph).prepare()  # CycleError names a circle


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
from featurestack.commandline.commands import run_words
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


def test_every_word_has_its_function_and_its_options():
    for word in words.COMMANDS:
        assert callable(words.function_of(word)), word
        assert issubclass(words.options_of(word), Options), word


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
