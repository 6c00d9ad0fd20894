"""The outputs of every command are what they were: cache, runs, report, predictions, refusals.

`python -m tests.golden.make` writes golden.json anew after a change that was meant; its diff is what changed.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import make, outputs, refusals
from tests.golden.commands import inside

GOLDEN: dict[str, Any] = json.loads(make.GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The sections so far; tests run in the order of this file, in one folder."""
    with inside(tmp_path_factory.mktemp("golden")):
        yield {}


@pytest.mark.parametrize(
    "section",  # tests/train kills runs too
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "resumed")) for name in outputs.SECTIONS],
)
def test_outputs_are_the_golden_ones(made, section):
    if section == "resumed" and "runs" not in made:  # alone
        outputs.SECTIONS["caches"]()
        outputs.trained(*outputs.RESUMED)
    made[section] = json.loads(json.dumps(outputs.SECTIONS[section]()))
    found = make.differences({section: GOLDEN[section]}, {section: made[section]}, exact=False)
    assert not found, "\n".join(found)


def test_bad_requests_are_refused_by_name(made):
    refusals.prepare(next(Path("runs/plain").glob("*/*/run.json")).parent)
    wrong = refusals.wrong(refusals.REQUESTS, 2) + refusals.wrong(refusals.LEFT_RUNNING, 1)
    assert not wrong, "\n".join(wrong)
