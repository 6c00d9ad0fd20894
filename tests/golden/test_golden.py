"""The outputs of the commands are the golden ones: caches, runs, refusals.

After an intended change, `python -m tests.golden.make` writes golden.json anew; its
diff shows the change.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import faults, make, outputs, refusals
from tests.golden.commands import ROOT, inside

GOLDEN: dict[str, Any] = json.loads(make.GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Tests run in the order of this file, in one folder."""
    with inside(tmp_path_factory.mktemp("golden")) as folder:
        yield folder


@pytest.mark.parametrize("section", outputs.SECTIONS)
def test_outputs_are_the_golden_ones(section):
    now = json.loads(json.dumps(outputs.SECTIONS[section]()))
    found = make.differences({section: GOLDEN[section]}, {section: now}, exact=False)
    assert not found, "\n".join(found)


def test_bad_input_gets_its_answer():
    refusals.prepare(next(Path("runs/plain").glob("*/*/run.json")).parent)
    for status, lines in ((0, refusals.DONE), (2, refusals.REQUESTS)):
        wrong = refusals.wrong(lines, status)
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_planted_fault_aims_at_one_place_and_names_tests_that_are_there(name):
    fault = faults.FAULTS[name]
    assert faults.place_of(ROOT, fault.old), f"not there once: {fault.old}"
    for word in fault.tests.split():
        assert word.startswith("golden:") or (ROOT / word).exists()
