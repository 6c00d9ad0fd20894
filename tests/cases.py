"""Cases as plain data: those of test_x.py are in test_x.toml beside it."""

import functools
import tomllib
from pathlib import Path

import pytest


@functools.cache
def data(file):
    """{name: cases} of a test file."""
    text = Path(file).with_suffix(".toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def cases(*names):
    """Runs a test with each row of its own cases, whose columns have these names."""

    def parametrized(test):
        rows = data(test.__code__.co_filename)[test.__name__]
        return pytest.mark.parametrize(",".join(names), rows)(test)

    return parametrized
