"""Who may import whom: the architecture, kept by reading every import, early or late, in every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGES = {"pipeline", "features_cache", "results", "train", "analysis"}

# package or module -> what no path of its code may import
FORBIDDEN = {
    "commandline": STAGES | {"torch", "librosa", "h5py"},
    "features_cache": {"pipeline", "results", "train", "analysis", "librosa", "torch"},
    "results": {"pipeline", "train", "analysis", "librosa", "torch"},
    "pipeline": {"results", "train", "analysis", "torch"},
    "train": {"analysis"},
    "analysis": {"pipeline", "train", "torch", "librosa"},
}
TRAIN_MAY_IMPORT_PIPELINE = {"train/predict.py", "train/extras/listen.py"}
BY_NAME = ("commandline/commands.py", "commandline/registry.py")  # stages, for help; extras


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports, wherever in its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            own = path.relative_to(ROOT).parts[0]
            assert _names_own_module(node, own) or path.relative_to(ROOT).as_posix() in BY_NAME, (
                f"{path}: hidden import"
            )
    return found


def _names_own_module(call: ast.Call, package: str) -> bool:
    """`import_module(f"{__name__}.{name}")` or `f"package.…{name}"`: a folder that loads its own modules."""
    (name,) = call.args
    begins = ast.unparse(name.values[0] if isinstance(name, ast.JoinedStr) else name)
    return "__name__" in begins or begins.strip("'\"").startswith(package + ".")


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_what_its_package_must_not(package: str) -> None:
    assert modules(package)
    for path in modules(package):
        taken = {name.split(".")[0] for name in imports(path)}
        assert not taken & FORBIDDEN[package], f"{path.relative_to(ROOT)}: {taken & FORBIDDEN[package]}"


def test_tests_import_nothing_of_the_benches() -> None:
    users = [
        path for path in modules("tests") if any(name.split(".")[0] == "bench" for name in imports(path))
    ]
    assert not users


def test_only_predict_and_listen_import_the_pipeline() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules("train")
        if any(name.split(".")[0] == "pipeline" for name in imports(path))
    }
    assert users <= TRAIN_MAY_IMPORT_PIPELINE
