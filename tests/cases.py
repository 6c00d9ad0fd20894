"""Test cases as plain data: those of test_x.py are in test_x.toml, next to it."""

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
    """Parametrise a test by the rows of its cases; `names` are their columns."""

    def parametrized(test):
        rows = data(test.__code__.co_filename)[test.__name__]
        return pytest.mark.parametrize(",".join(names), rows)(test)

    return parametrized
