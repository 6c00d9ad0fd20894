"""An extra is imported only when it is asked for, and says which file or package it lacks."""

import subprocess
import sys

import pytest

from commandline.registry import RequestError
from train.extras import EXTRAS, load


@pytest.mark.parametrize("capability", EXTRAS)
def test_a_deleted_file_takes_its_capability_along_and_nothing_else(capability, monkeypatch):
    module, _ = EXTRAS[capability]
    monkeypatch.setitem(EXTRAS, capability, (f"{module}_that_is_gone", ""))
    with pytest.raises(RequestError, match=f"{capability} needs train/extras/.*_that_is_gone.py"):
        load(capability)


def test_the_core_imports_none():
    code = "import sys, train.predict, train.run; print([name for name in sys.modules if 'extras.' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "train.extras.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"export needs onnxruntime: pip install -r requirements-onnx.txt"):
        load("export")
