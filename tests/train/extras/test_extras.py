"""An extra names the package that it lacks."""

import sys

from featurestack.train.extras import load
from tests.refusal import refused


def test_a_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.delitem(
        sys.modules, "featurestack.train.extras.onnx_export", raising=False
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refused(r"export needs onnxruntime: pip install '?\S*\[onnx\]"):
        load("export")
