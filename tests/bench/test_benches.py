"""The help of `bench` names the benches, and those in SMALLEST run at their smallest
size.
"""

import os
import re
import shlex

import pytest

from tests.cases import data
from tests.golden.commands import ROOT
from tests.processes import forked, python

RUNNABLE = {
    path.stem
    for path in (ROOT / "bench").glob("[a-z]*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
}
SMALLEST = data(__file__)["SMALLEST"]


def run(words, folder=ROOT):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return python(
        "-m", *shlex.split(words), check=False, environment=environment, cwd=folder
    )


def test_the_help_names_every_bench_and_no_other():
    shown = forked("-m", "featurestack", "bench", "--help").stdout
    named = re.findall(r"^- python -m bench\.(\w+)", shown, re.MULTILINE)
    assert {*named, "features"} == RUNNABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RUNNABLE))
def test_every_bench_says_what_it_does_and_its_options(name):
    done = run(f"bench.{name} --help")
    assert done.returncode == 0 and "=\n      " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", SMALLEST)
def test_a_bench_of_the_smallest_size_ends_well(words, tmp_path):
    done = run(words, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() and "Traceback" not in done.stderr, (
        done.stdout + done.stderr
    )
