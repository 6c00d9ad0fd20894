"""The shape of the code: who imports whom, no circles, what a command loads, extras
that can be deleted.
"""

import ast
import os
import re
from graphlib import TopologicalSorter

import pytest

from featurestack.commandline.spelling import STAGES
from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips
from tests.processes import python

PACKAGES = (
    "commandline",
    "storage",
    "features_cache",
    "results",
    "pipeline",
    "train",
    "analysis",
)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}
EXTRAS = [f"featurestack.{name}" for name in MODULES if ".extras." in name]
CHECKS = [f"featurestack.{name}" for name in MODULES if ".checks" in name]

# Commands that every user runs load none of these; --help waits for none of them.
RARE = {
    *EXTRAS,
    *(
        *CHECKS,
        "featurestack.pipeline.alter",
        "featurestack.pipeline.synth",
    ),
    *(
        "featurestack.pipeline.datasets.download",
        "featurestack.train.own_loop",
        "featurestack.train.timeline",
    ),
    *("onnx", "onnxruntime", "dask", "distributed", "tensorboard", "wandb", "IPython"),
}
HEAVY = {
    "numpy",
    "pandas",
    "h5py",
    "scipy",
    "sklearn",
    "matplotlib",
    "numba",
    "librosa",
    "torch",
}
LOADS_NOT = {
    "featurestack.train.run": RARE,
    "featurestack.train.predict": set(EXTRAS),
    "featurestack.pipeline.extract;"
    "from featurestack.pipeline.listing import feature_table;"
    "feature_table(44100, 5.0)": (
        RARE
        | {
            "sklearn",
            "matplotlib",
            "torch",
            "librosa",
            "numba",
            "scipy.signal",
            "scipy.fft",
        }
    ),
    "featurestack.analysis.report": RARE | {"torch", "librosa", "numba"},
    "featurestack.results.run_folder, featurestack.results.scores,"
    "featurestack.results.config": {
        "torch",
        "librosa",
        "sklearn",
    },
    "featurestack, featurestack.console; "
    + "; ".join(
        f"featurestack.console.commands.commands_of({stage!r})" for stage in STAGES
    ): HEAVY,
}


# package -> packages that its modules must not import; MAY_IMPORT has the exceptions
STAGE_PACKAGES = {"pipeline", "features_cache", "results", "train", "analysis"}
FORBIDDEN = {
    "commandline": STAGE_PACKAGES | {"storage", "torch", "librosa", "h5py"},
    "storage": STAGE_PACKAGES | {"torch", "librosa", "h5py"},
    "features_cache": {"pipeline", "results", "train", "analysis", "librosa", "torch"},
    "results": {"pipeline", "train", "analysis", "librosa", "torch"},
    "pipeline": {"train", "analysis", "torch"},
    "train": {"analysis", "pipeline"},
    "analysis": {"pipeline", "train", "torch", "librosa"},
    "tests": {"bench"},
}
MAY_IMPORT = {
    "train/audio_model.py": {"pipeline"},
    "train/choose_joining.py": {"pipeline"},
    "train/detect.py": {"pipeline"},
    "train/doubtful.py": {"pipeline"},
    "train/external_test.py": {"pipeline"},
    "train/predict.py": {"pipeline"},
    "train/extras/listen.py": {"pipeline"},
}
# Modules that import by a computed name: stages for help, extras, a folder's own
# modules.
BY_NAME = {
    *("commandline/commands.py", "commandline/registry.py"),
    *(
        "pipeline/kernels/__init__.py",
        "pipeline/features/__init__.py",
        "train/models/architecture.py",
    ),
    "analysis/extras/__init__.py",
}


def imports(path, *, annotations=True):
    """Dotted names that a module imports, early or late; `annotations=False` leaves out
    type checking's.
    """
    names = set[str]()
    module = ast.parse(path.read_text(encoding="utf-8"))
    for node in () if annotations else ast.walk(module):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("featurestack.") for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_what_its_package_must_not(package):
    for path in (ROOT / package).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        imported = {imported.split(".")[0] for imported in imports(path)}
        assert not imported & (FORBIDDEN[package] - MAY_IMPORT.get(name, set())), name
        by_name = "import_module" in path.read_text(encoding="utf-8")
        assert not by_name or name in BY_NAME or package == "tests", (
            f"{name}: hidden import"
        )


def test_no_file_imports_itself_through_others():
    graph = {}
    for name, path in MODULES.items():
        members = imports(path, annotations=False)
        modules = {
            member if member in MODULES else member.rpartition(".")[0]
            for member in members
        }
        graph[name] = modules & MODULES.keys() - {name}
    TopologicalSorter(graph).prepare()  # CycleError names a circle


@pytest.mark.parametrize("modules", LOADS_NOT)
def test_what_every_user_runs_loads_nothing_that_it_does_not_need(modules):
    code = (
        f"import sys; sys.modules['ipywidgets'] = None; import {modules};"
        " print(*sys.modules)"
    )
    assert not set(python("-c", code).stdout.split()) & LOADS_NOT[modules]


def test_importing_the_commands_changes_no_environment_variable():
    modules = ", ".join(
        f"featurestack.{stage}.__main__"
        for stage in STAGES
        if stage not in ("demo", "answer", "bench")
    )
    python(
        "-c",
        "import os; before = dict(os.environ);"
        f" import featurestack.demo, featurestack.answer, {modules};"
        " assert os.environ == before",
    )


BLOCKED = """
import sys
sys.modules.update(dict.fromkeys({extras}))  # as if the files were deleted
import importlib
from featurestack.commandline.commands import main
from featurestack.commandline.errors import RequestError
for words in (
    ["pipeline", "data", "DATASET=easy"],
    ["pipeline", "features", "DATASET=easy", "FEATURES=rms zcr", "JOBS=1"],
    ["train", "run", "DATASET=easy", "FEATURES=rms+zcr", "MODEL=linear", "FOLDS=1 2"],
    ["train", "list"],
    ["analysis", "DATASET=easy"],
):
    try:
        stage = importlib.import_module(f"featurestack.{{words[0]}}.__main__")
        main(stage.COMMANDS, argv=words[1:])
    except SystemExit as stop:
        assert not stop.code, words
for package in ("pipeline", "train", "analysis"):
    extras = importlib.import_module(f"featurestack.{{package}}.extras")
    for capability in extras.EXTRAS:
        try:
            extras.load(capability)
        except RequestError as refused:
            print("refused:", refused)
"""


def test_deleting_the_extras_takes_their_capabilities_along_and_nothing_else(tmp_path):
    easy_clips(tmp_path / "easy")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    code = BLOCKED.format(extras=EXTRAS)
    done = python("-c", code, check=False, cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    refused = re.findall(
        r"refused: (\w+) needs (\w+)/extras/\w+\.py, which is not here", done.stdout
    )
    assert (
        " ".join(capability for capability, _ in refused)
        == "dask embedding export listen torchrun trackers latex methods"
    )
    assert (tmp_path / "reports" / "easy" / "index.html").is_file()


def test_the_pages_that_the_code_names_are_there():
    for path in [
        *MODULES.values(),
        *(ROOT / "bench").glob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
    ]:
        for page in re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{path.relative_to(ROOT)} names {page}"
