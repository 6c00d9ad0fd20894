"""The types that an editor sees are those of the code."""

import pytest

from tests.golden.commands import ROOT
from tests.processes import python

SCRIPT = """\
import featurestack as fs

run = fs.fit(dataset="synth", features="mel", epochs=5, folds=(1, 2))
reveal_type(run)
reveal_type(fs.predict_audio(run, ["a.wav"]))
reveal_type(fs.model)
fs.fit(dataset="synth", features="mel", epochs="many", folds=(1, 2))
"""
# libraries are read as Any, which takes a tenth of the time
CONFIGURATION = """\
[mypy]
ignore_missing_imports = True
follow_imports = silent
[mypy-torch.*,pandas.*,numpy.*,scipy.*,matplotlib.*,sklearn.*,IPython.*,h5py.*]
follow_imports = skip
"""


def test_the_types_are_written_without_a_library():
    """As where the package is built: hatch_build.py."""
    python("-S", "-c", "from docs.stub import stub; stub()", cwd=ROOT)


@pytest.mark.slow
def test_a_type_checker_knows_options_and_results(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    words = [f"--config-file={tmp_path / 'mypy.ini'}", "--cache-dir=/dev/null"]
    script = str(tmp_path / "script.py")
    done = python("-m", "mypy", *words, script, check=False, cwd=ROOT)
    assert "RunFolder" in done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1 and ":7: error: " in errors[0]
    assert 'incompatible type "str"; expected "int"' in errors[0]
