"""The types that an editor sees are those of the code."""

import pytest

from docs import stub
from tests.golden.commands import ROOT
from tests.processes import python

SCRIPT = """\
import featurestack as fs

run = fs.train(dataset="synth", features="mel", epochs=5, folds=(1, 2))
reveal_type(run)
reveal_type(fs.predict(run, ["a.wav"]))
reveal_type(fs.model)
fs.train(dataset="synth", features="mel", epochs="many", folds=(1, 2))
"""


def test_the_stub_is_up_to_date():
    """If this fails: python -m docs.stub."""
    assert stub.stub() == stub.STUB.read_text(encoding="utf-8")


def test_a_type_checker_knows_options_and_results(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    words = ["-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent"]
    cache = ["--cache-dir", str(tmp_path / "types"), "--config-file="]
    done = python(*words, *cache, str(tmp_path / "script.py"), check=False, cwd=ROOT)
    assert "RunFolder" in done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1 and ":7: error: " in errors[0]
    assert 'incompatible type "str"; expected "int"' in errors[0]
