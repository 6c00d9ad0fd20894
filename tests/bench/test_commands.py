"""`python -m bench`: its help names everything that can be run, and nothing that cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHES, BY_THEMSELVES, BenchOptions, bench
from commandline import RequestError

ROOT = Path(__file__).resolve().parents[2]
RUNNABLE = {
    path.stem
    for path in (ROOT / "bench").glob("*.py")
    if path.stem != "__main__" and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
}


def test_every_bench_is_listed_and_every_listed_one_is_there():
    by_themselves = {words.split()[0].removeprefix("bench.") for words in BY_THEMSELVES}
    assert {*BENCHES, *by_themselves} == RUNNABLE
    assert not by_themselves & BENCHES.keys()


def test_the_help_names_them_all():
    words = [sys.executable, "-m", "bench", "--help"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in BENCHES:
        assert f"- {name} " in shown
    for words_ in BY_THEMSELVES:
        assert f"- python -m {words_} " in shown


def test_a_mistyped_bench_gets_the_nearest_and_the_list():
    with pytest.raises(RequestError, match="did you mean 'reading'"):
        bench(BenchOptions(bench=("raeding",)))
